"""What is found wrong in records that were made up: each thing that a run is held to can be seen to fail."""

import random

import pytest

from tests.e2e.failover.calls import Decided, Records, Services
from tests.e2e.failover.faults import Promotion
from tests.e2e.failover.findings import Findings, judge, measure
from tests.e2e.failover.worlds import World
from tests.linearizability.consent import Answer, Asked, Granted, Narrowed
from tests.linearizability.search import Call

HELD = {"consent_event": [("held",)], "processing_version": [("ads", 1)], "caller": [("revoked",)]}


def sql(statement):
    """What a primary that holds little has of a table."""
    return next(rows for table, rows in HELD.items() if f"FROM {table}" in statement)


@pytest.fixture
def records():
    """Records in which all is well."""
    made = Records(entries={"held"}, versions={("ads", 1)}, revoked={"revoked"})
    made.exempt = [Decided(Answer.PERMIT, 0, 1.0, 1.1)]
    made.decided = [Decided(Answer.PERMIT, 0, 1.0, 1.1, consent="held")]
    return made


@pytest.fixture
def world(records):
    """A world in which a grant was seen."""
    made = World(Services([], records), random.Random(1), users=("alice",))
    made.calls["alice"] = [Call(Granted(1, 0, 1), 0, 1), Call(Asked(Answer.PERMIT, 2), 2, 3)]
    return made


def test_nothing_is_wrong_where_all_is_well(records, world):
    """Records that hold together bring no finding."""
    assert judge(records, [world], sql).wrong() == []


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (lambda records: records.entries.add("gone"), "answered and lost: gone"),
        (lambda records: records.versions.add(("ads", 2)), "answered and lost: ads, version 2"),
        (lambda records: records.revoked.add("gone"), "answered and lost: gone"),
        (
            lambda records: records.decided.append(Decided(Answer.PERMIT, 0, 2, 3, consent="gone")),
            "permitted on what the primary does not hold: gone",
        ),
        (
            lambda records: records.exempt.append(Decided(None, 1, 2.0, 7.0, problem="evidence-unavailable")),
            "exempt and not permitted: service 1: evidence-unavailable after 5.00 s",
        ),
        (lambda records: records.unexpected.append("POST /v1/keys: 500"), "unexpected answer: POST /v1/keys: 500"),
    ],
)
def test_what_is_wrong_is_told(records, world, spoil, kind):
    """A write that is gone, a permit on nothing, an exempt question without a permit, an error: each is found."""
    spoil(records)
    assert judge(records, [world], sql).wrong() == [kind]


def test_a_stale_permit_is_told(records, world):
    """A permit after an answered withdrawal is found, with the world that it happened in."""
    world.calls["alice"] += [Call(Narrowed(4, 5), 4, 5), Call(Asked(Answer.PERMIT, 6), 6, 7)]
    (finding,) = judge(records, [world], sql).wrong()
    assert finding.startswith(f"not linearizable: {world.processing}")


def test_a_restart_is_told():
    """A process that is another one at the end is found."""
    assert Findings(restarted=["service 0: 7 python"]).wrong() == ["restarted: service 0: 7 python"]


def test_gaps_are_measured():
    """The longest time without a permit under III is told for each service, and when IV was answered after all."""
    records = Records()
    records.exempt = [Decided(Answer.PERMIT, 0, start, start + 0.5) for start in (10, 11, 14)]
    records.decided = [Decided(Answer.DENY, 0, 12, 13.5)]
    promotion = Promotion("kill", "one", "two", began=11.0, promoted=13.0, undone=15.0, whole=16.0)
    measured = measure(promotion, records, 2)
    assert measured["exempt_gap"] == [3.0, 0.0]
    assert measured["to_first_answer"] == [0.5, None]
