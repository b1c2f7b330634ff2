from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import psycopg

from app.operations.webhooks.deliver_webhooks import trim_events
from tests.faults.service import eventually
from tests.support.api import running
from tests.support.consents import grant

PUT = """
    INSERT INTO outbox (subject_ref, id, type, occurred_at, data)
    VALUES (sha256(%s::bytea), gen_random_uuid(), %s, now(), '{"consent": "x", "processing": "ads"}') RETURNING id::text
"""


def _put(connection, name, kind="fr.sceau.consent.granted"):
    """Write an event, as a consent write would, in whatever transaction is open."""
    return connection.execute(PUT, [name, kind]).fetchone()[0]


def _transaction(connection):
    """The id of the open transaction."""
    return connection.execute("SELECT pg_current_xact_id()::text::bigint").fetchone()[0]


def _read(api, after=None, **more):
    query = "&".join(f"{name}={value}" for name, value in {"after": after, **more}.items() if value is not None)
    page = api.ok("GET", f"/v1/events?{query}")
    return [each["id"] for each in page["events"]], page["next"]


def _read_all(api, wanted):
    """Every event, a few at a time, until so many were read, whatever transactions of other tests hold them up."""
    events, place = [], None

    def more():
        nonlocal place
        some, place = _read(api, place, limit=2)
        events.extend(some)
        return len(events) >= wanted

    eventually(more)
    return events, place


def test_a_transaction_that_commits_late_is_not_missed(post):
    """What began first and commits last is read, once, in order; until then the feed stops before it."""
    with psycopg.connect(post.database.app_url) as late, psycopg.connect(post.database.app_url) as quick:
        first = _put(late, "late")
        second = _put(quick, "quick")
        quick.commit()
        events, place = _read(post.api)
        assert events == []
        late.commit()
    both, _ = _read_all(post.api, 2)
    assert both == [first, second]
    again = eventually(lambda: _read(post.api, place)[0])
    assert again == [first, second]


def test_a_naive_cursor_would_lose_it(post):
    """Control: a reader that goes by what is committed and remembers the last one never sees what commits late."""
    with psycopg.connect(post.database.app_url) as late, psycopg.connect(post.database.app_url) as quick:
        first = _put(late, "late")
        _put(quick, "quick")
        quick.commit()
        with post.owner() as reader:
            remembered = reader.execute("SELECT max(xid::text::bigint) FROM outbox").fetchone()[0]
            late.commit()
            seen = reader.execute("SELECT id::text FROM outbox WHERE xid::text::bigint > %s", [remembered]).fetchall()
            stored = reader.execute("SELECT count(*) FROM outbox").fetchone()[0]
    assert stored == 2
    assert first not in [row[0] for row in seen]


def test_a_transaction_with_an_earlier_id_cannot_overtake_its_subject(post):
    """A write that got its id before another and its subject's lock after it is told after it."""
    with psycopg.connect(post.database.app_url) as early, psycopg.connect(post.database.app_url) as other:
        early.execute("SELECT pg_current_xact_id()")  # as a claimed Idempotency-Key does
        first = _put(other, "alice")
        own = _transaction(other)
        other.commit()
        second = _put(early, "alice", "fr.sceau.consent.withdrawn")
        assert _transaction(early) < own  # by transaction ids alone, it would be told first
        early.commit()
    events, _ = _read_all(post.api, 2)
    assert events == [first, second]


def test_pages_of_concurrent_writes_hold_each_event_once_and_in_order(post):
    """Read while eight callers write with Idempotency-Keys, each event comes once, and a subject's in order."""
    events: list[dict[str, Any]] = []
    place: str | None = None
    expected: dict[bytes, list[str]] = {}

    def write(number):
        name, answers = f"user{number % 3}", []
        for step in range(4):
            key = {"Idempotency-Key": f"{number} {step}"}
            answers.append(post.api.ok("POST", "/v1/consents", grant(name, "ads"), key)["id"])
        return answers

    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(write, number) for number in range(8)]
        while not all(call.done() for call in calls):
            page = post.api.ok("GET", f"/v1/events?limit=3{'' if place is None else f'&after={place}'}")
            events, place = events + page["events"], page["next"]
        consents = {identifier for call in calls for identifier in call.result()}

    def more():
        nonlocal events, place
        page = post.api.ok("GET", f"/v1/events?limit=3&after={place}")
        events, place = events + page["events"], page["next"]
        return len(events) >= len(consents)

    eventually(more)
    told = [each["data"]["consent"] for each in events]
    assert sorted(told) == sorted(consents)
    with post.owner() as connection:
        for ref, order in connection.execute(
            "SELECT subject_ref, array_agg(id::text ORDER BY seq) FROM consent_event GROUP BY subject_ref"
        ):
            expected[bytes(ref)] = order
    for order in expected.values():
        assert [each for each in told if each in order] == order


def test_a_cursor_is_opaque_and_cannot_be_made_up(post):
    """A cursor that was altered, or belongs to another list, is refused."""
    _, place = _read(post.api)
    for wrong in ("x", place[:-1] + ("A" if place[-1] != "A" else "B"), "A" * len(place)):
        answer = post.api.call("GET", f"/v1/events?after={wrong}")
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:sceau:problem:invalid-cursor")


def test_a_cursor_from_before_what_was_dropped_is_refused(post):
    """Once events are gone, a cursor that would miss some is 410; one that is past them goes on."""
    _, old = _read(post.api)
    for name in ("alice", "bob"):
        post.api.decide(name, "ads")
    _, seen = _read_all(post.api, 2)
    post.dispatch(2)
    with post.owner() as connection:
        connection.execute("UPDATE outbox SET written_at = now() - interval '40 days'")
    eventually(lambda: _trimmed(post, lambda database: trim_events(database, timedelta(days=30))))
    answer = post.api.call("GET", f"/v1/events?after={old}")
    assert (answer.status_code, answer.json()["type"]) == (410, "urn:sceau:problem:cursor-too-old")
    assert post.api.call("GET", f"/v1/events?after={eventually(lambda: _read(post.api)[1])}").status_code == 200
    assert seen


def _trimmed(post, work):
    """Whether every event but those of the newest transaction is gone."""
    post.with_database(work)
    with post.owner() as connection:
        return connection.execute("SELECT count(*) FROM outbox").fetchone()[0] <= 1


def test_waiting_comes_back_with_the_first_event(post):
    """With `wait`, a call on a feed with nothing new comes back when there is something."""
    _, place = _read(post.api)
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(_read, post.api, place, wait=20)
        post.api.decide("alice", "ads")
        events, _ = call.result()
    assert len(events) == 1


def test_a_closed_account_is_told_as_such(post):
    """The event `closed` of an account says that the account was closed: a retired processing is told otherwise."""
    post.api.decide("alice", "ads")
    post.api.ok("POST", "/v1/subjects/closures", {"subject": {"type": "user", "id": "alice"}})
    events = eventually(lambda: found if len(found := post.api.ok("GET", "/v1/events")["events"]) == 2 else None)
    assert [each["data"].get("cause") for each in events] == [None, "account_closed"]


def test_a_restricted_caller_reads_its_processings_only(post):
    """A caller that may name some processings reads their events and goes past the others."""
    post.api.agreed("stats", "alice", purpose="statistics")
    mine = post.api.decide("alice", "ads")["id"]
    restricted = post.api.with_key(post.api.new_key("consents:read", processings=["ads"]))
    _read_all(post.api, 2)
    page = eventually(lambda: given if (given := restricted.ok("GET", "/v1/events"))["events"] else None)
    assert [each["data"]["consent"] for each in page["events"]] == [mine]
    assert restricted.ok("GET", f"/v1/events?after={page['next']}")["events"] == []


def test_the_feed_goes_on_after_a_restart_and_another_key(post):
    """A cursor outlives the caller's key and the process: it is the deployment's."""
    post.api.decide("alice", "ads")
    _, place = _read_all(post.api, 1)
    later = post.api.decide("bob", "ads")["id"]
    with running(post.database) as again:
        another = again.with_key(again.new_key("consents:read"))
        asked = f"/v1/events?after={place}"
        page = eventually(lambda: given if (given := another.ok("GET", asked))["events"] else None)
    assert [each["data"]["consent"] for each in page["events"]] == [later]
