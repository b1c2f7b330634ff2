import os
import sys
from pathlib import Path

import pytest

from app.events.deliveries import add_deliveries
from app.operations.webhooks import deliver_webhooks as dispatching
from app.operations.webhooks.deliver_webhooks import dispatch_events
from tests.clients.scenes import silent
from tests.faults.service import ROOT, environment, eventually
from tests.support.forked import start_command
from tests.webhooks.receivers import answering, consent_of


@pytest.fixture
def start(post):
    """Starts a worker in a process of its own."""
    started = []

    def worker():
        with Path(os.devnull).open("rb") as nothing:
            words, output = [post.database.app_url], sys.__stderr__ or nothing
            started.append(
                start_command(words, environment(), ROOT, [nothing, output, output], module="tests.webhooks.killed")
            )
        return started[-1]

    yield worker
    for process in started:
        process.kill()
        process.wait()


def test_a_worker_killed_in_mid_delivery_loses_nothing(post, start):
    """Kill -9 while requests are under way: their claims run out, another worker delivers them, one delivery each."""
    receiver, endpoint = post.registered(silent)
    consents = [post.api.decide(f"user{number}", "ads")["id"] for number in range(6)]
    process = start()
    eventually(lambda: receiver.under_way == 4)
    process.kill()
    process.wait()
    receiver.behave = answering(204)
    with post.working():
        eventually(lambda: post.make_due(claims=True) or len(post.deliveries(endpoint, "delivered")) == 6)
    assert sorted({consent_of(each) for each in receiver.came}) == sorted(consents)
    assert len(post.deliveries(endpoint)) == 6
    assert len(receiver.came) <= 6 + 4 + 6  # those under way came twice; time was pushed on, so some may thrice


def test_claims_of_a_worker_are_left_alone_until_they_run_out(post, start):
    """Control: while a claim lasts, another worker does not send what is under way."""
    receiver, endpoint = post.registered(silent)
    post.api.decide("alice", "ads")
    start()
    eventually(lambda: receiver.under_way == 1)
    _, beside = post.registered(answering(204))
    with post.working():
        post.api.decide("bob", "ads")
        post.delivered(beside, 1)
    assert [consent_of(each) for each in receiver.came].count(consent_of(receiver.came[0])) == 1
    assert post.deliveries(endpoint, "delivered") == []


def test_a_dispatch_cut_short_leaves_nothing_and_is_done_again(post, monkeypatch):
    """A dispatch that fails before its commit leaves no delivery and no progress; the next makes each once."""
    endpoint = post.endpoint("https://receiver.example/hook")
    for name in ("alice", "bob"):
        post.api.decide(name, "ads")

    class CutError(Exception):
        """The dispatch is cut short; `added` deliveries had been made by then."""

        def __init__(self, added):
            self.added = added

    async def cut(*given, **more):
        raise CutError(await add_deliveries(*given, **more))

    monkeypatch.setattr(dispatching, "add_deliveries", cut)

    def fails():
        # Another test's transaction may hold the second event back for a while: then it is one delivery, or none.
        try:
            post.with_database(dispatch_events)
        except CutError as error:
            return error.added == 2
        return False

    eventually(fails)
    assert post.deliveries(endpoint) == []
    monkeypatch.undo()
    post.dispatch(2)
    assert len(post.deliveries(endpoint)) == 2


def test_dispatching_again_makes_no_second_delivery(post):
    """Events that are dispatched a second time, because the progress was lost, keep their one delivery each."""
    endpoint = post.endpoint("https://receiver.example/hook")
    for name in ("alice", "bob", "carol"):
        post.api.decide(name, "ads")
    post.dispatch(3)
    before = post.deliveries(endpoint)
    with post.owner() as connection:
        connection.execute("DELETE FROM event_progress")
    post.dispatch(3)
    assert post.deliveries(endpoint) == before


def test_two_couriers_send_each_event_once(post):
    """Two couriers at work on one endpoint share its deliveries: none is sent by both."""
    receiver, endpoint = post.registered(answering(204))
    with post.working(), post.working():
        for number in range(20):
            post.api.decide(f"user{number}", "ads")
        post.delivered(endpoint, 20)
    assert len(receiver.came) == len(set(receiver.ids)) == 20
