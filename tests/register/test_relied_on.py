"""What an invalidation would end, counted beforehand, and which permits had relied on it, listed."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from app.core.period import PeriodPolicy
from app.core.renewal import Renewal
from app.operations.webhooks.effects import tell_invalidations
from tests.faults.service import eventually
from tests.support.acts import trail
from tests.support.api import refused, running, utc
from tests.support.consents import hash_of, notice_of
from tests.support.databases import new_database
from tests.support.decision_rows import logged_rows
from tests.support.invalidations import invalidate
from tests.support.pools import in_a_pool
from tests.support.two_persons import add

SEARCH = "/v1/decisions/search"


def struck(identifier):
    """The request for the permits that relied on what a processing's first invalidation struck."""
    return {"processing": identifier, "invalidation": 1}


def relied_on(api, identifier, **more):
    """A page of those permits."""
    return api.ok("POST", SEARCH, {**struck(identifier), **more})


CACHES = ["strict", "leased"]


@pytest.fixture(scope="module", params=CACHES)
def place(request):
    """A deployment on the database's clock, with a decision log, in either mode; and its database.

    Each test uses its own processings.
    """
    with new_database() as database, running(database, cache=request.param, decision_log="durable") as called:
        yield called, database


def _decided(database, identifier):
    """How many decisions about a processing are in the log, which is written a moment later."""
    return len([each for each in logged_rows(database) if each.facts.shape.processing == identifier])


def rows(database):
    """How many rows some tables have, and the last transaction that told of a change, whose rows are trimmed."""
    sql = [f"SELECT count(*) FROM {table}" for table in ("administrative_act", "processing_invalidation", "outbox")]
    sql.append("SELECT coalesce(max(xid::text::bigint), 0) FROM change")
    with psycopg.connect(database.owner_url) as connection:
        *counted, [changed] = [row for each in sql for row in connection.execute(each)]
    return counted, changed


@pytest.mark.parametrize("cache", CACHES)
def test_a_dry_run_counts_and_changes_nothing(database, cache):
    """A dry run counts the consents that would end and the permits that rested on them, and writes no row."""
    with running(database, cache=cache, decision_log="durable") as logged:
        logged.agreed("counted", "alice", "bob", "carol", party_mode="all_local_users")
        logged.withdraw("carol", "counted")
        first = datetime.now(UTC)
        for name in ("alice", "bob", "alice"):
            assert logged.reason(name, "counted", participants=[]) == "consent_in_force"
        eventually(lambda: _decided(database, "counted") == 3)
        counted, changed = rows(database)
        dry = invalidate(logged, "counted", dry_run=True)
        assert dry.status_code == 200
        at = dry.json()["first_permit_at"]
        counts = {"people": 2, "permits": 3, "sealed_permits": 0}
        assert dry.json() == {"dry_run": True, "first_permit_at": at, **counts}
        assert utc(at) >= first - timedelta(minutes=1)
        after = rows(database)
        assert after[0] == counted
        assert after[1] <= changed
        assert logged.reason("alice", "counted", participants=[]) == "consent_in_force"
        by_text = invalidate(logged, "counted", dry_run=True, text=hash_of(notice_of("counted")["en"])).json()
        assert (by_text["people"], by_text["permits"]) == (0, 0)
        invalidate(logged, "counted")
        assert invalidate(logged, "counted", dry_run=True).json()["people"] == 0


def test_the_permits_that_relied_on_it_are_listed(place, monkeypatch):
    """Permits that relied on an invalidated version are listed, newest first, and the reading is in the trail."""
    logged, database = place
    logged.agreed("listed", "alice", "bob")
    for name in ("alice", "bob", "alice", "dora"):
        logged.evaluate(name, "listed")
    assert add(logged, "listed", elements=["content"]).status_code == 201
    logged.decide("bob", "listed", version=2)
    logged.evaluate("bob", "listed")
    eventually(lambda: _decided(database, "listed") == 5)
    invalidate(logged, "listed")
    auditor = logged.with_key(logged.new_key("audit:read"))
    page = relied_on(auditor, "listed")
    assert not {"next_cursor", "looked_back_to"} & page.keys()
    items = page["items"]
    assert [each["decision"] for each in items] == [True, True, True]
    assert [each["at"] for each in items] == sorted((each["at"] for each in items), reverse=True)
    first = relied_on(auditor, "listed", page={"limit": 2})
    rest = relied_on(auditor, "listed", page={"limit": 2, "cursor": first["next_cursor"]})
    assert [*first["items"], *rest["items"]] == items
    monkeypatch.setattr("app.audit.log_reading.PAGE_SECONDS", -1.0)
    empty = relied_on(auditor, "listed")  # no time to look at anything: there is more
    assert (empty["items"], "next_cursor" in empty) == ([], True)
    assert utc(empty["looked_back_to"]) >= utc(items[0]["at"]) - timedelta(milliseconds=1)
    monkeypatch.undo()
    assert relied_on(auditor, "listed", page={"cursor": empty["next_cursor"]})["items"] == items
    assert "alice" not in str(page)
    searched = auditor.ok("POST", "/v1/decisions/search", {"processing": "listed", "decision": True})["items"]
    assert all(each in searched for each in items)
    assert len(searched) == len(items) + 1
    acts = [each for each in trail(database) if each["act"] == "decisions.searched"]
    assert acts[0]["detail"] == {"filters": ["invalidation"]}
    assert refused(auditor.call("POST", SEARCH, {**struck("listed"), "invalidation": 2})) == (404, "not-found")
    for more in ({"decision": True}, {"processing": None}, {"since": "2026-01-01T00:00:00Z"}):
        assert refused(auditor.call("POST", SEARCH, {**struck("listed"), **more})) == (422, "invalid-request")


def test_what_rested_on_other_people_is_counted_under_seal(place):
    """Permits that may have rested on another party's consent are counted and not listed."""
    logged, database = place
    logged.register("sealed", party_mode="all_local_users")
    logged.decide("alice", "sealed", evidence={"language": "en"})
    logged.decide("bob", "sealed")
    answered = logged.evaluate("alice", "sealed", participants=[{"id": "bob", "local": True}])
    assert answered["decision"] is True
    eventually(lambda: _decided(database, "sealed") == 1)
    text = hash_of(notice_of("sealed")["fr"])
    counts = invalidate(logged, "sealed", text=text, dry_run=True).json()
    assert (counts["people"], counts["permits"], counts["sealed_permits"]) == (1, 0, 1)
    invalidate(logged, "sealed", text=text)
    assert relied_on(logged, "sealed")["items"] == []
    assert logged.reason("alice", "sealed", participants=[{"id": "bob", "local": True}]) == "other_party"


@pytest.mark.parametrize("words", [{"capacity": {"given_by": "self"}}, {}])
@pytest.mark.parametrize("first", ["child", "parent"])
def test_a_joint_consent_rests_on_either_text(place, first, words):
    """A joint consent ends with the text of its first act, and its permit is listed, with or without a capacity."""
    api, database = place
    name = f"joint-{first}-{len(words)}"
    api.register(name)
    api.state_age(name, "under_15")
    parent = {"capacity": {"given_by": "holder_of_parental_responsibility"}}
    acts = [words, parent] if first == "child" else [parent, words]
    for language, act in zip(("fr", "en"), acts, strict=True):
        api.decide(name, name, evidence={"language": language}, **act)
    assert api.reason(name, name) == "consent_in_force"
    eventually(lambda: _decided(database, name) == 1)
    text = hash_of(notice_of(name)["fr"])
    counts = invalidate(api, name, text=text, dry_run=True).json()
    assert (counts["people"], counts["permits"]) == (1, 1)
    invalidate(api, name, text=text)
    assert api.reason(name, name) == "consent_invalid"
    assert len(relied_on(api, name)["items"]) == 1

    in_a_pool(database, lambda pool: tell_invalidations(pool, Renewal(PeriodPolicy())))
    own = {each["id"] for each in api.ok("POST", "/v1/consents/search", {"processing": name})["items"]}

    def told():
        events = api.ok("GET", "/v1/events?limit=500")["events"]
        return own & {each["data"].get("consent") for each in events if "invalidated" in each["type"]}

    eventually(told)  # the feed waits for transactions that began earlier
