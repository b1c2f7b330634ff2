"""Decisions recorded together: one that fails fails no other, and none waits for another person's."""

import asyncio
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID, uuid4

import psycopg
import pytest

from app.api.consents import groups as groups_module
from app.api.consents.groups import Group, Order, RecordingGroups
from app.auth.store import IdempotentCall, KeyClaim, KeyClaims, release
from app.db.database import DatabaseUnavailableError
from app.operations.service.deployment import SubjectName
from app.wiring.parts import deployment_of
from tests.faults.service import HANGS, eventually
from tests.support.api import settings_for, subject
from tests.support.consents import SIGNED, grant
from tests.support.databases import administrator_url, rows
from tests.support.imports import row
from tests.support.people import people

WAITING = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.processing = 'bad' THEN RAISE EXCEPTION USING ERRCODE = '23514', MESSAGE = 'no'; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuse BEFORE INSERT ON consent_event FOR EACH ROW EXECUTE FUNCTION refuse()
"""


@pytest.fixture(scope="module")
def api(shared, shared_database):
    """A service whose database refuses each event about one processing; each test uses names of its own."""
    for processing in ("ads", "bad", "other"):
        shared.register(processing)
    with psycopg.connect(administrator_url(shared_database.name), autocommit=True) as connection:
        connection.execute(REFUSE)
    return shared


def _lock_name(call):
    """What a transaction of the service locks for a caller's key; another name would make nobody wait here."""
    return f"idempotency {call.caller} {call.key_hash.hex()}"


def _are_in_order(database, answers):
    """The ledger has what a batch was answered in the order in which it was sent."""
    ids = [each["answer"]["id"] for each in answers]
    query = "SELECT id::text FROM consent_event WHERE id::text = ANY(%s) ORDER BY seq"
    assert [identifier for (identifier,) in rows(database, query, ids)] == ids


def _with_two_names(api, name):
    """Give a person a second name; the first is returned."""
    api.link_names(name, *people("other"))
    return name


def test_a_row_that_the_database_refuses_loses_no_withdrawal_beside_it(api):
    """A withdrawal that the database refuses does not stop the other withdrawals of its group."""
    alice, bob, li, mi = people("alice", "bob", "li", "mi")
    items = [
        {"subject": subject(_with_two_names(api, li))},
        {"subject": subject(alice)},
        {"subject": subject(bob), "processing": "bad"},
        {"subject": subject(_with_two_names(api, mi))},
    ]
    answers = api.ok("POST", "/v1/withdrawals/batch", {"items": items})["items"]
    assert [each["status"] for each in answers] == [200, 200, 500, 200]
    assert api.reason(alice, "ads") == "consent_withdrawn"


def test_a_row_that_the_database_refuses_loses_no_grant_beside_it(api):
    """A grant that the database refuses does not stop the other grants of its group."""
    bob, carol, li = people("bob", "carol", "li")
    items = [grant(carol, "ads"), grant(bob, "bad"), grant(_with_two_names(api, li), "ads")]
    answers = api.ok("POST", "/v1/consents/batch", {"items": items})["items"]
    assert [each["status"] for each in answers] == [201, 500, 201]
    assert [api.reason(name, "ads") for name in (carol, li)] == ["consent_in_force"] * 2


def test_decisions_about_a_person_keep_their_order_where_their_group_fails(
    api, shared_database, monkeypatch, alice, bob
):
    """After a failed group, two decisions about one person are recorded in order, although one waits for its key."""
    at = datetime.now(UTC)
    made = groups_module.together
    prepared: list[list[Order]] = []
    elements = (["content", "subject_line"], ["content"])
    items = [grant(bob, "bad"), *(grant(alice, "ads", at=at, elements=each) for each in elements)]
    url = administrator_url(shared_database.name)
    with (
        psycopg.connect(url) as other,
        psycopg.connect(url, autocommit=True) as watching,
        ThreadPoolExecutor(1) as pool,
    ):

        async def held(deployment, some, **how):
            if not prepared:
                other.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [_lock_name(some[2].call)])
            prepared.append(some)
            return await made(deployment, some, **how)

        monkeypatch.setattr(groups_module, "together", held)
        path, key = "/v1/consents/batch", {"Idempotency-Key": "kept"}
        sent = pool.submit(api.ok, "POST", path, {"items": items}, key)
        eventually(lambda: len(prepared) > 2 and watching.execute(WAITING).fetchone())
        other.rollback()
        answers = sent.result()["items"]
    assert [each["status"] for each in answers] == [500, 201, 201]
    later = api.ok("GET", f"/v1/consents/{answers[2]['answer']['id']}/history")["items"]
    assert later[-1]["id"] == answers[2]["answer"]["id"]
    assert api.reason(alice, "ads", elements=["subject_line"]) == "consent_scope"


def test_a_key_that_waits_for_a_person_holds_up_nobody(api, shared_database):
    """While a request and its repetition wait for a locked person, another person's grant is recorded."""
    busy, stranger = people("busy", "stranger")
    api.decide(busy, "ads")
    body, key = {"subject": subject(busy)}, {"Idempotency-Key": "k"}
    done = threading.Event()

    def withdraw():
        answer = api.call("POST", "/v1/withdrawals", body, key)
        done.set()
        return answer

    with psycopg.connect(administrator_url(shared_database.name)) as holder, ThreadPoolExecutor(2) as pool:
        holder.execute("SELECT FROM subject FOR UPDATE")
        groups = api.client.app.state.recording_groups
        first = pool.submit(withdraw)
        eventually(lambda: groups.keys)
        again = pool.submit(withdraw)
        eventually(lambda: groups.waiting)
        api.ok("POST", "/v1/consents", grant(stranger, "ads"))
        assert not done.is_set()
        holder.rollback()
        assert first.result().json() == again.result().json()


def test_writes_about_a_person_whom_others_hold_end(api, shared_database, monkeypatch):
    """Twelve writes about a person whom another transaction holds all end with 503, while other writes go on."""
    busy, stranger = people("busy", "stranger")
    monkeypatch.setattr("app.api.consents.groups._PATIENCE", 0.2)
    api.decide(busy, "ads")
    with psycopg.connect(administrator_url(shared_database.name)) as holder, ThreadPoolExecutor(12) as pool:
        holder.execute("SELECT FROM subject FOR UPDATE")
        body = {"subject": subject(busy)}
        calls = [pool.submit(api.call, "POST", "/v1/withdrawals", body) for _ in range(12)]
        api.ok("POST", "/v1/consents", grant(stranger, "ads"))
        assert {each.result().status_code for each in calls} == {503}


@pytest.mark.parametrize("change", ["revoked", "narrowed"])
def test_a_key_that_ends_while_its_grant_waits_records_nothing(api, shared_database, change):
    """A waiting grant is refused if its key is revoked or narrowed before it is recorded."""
    [busy] = people("busy")
    api.decide(busy, "ads", "refused")
    made = api.ok("POST", "/v1/keys", {"name": "test", "scopes": ["consents:write"]})
    with psycopg.connect(administrator_url(shared_database.name)) as holder, ThreadPoolExecutor(1) as pool:
        holder.execute("SELECT FROM subject FOR UPDATE")
        groups = api.client.app.state.recording_groups
        writing = pool.submit(api.with_key(made["key"]).call, "POST", "/v1/consents", grant(busy, "ads"))
        eventually(lambda: groups.patient._value < 3)  # it waits alone, in a transaction of its own
        if change == "revoked":
            api.ok("DELETE", f"/v1/keys/{made['id']}")
        else:
            api.ok("PATCH", f"/v1/keys/{made['id']}", {"processings": ["other"]})
        holder.rollback()
        assert writing.result().status_code == (401 if change == "revoked" else 403)
    assert api.reason(busy, "ads") == "consent_refused"


def test_what_waits_about_a_person_is_recorded_in_its_order(api, shared_database, monkeypatch):
    """A batch about a locked person is recorded in the order sent, even if the lock ends while its next part begins."""
    [busy] = people("busy")
    api.decide(busy, "ads", "refused")
    groups = api.client.app.state.recording_groups
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    eventually(lambda: datetime.now(UTC) > at)
    # Equal times of collection, so that the order of the ledger alone says which was last.
    elements = [["content", "subject_line"], ["content"]] * 4
    items = [grant(busy, "ads", at=at, elements=each) for each in elements]
    record, write = Group.record, groups.writer.write

    @asynccontextmanager
    async def slowly_confirmed(*arguments: Any) -> Any:
        async with write(*arguments) as session:
            yield session
        await asyncio.sleep(0.5)  # the next group begins meanwhile

    monkeypatch.setattr(groups, "writer", SimpleNamespace(write=slowly_confirmed, require_whole=lambda: None))
    with psycopg.connect(administrator_url(shared_database.name)) as holder:
        holder.execute("SELECT FROM subject FOR UPDATE")

        async def then_let_go(group: Group, session: Any, register: Any) -> Any:
            answers = await record(group, session, register)
            holder.rollback()
            return answers

        monkeypatch.setattr(Group, "record", then_let_go)
        answers = api.ok("POST", "/v1/consents/batch", {"items": items})["items"]
    _are_in_order(shared_database, answers)
    assert not groups.alone
    assert api.reason(busy, "ads", elements=["subject_line"]) == "consent_scope"


def test_an_id_that_is_spelt_otherwise_is_the_same_person_in_a_group(api):
    """The last of seven decisions of one instant counts, even if its address is spelt in capitals."""
    at = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    items = [grant("zoe@example.fr", "ads", at=at, evidence=SIGNED) for _ in range(6)]
    items.append({**grant("ZOE@example.fr", "ads", at=at, evidence=SIGNED), "decision": "refused"})
    answers = api.ok("POST", "/v1/consents/batch", {"items": items})["items"]
    assert {each["status"] for each in answers} == {201}
    assert api.reason("zoe@example.fr", "ads") == "consent_refused"


def test_what_comes_behind_a_key_that_another_holds_waits_with_it(api, shared_database, monkeypatch):
    """Decisions behind one whose key another process holds, about one person, are recorded in the order sent."""
    [busy] = people("busy")
    api.decide(busy, "ads", "refused")
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    eventually(lambda: datetime.now(UTC) > at)
    earlier, first = KeyClaims.outcomes, list[Any]()

    def held_by_another(claims: KeyClaims, session: Any, lead: Any) -> Any:
        claimed = dict(earlier(claims, session, lead))
        if claimed and not first:
            first.append(next(iter(claimed)))
            claimed[first[0]] = KeyClaim.OF_ANOTHER
        return claimed

    record = Group.record

    async def then_let_go(group: Group, session: Any, register: Any) -> Any:
        done = await record(group, session, register)
        if len(first) == 1:
            release(session, first[0])  # it was claimed by this transaction in truth
            first.append(None)
        return done

    monkeypatch.setattr(KeyClaims, "outcomes", held_by_another)
    monkeypatch.setattr(Group, "record", then_let_go)
    items = [grant(busy, "ads", at=at, elements=each) for each in ([["content", "subject_line"], ["content"]] * 2)]
    headers = {"Idempotency-Key": "held"}
    answered = api.call("POST", "/v1/consents/batch", {"items": items}, headers).json()["items"]
    assert first
    _are_in_order(shared_database, answered)
    assert api.reason(busy, "ads", elements=["subject_line"]) == "consent_scope"


@pytest.mark.parametrize("what", ["imports", "mailboxes", "closures", "links"])
def test_no_write_of_a_revoked_key_is_recorded_after_the_revocation(api, shared_database, what):
    """A revocation of a key waits for a write that has begun, or the write is refused."""
    busy, other = people("busy", "other")
    api.decide(busy, "ads")
    made = api.ok("POST", "/v1/keys", {"name": "test", "scopes": ["consents:write", "consents:import"]})
    bodies = {
        "imports": ("/v1/imports", {"import": "older", "rows": [row(1, busy, "refused")]}),
        "mailboxes": ("/v1/subjects/mailboxes", {"subject": subject(busy), "shared": True}),
        "closures": ("/v1/subjects/closures", {"subject": subject(busy)}),
        "links": ("/v1/subjects/links", {"from": subject(busy), "to": subject(other), "basis": "user_proved"}),
    }
    path, body = bodies[what]
    with (
        psycopg.connect(administrator_url(shared_database.name)) as holder,
        psycopg.connect(administrator_url(shared_database.name), autocommit=True) as watcher,
        ThreadPoolExecutor(2) as pool,
    ):
        holder.execute("SELECT FROM subject_locator JOIN subject USING (subject_ref) FOR UPDATE")
        writing = pool.submit(api.with_key(made["key"]).call, "POST", path, body)
        eventually(lambda: watcher.execute(WAITING).fetchall())
        revoked = pool.submit(api.call, "DELETE", f"/v1/keys/{made['id']}")
        eventually(lambda: revoked.done() or len(watcher.execute(WAITING).fetchall()) > 1)
        was_revoked_first = revoked.done()
        holder.rollback()
        assert (writing.result().status_code == 401) is was_revoked_first
        assert revoked.result().status_code == 204


def test_a_key_that_others_hold_holds_up_nobody(api, shared_database):
    """A write whose Idempotency-Key another transaction holds waits alone, and other writes are recorded meanwhile."""
    stranger, one = people("stranger", "one")
    made = api.ok("POST", "/v1/keys", {"name": "test", "scopes": ["consents:write"]})
    with psycopg.connect(administrator_url(shared_database.name)) as holder, ThreadPoolExecutor(1) as pool:
        opaque = settings_for(shared_database)
        call = IdempotentCall(UUID(made["id"]), deployment_of(opaque).pseudonyms.opaque("idempotency-key", "k"), b"")
        holder.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [_lock_name(call)])
        groups = api.client.app.state.recording_groups
        key = {"Idempotency-Key": "k"}
        writing = pool.submit(api.with_key(made["key"]).call, "POST", "/v1/withdrawals", {"subject": subject(one)}, key)
        eventually(lambda: groups.patient._value < 3)
        api.ok("POST", "/v1/consents", grant(stranger, "ads"))
        assert not writing.done()
        holder.rollback()
        assert writing.result().status_code == 200


def _idle_groups():
    """Groups that record nothing."""
    nothing: Any = None
    return RecordingGroups(nothing, nothing)


async def test_a_group_has_a_few_decisions_about_one_person():
    """A group takes at most five decisions about one person, in order, and leaves room for others."""
    groups = _idle_groups()
    mine, other = [_order("long") for _ in range(20)], _order("other")
    groups.waiting.extend([*mine, other])
    assert groups._take() == [*mine[:5], other]
    assert list(groups.waiting) == mine[5:]


def test_two_whole_groups_are_recorded_at_once(api, monkeypatch):
    """The group of one batch does not commit before that of another has begun, and both are recorded."""
    begun, made, loop_of = list[int](), groups_module.together, asyncio.get_running_loop

    async def when_both_have_begun(deployment, some, **how):
        begun.append(len(some))
        until = loop_of().time() + HANGS
        while len(begun) < 2:
            assert loop_of().time() < until
            await asyncio.sleep(0.01)
        return await made(deployment, some, **how)

    monkeypatch.setattr(groups_module, "together", when_both_have_begun)
    batches = [
        {"items": [grant(f"{whose}-{number}@example.fr", "ads") for number in range(groups_module.TOGETHER)]}
        for whose in ("first", "second")
    ]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda each: api.ok("POST", "/v1/consents/batch", each)["items"], batches))
    assert {each["status"] for items in answers for each in items} == {201}
    assert begun == [groups_module.TOGETHER] * 2


async def test_a_group_takes_nothing_that_a_group_under_way_holds():
    """A decision whose person, request or key a group under way holds waits, and so do later ones about its person."""
    caller, groups = uuid4(), _idle_groups()
    parts = [IdempotentCall(caller, b"batch", b"", part) for part in range(2)]
    first, same_person, other = _order("one"), _order("one"), _order("other")
    keyed, same_key, behind = _order("two", parts[0]), _order("three", parts[1]), _order("three")
    same_request = _order("another name of one", request=first.request)
    groups.recording[asyncio.create_task(asyncio.sleep(0))] = first.holds | keyed.holds
    groups.waiting.extend([same_person, same_key, behind, other, same_request])
    assert groups._take() == [other]
    assert list(groups.waiting) == [same_person, same_key, behind, same_request]
    groups.recording.clear()
    assert groups._take() == [same_person, same_key, behind, same_request]


async def test_a_group_that_was_ended_before_it_began_tells_its_own():
    """A decision whose group is cancelled before it begins gets an error and does not wait."""
    groups = _idle_groups()
    recording = asyncio.create_task(groups.record(_order("one")))
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # its task is made, and has not run yet
    assert groups.running
    await groups.close()
    with pytest.raises(DatabaseUnavailableError):
        await asyncio.wait_for(recording, 10)


def _order(name, call=None, request=None):
    nothing: Any = None
    decision: Any = SimpleNamespace(subject=SubjectName("user", name))
    return Order(decision, uuid4(), nothing, call, 201, decision.subject.id.encode(), request or object())


async def test_what_waits_behind_a_task_that_had_not_begun_is_told():
    """Decisions kept for a task that is cancelled before it begins get an error."""
    groups = _idle_groups()
    two = [_order("one") for _ in range(2)]
    kept: dict[bytes, deque[Order]] = {}
    groups._keep_back(two, kept)
    groups._begin_alone(kept)
    await groups.close()
    assert all(isinstance(one.answer.exception(), DatabaseUnavailableError) for one in two)


@pytest.mark.parametrize("error", [RuntimeError, DatabaseUnavailableError, asyncio.CancelledError])
async def test_nobody_waits_for_ever(error, monkeypatch):
    """Each decision of a group gets an error, whatever error ends the group."""

    async def prepared(*_, **__):
        return SimpleNamespace(lookups=())

    monkeypatch.setattr(groups_module, "together", prepared)

    @asynccontextmanager
    async def write(*_):
        if error:
            raise error
        yield

    nothing: Any = None
    groups = RecordingGroups(cast("Any", SimpleNamespace(write=write)), nothing)
    orders = [_order(name) for name in ("one", "two")]
    answers = await asyncio.wait_for(asyncio.gather(*map(groups.record, orders), return_exceptions=True), 30)
    await groups.close()
    assert all(isinstance(answer, Exception) for answer in answers)


async def test_closing_ends_although_a_group_that_has_ended_still_counts_as_running():
    """Closing ends although an ended task is still listed as running, because it lets the loop remove that task."""
    groups = _idle_groups()
    ended = asyncio.create_task(asyncio.sleep(0))
    await ended
    groups.running.add(ended)
    ended.add_done_callback(groups.running.discard)
    await groups.close()
    assert groups.running == set()
