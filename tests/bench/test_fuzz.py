"""The fuzzer finds what is planted, within a few hundred requests, and nothing where nothing is."""

import asyncio
import sys

import pytest

from bench.fuzz.leaks import LogWatch
from bench.fuzz.stages import Extent, environment, made_world, play_in
from bench.processes import Server, free_port
from tests.bench.planted import FAULTS
from tests.support.databases import new_database

pytestmark = pytest.mark.deep


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A worker in which each fault can be switched on, and a world on it; the switch, and what plays there."""
    directory = tmp_path_factory.mktemp("fuzz")
    switch, log, port = directory / "fault", directory / "log", free_port()
    switch.write_text("")
    with new_database() as database:
        settings = environment(database.app_url, FUZZ_FAULT=str(switch))
        server = Server("planted", [sys.executable, "-m", "tests.bench.planted", str(port)], port, settings, log)
        try:
            server.wait("/readyz")
            world = asyncio.run(made_world(server, "tests"))

            def play(seed, requests):
                extent = Extent(seed, requests, 20, findings=1, shrinking=0.3)
                return asyncio.run(play_in(world, LogWatch(log), seed, extent))

            yield switch, play
        finally:
            server.stop()


def test_nothing_is_found_where_nothing_is_planted(planted):
    """Without a fault the fuzzer finds nothing, and there are permits among what it was answered."""
    _, play = planted
    stage = play("sound", 400)
    assert [finding.what for finding, _ in stage.findings] == []
    assert stage.permits > 20


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(planted, fault):
    """Each fault is found within a few hundred requests, and is told with what was sent."""
    switch, play = planted
    switch.write_text(fault)
    stage = play(fault, 800)
    switch.write_text("")
    ((finding, again),) = stage.findings
    assert finding.what
    assert again.play
