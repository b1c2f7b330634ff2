"""Synapse on one host with Sceau: its module holds decisions, and a withdrawal that was answered is obeyed at once."""

import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import CLOCK_BOOTTIME, clock_gettime

import pytest

from tests.e2e.chat.homeserver import homeserver, module_settings, write_analysis, write_keys
from tests.e2e.chat.matrix_world import MatrixWorld
from tests.e2e.chat.register import ADS, Register, add_processings
from tests.e2e.service import administered
from tests.e2e.wiretap import tapped


@pytest.fixture(scope="module")
def world(python, tmp_path_factory) -> Iterator[MatrixWorld]:
    """Sceau with a socket for edges, and Synapse beside."""
    folder = tmp_path_factory.mktemp("edge")
    socket = folder / "edge.sock"
    with (
        administered(folder / "data", SCEAU_EDGE_SOCKET=str(socket), SCEAU_SUBJECT_IDS="lower,mxid=exact") as sceau,
        tapped(sceau.address) as wire,
    ):
        add_processings(sceau.api)
        register = Register(sceau.api, "mxid")
        write_keys(folder, register.new_key())
        write_analysis(folder)
        module = module_settings(folder, wire.address)
        module["config"]["edge_socket"] = str(socket)
        with homeserver(folder, python, module) as server:
            yield MatrixWorld(server, register, wire)


def test_messages_are_analysed_without_a_request(world):
    """Each question is answered by the edge: nothing goes over the wire."""
    assert world.is_analysed()  # the edge may still be connecting
    before = len(world.wire.heard)
    assert [world.is_analysed() for _ in range(5)] == [True] * 5
    assert world.wire.heard[before:] == []


def test_a_withdrawal_is_obeyed_by_the_next_message(world):
    """Once it was answered, no message is analysed, until she consents again."""
    world.register.withdraw(world.carol.id, ADS)
    assert [world.exchange(world.alice, world.carol) for _ in range(3)] == ["denied"] * 3


@contextmanager
def _mute(path: Path) -> Iterator[bytearray]:
    """What greets an edge as Sceau does and leases it an hour, but answers no question; what it heard."""
    heard = bytearray()
    lease = {"kind": "lease", "ahead": 0.0, "end": clock_gettime(CLOCK_BOOTTIME) + 3600}
    sent = [json.dumps(each).encode() for each in ({"kind": "welcome", "protocol": 1, "most": 100, "ids": 1}, lease)]

    def serve(listener: socket.socket) -> None:
        connected, _ = listener.accept()
        with connected:
            for each in sent:
                connected.sendall(struct.pack(">I", len(each)) + each)
            while data := connected.recv(65536):
                heard.extend(data)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        yield heard


def test_what_the_edge_is_not_answered_in_time_is_asked_over_http(world, python, tmp_path):
    """A question that stays unanswered on the socket costs half of the time-out, and not the analysis."""
    write_keys(tmp_path, world.register.new_key())
    write_analysis(tmp_path)
    module = module_settings(tmp_path, world.wire.address)
    module["config"] |= {"edge_socket": str(tmp_path / "mute.sock"), "timeout": 30.0}
    with _mute(tmp_path / "mute.sock") as heard, homeserver(tmp_path, python, module) as server:
        second = MatrixWorld(server, world.register, world.wire)
        before = len(world.wire.heard)
        assert second.is_analysed()
        assert b'"kind":"ask"' in heard
        assert len(world.wire.heard) > before
