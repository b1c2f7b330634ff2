"""What a writing process remembers of the register is what the register holds, after changes by any process."""

from types import SimpleNamespace
from typing import Any

from sqlalchemy import text

from app.db.session import Lookup, Prepared
from app.register import store
from app.register.store import RegisterEntries, load_processings
from tests.support.pools import in_a_pool
from tests.support.two_persons import add

IDS = ("ads", "stats", "later", "nowhere")


def _changes(api):
    """Make changes of each kind, one by one."""
    yield "nothing"
    yield api.register("ads")
    yield add(api, "ads", elements=["content"], reason="Less.")
    for status in ("suspended", "active"):
        yield api.ok("PATCH", "/v1/processings/ads", {"status": status})
    yield api.register("stats", purpose="statistics")
    yield api.ok("PATCH", "/v1/processings/stats", {"status": "retired"})
    yield api.register("later")


def _read(database, entries):
    async def read(pool):
        async with pool.read() as session:
            entries_now = await entries.read(session, IDS, store.STAMP.read(await session.rows(store.STAMP)))
            return entries_now, dict.fromkeys(IDS) | await load_processings(session, IDS)

    return in_a_pool(database, read)


def test_what_is_remembered_is_what_is_there(api, database):
    """After each change by another process, and again without one, the memory gives what a reading gives."""
    entries = RegisterEntries()
    for _ in _changes(api):
        for _ in range(2):
            entries_now, held = _read(database, entries)
            assert entries_now == held


def test_without_its_stamp_it_would_be_out_of_date(api, database, monkeypatch):
    """Control: a memory that ignores the register's stamp gives old entries."""
    monkeypatch.setattr(store, "STAMP", Lookup(Prepared(text("SELECT 1 AS one")), {}, lambda rows: rows[0].one))
    entries = RegisterEntries()
    api.register("ads")
    told, held = _read(database, entries)
    assert told == held
    api.ok("PATCH", "/v1/processings/ads", {"status": "suspended"})
    told, held = _read(database, entries)
    assert told["ads"] != held["ads"]


async def test_another_server_with_as_many_rows_is_read_anew(monkeypatch):
    """After a change of server, the register is read anew, even if the number of its rows is unchanged."""

    async def load(session, ids):
        return dict.fromkeys(ids, session.name)

    monkeypatch.setattr(store, "load_processings", load)
    entries = RegisterEntries()
    servers: list[Any] = [SimpleNamespace(name=name) for name in ("old", "old", "new")]
    read: list[Any] = [await entries.read(each, ["ads"], (each.name, 1, 1, 1, 0)) for each in servers]
    assert read == [{"ads": "old"}, {"ads": "old"}, {"ads": "new"}]
