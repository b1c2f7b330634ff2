"""A call takes no longer than its deadline. Proven by order, not by a clock: one that is more patient still waits."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from sceau_client import Cause, Client, Connections, Outcome
from tests.clients import scenes
from tests.clients.scenes import about, scene
from tests.faults.service import eventually

LONGER = 30.0
"""Seconds: far more than the deadlines that are tested, and less than the 60 of a client that would not keep them."""


@pytest.fixture(scope="module")
def server(stage):
    """A server that is slow as a test wants."""
    return stage.enter(scene(scenes.silent))


@pytest.fixture
def came(server):
    """What comes to it during this test."""
    server.came.clear()
    return server.came


class Patient:
    """A client that waits longer than any deadline of these tests, but less long than the other clients here would."""

    def __init__(self, url):
        """Ask a server."""
        self._client = Client(url, "key", refresh=None, deadline=LONGER)
        self._pool = ThreadPoolExecutor(1)

    def asks(self, came):
        """What it will be answered to a question that has come to the server."""
        waiting = self._pool.submit(self._client.evaluate, about("bob"))
        eventually(lambda: came)
        return waiting

    def close(self):
        """Wait no more."""
        self._client.close()
        self._pool.shutdown()


@pytest.fixture
def patient(server):
    """A patient client, of which nothing is left after the test."""
    with closing(Patient(server.url)) as made:
        yield made


@pytest.mark.parametrize("behave", [scenes.silent, scenes.dripping_headers, scenes.dripping_body])
def test_the_deadline_bounds_the_whole_call(asker_for, server, came, patient, behave):
    """A server that is silent, or that sends a little again and again, is not waited for beyond the deadline.

    Another question, asked before and more patient, still waits then.
    """
    server.behave = behave
    waiting = patient.asks(came)
    decision = asker_for(server.url).evaluate(about("alice"), deadline=0.2)
    assert not waiting.done()
    assert (decision.outcome, decision.cause) == (Outcome.UNKNOWN, Cause.TIMEOUT)


def test_the_deadline_of_a_client_bounds_its_calls(asker_for, server, came, patient):
    """A question that says no deadline has its client's."""
    server.behave = scenes.silent
    waiting = patient.asks(came)
    decision = asker_for(server.url, deadline=0.2).evaluate(about("alice"))
    assert not waiting.done()
    assert decision.cause is Cause.TIMEOUT


def test_the_deadline_bounds_the_wait_for_a_connection(asker_for, stage, server, came):
    """While the only connection waits for an answer, the next question is unknown in time, and was not sent."""
    told = asyncio.Event()

    async def held(_, __):
        await told.wait()

    async def tell():
        told.set()

    server.behave = held
    asker = asker_for(server.url, connections=Connections(most=1))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(asker.evaluate, about("bob"), deadline=LONGER)
        eventually(lambda: came)
        decision = asker.evaluate(about("alice"), deadline=0.2)
        still = not waiting.done()
        stage.run(tell())
    assert still
    assert decision.cause is Cause.TIMEOUT
    assert {request.json["subject"]["id"] for request in came} == {"bob"}
    assert waiting.result().cause is Cause.UNAVAILABLE
