from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import psycopg
import pytest

from tests.support.api import processing, running, subject
from tests.support.databases import administrator_url, new_database, rows
from tests.support.pools import rebuilt
from tests.support.two_persons import add, states

TAMPERINGS = {
    "an expiry moved": "UPDATE consent SET expires_at = expires_at + interval '1 day' WHERE decision = 'granted'",
    "an end forgotten": "UPDATE consent SET ended_by = NULL, ended_at = NULL WHERE ended_by IS NOT NULL",
    "a row lost": "DELETE FROM consent",
    "a row made up": "INSERT INTO consent (subject_ref, id, processing, version, decision, collected_at, expires_at,"
    " ended_by, ended_at) SELECT subject_ref, gen_random_uuid(), processing, version, decision, collected_at,"
    " expires_at, ended_by, ended_at FROM consent LIMIT 1",
}


@pytest.fixture(scope="module")
def pair():
    """Two replicas of the service on one database."""
    with new_database() as database, running(database) as one, running(database) as other:
        one.register("ads")
        one.register("stats", purpose="statistics")
        yield database, one, other


def _at_once(*calls):
    """Make calls at the same time, each from a thread of its own; their results in order."""
    barrier = Barrier(len(calls))

    def make(call):
        barrier.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as threads:
        return [future.result() for future in [threads.submit(make, call) for call in calls]]


def _events(database, name):
    """The kinds of a subject's events by ledger order, with the time of each."""
    query = (
        "SELECT seq, kind, collected_at FROM consent_event WHERE subject_ref ="
        " (SELECT subject_ref FROM consent WHERE id = %s) ORDER BY seq"
    )
    return rows(database, query, name)


def test_two_writers_on_one_consent_are_both_recorded(pair):
    """Two decisions on one processing at once are both recorded, in one order; the last collected decides."""
    database, one, other = pair
    for round_ in range(10):
        name = f"round{round_}"
        granted, refused = _at_once(
            lambda name=name: one.decide(name, "ads"), lambda name=name: other.decide(name, "ads", "refused")
        )
        events = _events(database, granted["id"])
        assert [seq for seq, _, _ in events] == [1, 2]
        assert sorted(kind for _, kind, _ in events) == ["granted", "refused"]
        last = max(events, key=lambda event: (event[2], event[0]))[1]
        assert last == "refused" or events[0][1] == "refused"
        reasons = {"granted": "consent_in_force", "refused": "consent_refused"}
        assert one.reason(name, "ads") == other.reason(name, "ads") == reasons[last]
        first = granted if last == "refused" else refused
        assert one.ok("GET", f"/v1/consents/{first['id']}")["state"] == "replaced"
    assert rebuilt(database, repair=False)[1] == 0


def test_many_writers_on_one_subject_leave_one_order(pair):
    """Grants, refusals and withdrawals of one subject from two replicas at once lose nothing and number without gap."""
    database, one, other = pair
    calls = [
        lambda api=api, processing=processing, act=act: act(api, processing)
        for api in (one, other)
        for processing in ("ads", "stats")
        for act in (
            lambda api, processing: api.decide("busy", processing),
            lambda api, processing: api.decide("busy", processing, "refused"),
            lambda api, processing: api.withdraw("busy", processing),
        )
    ]
    done = _at_once(*calls)
    identifier = next(answer["id"] for answer in done if "id" in answer)
    events = _events(database, identifier)
    assert [seq for seq, _, _ in events] == list(range(1, 13))
    ends = [at for _, kind, at in events if kind != "granted"]
    assert ends == sorted(set(ends))  # each later than all before it; a grant keeps the time that its form says
    assert rebuilt(database, repair=False)[1] == 0
    assert one.reason("busy", "ads") == other.reason("busy", "ads")


def test_a_withdrawal_answered_by_one_replica_binds_the_other(pair):
    """Once one replica has answered a withdrawal, no other permits what it forbids."""
    _, one, other = pair
    for round_ in range(10):
        name = f"bound{round_}"
        one.decide(name, "ads")
        assert other.reason(name, "ads") == "consent_in_force"
        one.withdraw(name, "ads")
        assert other.reason(name, "ads") == "consent_withdrawn"


def test_new_subjects_at_once_are_one_subject(pair):
    """The first two writes about a new subject at once make one subject with both."""
    database, one, other = pair
    first, second = _at_once(lambda: one.decide("New", "ads"), lambda: other.decide("new", "stats"))
    assert first["subject_ref"] == second["subject_ref"]
    assert len(_events(database, first["id"])) == 2


def test_the_same_id_registered_twice_at_once_is_registered_once(pair):
    """Two registrations of one id at once: one 201, one 409."""
    _, one, other = pair
    body = processing("contested")
    answers = _at_once(
        lambda: one.call("POST", "/v1/processings", body), lambda: other.call("POST", "/v1/processings", body)
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409]


def test_versions_added_at_once_get_numbers_of_their_own(pair):
    """Two versions added at once are both kept, one after the other."""
    _, one, other = pair
    one.register("versioned")
    answers = _at_once(*[lambda api=api: add(api, "versioned", material=True) for api in (one, other, one, other)])
    assert {answer.status_code for answer in answers} == {201}
    assert [number for number, _ in states(one, "versioned")] == [1, 2, 3, 4, 5]


def test_a_retirement_at_once_with_others_is_final(pair):
    """A retirement that comes at once with other status changes leaves the processing retired."""
    _, one, other = pair
    one.register("ending")
    statuses = ("suspended", "retired", "active", "suspended")
    _at_once(
        *[
            lambda api=api, status=status: api.call("PATCH", "/v1/processings/ending", {"status": status})
            for api, status in zip((one, other, one, other), statuses, strict=True)
        ]
    )
    assert one.ok("GET", "/v1/processings/ending")["status"] == "retired"


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_a_tampered_projection_is_found_and_mended(api, database, tampering):
    """Control: a rebuild counts rows that differ from the ledger, and mends them unless it is asked not to."""
    api.agreed("ads", "alice", "bob")
    api.withdraw("alice", "ads")
    api.ok("POST", "/v1/subjects/closures", {"subject": subject("bob")})
    api.decide("carol", "ads", "refused")
    assert rebuilt(database) == (3, 0)
    with psycopg.connect(administrator_url(database.name)) as connection:
        changed = connection.execute(TAMPERINGS[tampering]).rowcount
    assert changed > 0
    assert rebuilt(database, repair=False) == (3, changed)
    assert rebuilt(database) == (3, changed)
    assert rebuilt(database) == (3, 0)
