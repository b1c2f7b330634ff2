"""A call takes no longer than its deadline. Proven by order, not by a clock: one that is more patient still waits."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from sceau_client import Cause, Client, Connections, Outcome
from tests.clients import scenes
from tests.clients.scenes import about
from tests.faults.service import eventually

LONGER = 30.0
"""Seconds: far more than the deadlines that are tested, and less than the 60 of a client that would not keep them."""


@pytest.fixture
def patient(server, came):
    """Ask what waits longer than any deadline here, but less long than other clients would, and is left unanswered."""
    with ThreadPoolExecutor(1) as pool, closing(Client(server.url, "key", refresh=None, deadline=LONGER)) as client:

        def asks():
            waiting = pool.submit(client.evaluate, about("bob"))
            eventually(lambda: came)
            return waiting

        yield asks


@pytest.mark.parametrize("behave", [scenes.silent, scenes.dripping_headers, scenes.dripping_body])
def test_the_deadline_bounds_the_whole_call(asker_for, server, patient, behave):
    """A server that is silent, or that sends a little again and again, is not waited for beyond the deadline.

    Another question, asked before and more patient, still waits then.
    """
    server.behave = behave
    waiting = patient()
    decision = asker_for(server.url).evaluate(about("alice"), deadline=0.2)
    assert not waiting.done()
    assert (decision.outcome, decision.cause) == (Outcome.UNKNOWN, Cause.TIMEOUT)


def test_the_deadline_of_a_client_bounds_its_calls(asker_for, server, patient):
    """A question that says no deadline has its client's."""
    server.behave = scenes.silent
    waiting = patient()
    decision = asker_for(server.url, deadline=0.2).evaluate(about("alice"))
    assert not waiting.done()
    assert decision.cause is Cause.TIMEOUT


def test_the_deadline_bounds_the_wait_for_a_connection(asker_for, stage, server, came):
    """While the only connection waits for an answer, the next question is unknown in time, and was not sent."""
    let_go = asyncio.Event()

    async def held(_, __):
        await let_go.wait()

    async def tell():
        let_go.set()

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
