"""How often one person's consents are recorded within a day, so that a looping program does not grow their ledger."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from app.operations.consents import recorder
from tests.support.api import subject
from tests.support.consents import grant, written
from tests.support.imports import imported, row

FEW = 5


@pytest.fixture(autouse=True)
def bound(monkeypatch):
    """The bound of the service; each test has one that it can reach."""
    bound = recorder.MOST_A_DAY
    monkeypatch.setattr(recorder, "MOST_A_DAY", FEW)
    return bound


@pytest.fixture
def full(shared):
    """An API where Alice has consented as often as is recorded within a day."""
    name = f"ads-{uuid4().hex[:8]}"
    shared.register(name)
    for _ in range(FEW):
        shared.decide(f"alice-{name}", name)
    return shared, f"alice-{name}", name


def refused(api, name, processing):
    """The status and problem type of one consent more."""
    at = api.clock.at if api.clock is not None else None
    answer = api.call("POST", "/v1/consents", grant(name, processing, at=at))
    return answer.status_code, answer.json().get("type", "")


def test_the_bound_is_the_one_that_its_error_states(bound):
    """A hundred consents of one person are recorded within a day, as `TooManyConsentsError` says."""
    assert bound == 100


def test_one_consent_too_many_is_refused(full):
    """A consent beyond the day's bound is a 409 with its reason; another person's is recorded."""
    api, alice, name = full
    status, kind = refused(api, alice, name)
    assert status == 409
    assert kind.endswith("too-many-consents")
    assert refused(api, f"bob-{name}", name)[0] == 201


def test_what_forbids_is_never_refused(full):
    """A withdrawal, many refusals and a closure are recorded beyond the day's bound."""
    api, alice, name = full
    api.withdraw(alice, name)
    for _ in range(3 * FEW):
        api.decide(alice, name, "refused")
    assert api.reason(alice, name) == "consent_refused"
    api.ok("POST", "/v1/subjects/closures", {"subject": subject(alice)})


def test_only_consents_given_here_count(shared, bob):
    """Refusals and imported consents take nothing from the day's bound, and imports are not held to it."""
    name = f"ads-{uuid4().hex[:8]}"
    shared.register(name)
    past = [datetime.now(UTC) - timedelta(days=days) for days in range(2, 2 + FEW)]
    rows = [row(at, bob, at=at, processing=name) for at in past]
    answer = imported(shared, *rows[1:], until=written(past[0]))
    assert [each["result"] for each in answer["rows"]] == ["recorded"] * (FEW - 1)
    for _ in range(FEW):
        shared.decide(bob, name, "refused")
    assert [refused(shared, bob, name)[0] for _ in range(FEW + 1)] == [*[201] * FEW, 409]
    answer = imported(shared, rows[0], until=written(past[0]))
    assert [each["result"] for each in answer["rows"]] == ["recorded"]


def test_a_day_later_it_is_recorded(moving, shared_clock):
    """A consent refused for the day's bound is recorded a day later, as many as the bound again and no more."""
    moving.register("ads")
    for _ in range(FEW):
        moving.decide("alice", "ads")
    assert refused(moving, "alice", "ads")[0] == 409
    shared_clock.at += timedelta(days=1)
    again = [refused(moving, "alice", "ads")[0] for _ in range(FEW + 1)]
    assert again == [*[201] * FEW, 409]
