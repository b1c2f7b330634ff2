"""Look-ups that travel together: one round trip, and each sees what is committed when it runs."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.database import BusyError
from app.db.session import Lookup, PartRefusedError, Prepared
from app.telemetry.spans import EntryPoint, current_origin
from tests.faults.service import eventually
from tests.support.consents import grant
from tests.support.databases import execute
from tests.support.pools import in_a_pool

HOLD = Lookup(
    Prepared(text("SELECT name FROM caller ORDER BY id FOR UPDATE")), {}, lambda rows: [row.name for row in rows]
)
READ = Lookup(Prepared(text("SELECT name FROM caller ORDER BY id")), {}, lambda rows: [row.name for row in rows])
WRONG = Lookup(Prepared(text("SELECT 1 / 0 AS one")), {}, lambda rows: rows[0].one)
# What one statement sees is what was committed before it waited, but for the very rows that it locks.
IN_ONE = Lookup(
    Prepared(
        text(
            "WITH held AS (SELECT FROM caller FOR UPDATE), waited AS (SELECT count(*) FROM held) "
            "SELECT name FROM caller, waited ORDER BY id"
        )
    ),
    {},
    lambda rows: [row.name for row in rows],
)


def _looked_up(database, *lookups):
    async def look_up(pool):
        async with pool.write(None, lookups) as session:
            return [each.read(session.lead[each]) for each in lookups]

    return in_a_pool(database, look_up)


def _behind_a_rename(api, database, *lookups):
    """What look-ups find that wait for a transaction which renames the caller, and then commits."""
    api.ok("GET", "/v1/keys")
    with psycopg.connect(database.owner_url) as holder, ThreadPoolExecutor(1) as pool:
        holder.execute("UPDATE caller SET name = 'renamed'")
        looking_up = pool.submit(_looked_up, database, *lookups)
        with psycopg.connect(database.owner_url, autocommit=True) as watcher:
            waiting = (
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            eventually(lambda: watcher.execute(waiting).fetchone() != (0,))
        holder.commit()
        return looking_up.result()


def test_a_look_up_behind_a_lock_sees_what_its_holder_committed(api, database):
    """The second statement of a round trip begins when the first has its lock."""
    assert _behind_a_rename(api, database, HOLD, READ)[1] == ["renamed"]


def test_in_one_statement_it_would_not(api, database):
    """Control: lock and look-up in one statement see what was there before the wait."""
    assert _behind_a_rename(api, database, IN_ONE) != [["renamed"]]


def test_what_the_database_refuses_ends_the_transaction(api, database):
    """A look-up that fails for what it says is told as such, wherever among the others it stands."""
    for lookups in ([WRONG, READ], [READ, WRONG]):
        with pytest.raises(PartRefusedError):
            _looked_up(database, *lookups)


def test_a_look_up_that_waits_in_vain_says_that_others_hold_it(api, database):
    """The lock time-out is told as what it is, and nothing is recorded."""
    with psycopg.connect(database.owner_url) as holder:
        holder.execute("UPDATE caller SET name = 'renamed'")
        with pytest.raises(BusyError):
            _looked_up(database, READ, HOLD)


def test_a_decision_is_recorded_in_two_round_trips(api, monkeypatch):
    """One before it is judged, one that writes and commits; and no statement beside them."""
    api.register("ads")
    api.ok("POST", "/v1/consents", grant("first", "ads"))  # the register is read once
    seen: list[str] = []

    def noted(name, real):
        def note(self, *arguments, **named):
            if current_origin().way is EntryPoint.API:  # and not a task of the service's own, beside it
                seen.append(name)
            return real(self, *arguments, **named)

        return note

    with monkeypatch.context() as patch:
        patch.setattr(psycopg.AsyncConnection, "pipeline", noted("round trip", psycopg.AsyncConnection.pipeline))
        patch.setattr("sqlalchemy.ext.asyncio.AsyncConnection.execute", noted("statement", AsyncConnection.execute))
        sent = {"Idempotency-Key": "k"}
        assert (
            api.call("POST", "/v1/withdrawals", {"subject": {"type": "user", "id": "first"}}, sent).status_code == 200
        )
    assert seen == ["round trip"] * 2


def test_a_transaction_at_one_moment_begins_with_the_look_up_of_its_server(database, monkeypatch):
    """Where commits wait for a standby too, whose look-up comes first: what others commit meanwhile is not seen."""
    with_standby = Prepared(text("SELECT 'this' AS identity, true AS has_standby"))
    monkeypatch.setattr("app.db.database.WHICH", Lookup(with_standby, {}, lambda rows: tuple(rows[0])))

    async def seen(pool):
        for at_once in (True, False):
            async with pool.write(at_once=at_once) as session:
                counted = text("SELECT count(*) FROM key_check")
                before = (await session.execute(counted)).scalar_one()
                execute(database, "INSERT INTO key_check (name, value) VALUES (%s, 'x')", f"meanwhile {at_once}")
                yield (await session.execute(counted)).scalar_one() - before

    async def all_seen(pool):
        return [each async for each in seen(pool)]

    assert in_a_pool(database, all_seen, synchronous=True) == [0, 1]


def test_a_proven_read_is_one_snapshot_that_begins_after_the_look(database):
    """What commits before or during the look is seen by it and after it; what commits later is not seen."""
    counted = text("SELECT count(*) FROM key_check")

    def recorded(name):
        execute(database, "INSERT INTO key_check (name, value) VALUES (%s, 'x')", name)

    async def run(opened):
        seen = []

        async def count(session):
            seen.append((await session.execute(counted)).scalar_one())

        async def look(session, _):
            await count(session)
            recorded("during the look")
            await count(session)

        for by_commit in (False, True):
            async with opened.read_and_prove(look=look, by_commit=by_commit) as session:
                await count(session)
                recorded("meanwhile")
                await count(session)
            execute(database, "DELETE FROM key_check WHERE name IN ('during the look', 'meanwhile')")
        return [each - seen[0] for each in seen]

    assert in_a_pool(database, run) == [0, 1, 1, 1] * 2
