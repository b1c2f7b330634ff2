"""The doubles for tests have the clients' interface and their truths."""

from datetime import UTC, datetime, timedelta

import pytest

from sceau_client import AsyncClient, Cause, Client, Outcome
from sceau_client.asking import Asking, AsyncAsking
from sceau_client.testing import AsyncFakeSceau, FakeSceau
from tests.clients.askers import Awaited
from tests.clients.scenes import LETTER, about


@pytest.fixture(params=["waiting", "awaited"])
def fake(request, stage):
    """A double of either kind."""
    return FakeSceau() if request.param == "waiting" else Awaited(stage, AsyncFakeSceau())


def test_the_doubles_are_what_the_clients_are():
    """What takes an `Asking` or an `AsyncAsking` takes client and double alike."""
    assert issubclass(Client, Asking)
    assert issubclass(FakeSceau, Asking)
    assert issubclass(AsyncClient, AsyncAsking)
    assert issubclass(AsyncFakeSceau, AsyncAsking)


def test_what_was_told_is_answered(fake):
    """By user and processing: permit, deny, exempt; what was not told is a deny."""
    fake.permit("alice", "ads-mail")
    fake.deny("bob", "ads-mail", "consent_expired")
    fake.exempt("filter")
    questions = [about("alice"), about("bob"), about("alice", "stats"), about("carol", "filter")]
    outcomes = [(each.outcome, each.reason) for each in fake.evaluate_many(questions)]
    assert outcomes == [
        (Outcome.PERMIT, "consent_in_force"),
        (Outcome.DENY, "consent_expired"),
        (Outcome.DENY, "no_consent"),
        (Outcome.PERMIT, "exempt"),
    ]
    assert fake.require_all(["alice"], "ads-mail", LETTER)
    assert not fake.require_all(["alice", "bob"], "ads-mail", LETTER)
    assert not fake.require_all([], "ads-mail", LETTER)


def test_an_outage_leaves_what_is_exempt(fake):
    """While it is away, only exempt analyses are permitted; afterwards all is as before."""
    fake.permit("alice", "ads-mail")
    fake.exempt("filter")
    fake.unavailable(Cause.TIMEOUT)
    assert fake.evaluate(about("alice")).cause is Cause.TIMEOUT
    assert fake.evaluate(about("alice", "filter"))
    fake.available()
    assert fake.evaluate(about("alice"))


def test_a_permit_can_be_over(fake):
    """A test can see what its code does with a permit that has ended."""
    fake.permit("alice", "ads-mail", valid_until=datetime.now(UTC) - timedelta(seconds=1))
    assert not fake.evaluate(about("alice"))


def test_what_was_asked_is_remembered(fake):
    """A test can see for whom its code asked, and how."""
    fake.require_all(["alice", "bob"], "ads-mail", LETTER)
    assert [(each.subject.id, each.processing) for each in fake.asked] == [("alice", "ads-mail"), ("bob", "ads-mail")]
