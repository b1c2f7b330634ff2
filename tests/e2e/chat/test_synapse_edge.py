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

from tests.e2e.chat.homeserver import Homeserver, homeserver, module_settings, write_analysis, write_keys
from tests.e2e.chat.matrix import MatrixUser
from tests.e2e.chat.register import ADS, Register, add_processings
from tests.e2e.service import administered
from tests.e2e.wiretap import Wiretap, tapped


class World:
    """A homeserver whose module has an edge, the wire that HTTP would take, and two users who consent."""

    def __init__(self, folder: Path, server: Homeserver, register: Register, wire: Wiretap) -> None:
        """Make the accounts."""
        self._folder, self.server, self.register, self.wire = folder, server, register, wire
        self.alice, self.carol = server.register("alice"), server.register("carol")
        for each in (self.alice, self.carol):
            register.grant(each.id, ADS)
        self.room = self.alice.create_room(self.carol)

    def outcome(self, sender: MatrixUser, receiver: MatrixUser) -> str:
        """Send a message, see it arrive; what became of its analysis."""
        before = self.server.outcomes(ADS)
        event = sender.send(self.room, "some words")
        assert receiver.receives(event)["sender"] == sender.id
        (outcome,) = self.server.outcomes_since(ADS, before, 1)
        return outcome

    def analysed(self) -> int:
        """How many messages the analysis has seen."""
        path = self._folder / "words.jsonl"
        return len([json.loads(line) for line in path.read_text().splitlines()]) if path.exists() else 0


@pytest.fixture(scope="module")
def world(python, tmp_path_factory) -> Iterator[World]:
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
            yield World(folder, server, register, wire)


def test_messages_are_analysed_without_a_request(world):
    """Each question is answered by the edge: nothing goes over the wire."""
    assert world.outcome(world.alice, world.carol) == "analysed"  # the edge may still be connecting
    before = len(world.wire.heard)
    assert [world.outcome(world.alice, world.carol) for _ in range(5)] == ["analysed"] * 5
    assert world.analysed() >= 6
    assert world.wire.heard[before:] == []


def test_a_withdrawal_is_obeyed_by_the_next_message(world):
    """Once it was answered, no message is analysed, until she consents again."""
    world.register.withdraw(world.carol.id, ADS)
    assert [world.outcome(world.alice, world.carol) for _ in range(3)] == ["denied"] * 3


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
        second = World(tmp_path, server, world.register, world.wire)
        before = len(world.wire.heard)
        assert second.outcome(second.alice, second.carol) == "analysed"
        assert b'"kind":"ask"' in heard
        assert len(world.wire.heard) > before
