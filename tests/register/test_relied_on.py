"""What an invalidation would end, and which permits had relied on it: counted before, and listed."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from tests.faults.service import eventually
from tests.support.acts import trail
from tests.support.api import running, utc
from tests.support.consents import hash_of, notice_of
from tests.support.decision_rows import logged_rows
from tests.support.invalidations import invalidate
from tests.support.two_persons import add

SEARCH = "/v1/decisions/search"
STRUCK = {"processing": "ads", "invalidation": 1}


def relied_on(api, **more):
    """A page of the permits that had relied on what was invalidated first."""
    return api.ok("POST", SEARCH, {**STRUCK, **more})


@pytest.fixture(params=["strict", "leased"])
def logged(database, request):
    """A deployment on the database's own clock, for days of which there is a decision log, in either mode."""
    with running(database, cache=request.param, decision_log="durable") as called:
        yield called


def refused(answered):
    """Status and kind of a problem."""
    return answered.status_code, answered.json()["type"].removeprefix("urn:sceau:problem:")


def rows(database, *tables):
    """How many rows some tables have."""
    with psycopg.connect(database.owner_url) as connection:
        counted = [connection.execute(f"SELECT count(*) FROM {table}").fetchall() for table in tables]
    return [number for [(number,)] in counted]


def test_a_dry_run_counts_and_changes_nothing(logged, database):
    """It tells whose consents would end and which permits rested on them, since when; no row is written."""
    logged.register("ads", party_mode="all_local_users")
    for name in ("alice", "bob", "carol"):
        logged.decide(name, "ads")
    logged.withdraw("carol", "ads")
    first = datetime.now(UTC)
    for name in ("alice", "bob", "alice"):
        assert logged.reason(name, "ads", participants=[]) == "consent_in_force"
    eventually(lambda: len(logged_rows(database)) == 3)
    tables = ("administrative_act", "processing_invalidation", "change", "outbox")
    before = rows(database, *tables)
    dry = invalidate(logged, "ads", dry_run=True)
    assert dry.status_code == 200
    assert dry.json() == {
        "dry_run": True,
        "people": 2,
        "permits": 3,
        "first_permit_at": dry.json()["first_permit_at"],
        "sealed_permits": 0,
    }
    assert utc(dry.json()["first_permit_at"]) >= first - timedelta(minutes=1)
    assert rows(database, *tables) == before
    assert logged.reason("alice", "ads", participants=[]) == "consent_in_force"
    by_text = invalidate(logged, "ads", dry_run=True, text=hash_of(notice_of("ads")["en"])).json()
    assert (by_text["people"], by_text["permits"]) == (0, 0)
    invalidate(logged, "ads")
    assert invalidate(logged, "ads", dry_run=True).json()["people"] == 0


def test_the_permits_that_relied_on_it_are_listed(logged, database, monkeypatch):
    """Page by page, newest first, as the log has them: those of the version alone; who looked is on the trail."""
    logged.register("ads")
    for name in ("alice", "bob"):
        logged.decide(name, "ads")
    for name in ("alice", "bob", "alice", "dora"):
        logged.evaluate(name, "ads")
    assert add(logged, "ads", elements=["content"]).status_code == 201
    logged.decide("bob", "ads", version=2)
    logged.evaluate("bob", "ads")
    eventually(lambda: len(logged_rows(database)) == 5)
    invalidate(logged, "ads")
    auditor = logged.with_key(logged.new_key("audit:read"))
    whole = relied_on(auditor)
    assert not {"next_cursor", "looked_back_to"} & whole.keys()
    found = whole["items"]
    assert [each["decision"] for each in found] == [True, True, True]
    assert [each["at"] for each in found] == sorted((each["at"] for each in found), reverse=True)
    first = relied_on(auditor, page={"limit": 2})
    rest = relied_on(auditor, page={"limit": 2, "cursor": first["next_cursor"]})
    assert [*first["items"], *rest["items"]] == found
    monkeypatch.setattr("app.operations.audit._SECONDS", -1.0)
    empty = relied_on(auditor)  # no time to look at anything: there is more
    assert (empty["items"], "next_cursor" in empty) == ([], True)
    assert utc(empty["looked_back_to"]) >= utc(found[0]["at"]) - timedelta(milliseconds=1)
    monkeypatch.undo()
    assert relied_on(auditor, page={"cursor": empty["next_cursor"]})["items"] == found
    assert "alice" not in str(whole)
    searched = auditor.ok("POST", "/v1/decisions/search", {"processing": "ads", "decision": True})["items"]
    assert all(each in searched for each in found)
    assert len(searched) == len(found) + 1
    acts = [each for each in trail(database) if each["act"] == "decisions.searched"]
    assert acts[0]["detail"] == {"filters": ["invalidation"]}
    assert refused(auditor.call("POST", SEARCH, {**STRUCK, "invalidation": 2})) == (404, "not-found")
    for more in ({"decision": True}, {"processing": None}, {"since": "2026-01-01T00:00:00Z"}):
        assert refused(auditor.call("POST", SEARCH, {**STRUCK, **more})) == (422, "invalid-request")


def test_what_rested_on_other_people_is_counted_under_seal(logged, database):
    """A permit that looked at another party's consent may have rested on it: it is counted, and not listed."""
    logged.register("ads", party_mode="all_local_users")
    logged.decide("alice", "ads", evidence={"language": "en"})
    logged.decide("bob", "ads")
    answered = logged.evaluate("alice", "ads", participants=[{"id": "bob", "local": True}])
    assert answered["decision"] is True
    eventually(lambda: len(logged_rows(database)) == 1)
    text = hash_of(notice_of("ads")["fr"])
    counts = invalidate(logged, "ads", text=text, dry_run=True).json()
    assert (counts["people"], counts["permits"], counts["sealed_permits"]) == (1, 0, 1)
    invalidate(logged, "ads", text=text)
    assert relied_on(logged)["items"] == []
    assert logged.reason("alice", "ads", participants=[{"id": "bob", "local": True}]) == "other_party"
