"""Exempt answers while the database is away, and clocks that are wrong: what a process has seen binds it."""

import asyncio
import json
import time
from base64 import urlsafe_b64decode
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import psycopg
import pytest

import app.snapshot.last_known
import app.wiring.services
from app.core.article import Purpose
from app.core.processing import Processing
from app.db.database import Database, DatabaseUnavailableError
from app.journal.journal import Pulse
from app.operations.decisions import from_database
from app.operations.service.outage_file import ExemptKnowledge
from app.snapshot.feed import Beat, TransactionSnapshot
from app.snapshot.last_known import PrimaryReads
from app.snapshot.records import RegisterRecord
from app.snapshot.tables import keep_up
from app.wiring.services import services_of
from tests.faults.service import eventually
from tests.freshness.gate import until
from tests.support.api import question, running, settings_for
from tests.support.databases import administrator_url

ONE = "/access/v1/evaluation"
TOKEN = {"context": {"decision_token": True}}
DEAD = "INSERT INTO replica (id, lease_ms, seen_at, about) VALUES (gen_random_uuid(), 2000, now(), 'dead')"


@contextmanager
def off_by(hours, database, **settings):
    """The application without a feed, on a host whose clock is off."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app.wiring.services, "wall_clock", lambda: datetime.now(UTC) + timedelta(hours=hours))
        with running(database, cache="strict", **settings) as api:
            yield api


def _services(api):
    return api.client.app.state.services


@contextmanager
def away(api):
    """The database cannot be read."""
    database = _services(api).database
    ways = ("read", "read_from", "read_and_prove")
    vars(database).update(dict.fromkeys(ways, _unreadable))
    yield
    for way in ways:
        del vars(database)[way]


class _unreadable:  # noqa: N801 - stands for a method
    def __init__(self, *_, **__):
        """Take what the method takes."""

    async def __aenter__(self):
        raise DatabaseUnavailableError

    async def __aexit__(self, *_):
        return None


def gone(*_, **__):
    """As a method of a database that is away.

    Raises:
        DatabaseUnavailableError: always.

    """
    raise DatabaseUnavailableError


def learn(api):
    """Have the process learn now what it keeps for an outage."""
    assert cast("Any", api.client).portal.call(_services(api).exempt.learn)


def exempt(api, *names):
    """Register exempt processings, and have the process see each of them."""
    for name in names:
        api.register(name, purpose="malware_detection")
        assert api.reason("alice", name) == "exempt"


def test_a_slow_host_does_not_undo_a_suspension_that_it_has_read(database):
    """On a host an hour behind, a processing suspended just now stays so in an outage; control: another is exempt."""
    with off_by(-1, database) as api:
        exempt(api, "suspended", "scan")
        api.ok("PATCH", "/v1/processings/suspended", {"status": "suspended"})
        assert api.reason("alice", "suspended") == "processing_suspended"
        with away(api):
            assert api.reason("alice", "suspended") == "processing_suspended"
            assert api.reason("alice", "scan") == "exempt"


def test_a_process_knows_what_is_exempt_before_its_first_request(database, monkeypatch):
    """A database that goes away as soon as the service is ready leaves exempt purposes answered, and nothing else."""
    with running(database, cache="strict") as api:
        exempt(api, "scan")
        api.register("ads")
    monkeypatch.setattr(ExemptKnowledge, "keep", _nothing_more)
    with running(database, cache="strict") as api, away(api):
        assert api.reason("alice", "scan") == "exempt"
        assert api.call("POST", ONE, question("alice", "ads")).status_code == 503


async def _nothing_more(_):
    """Read nothing after the start."""


def test_a_token_of_an_outage_ends_by_the_databases_clock(database):
    """On a host an hour ahead, a token given in an outage is dated by the database's clock."""
    with off_by(1, database) as api:
        exempt(api, "scan")
        with away(api):
            answer = api.ok("POST", ONE, {**question("alice", "scan"), **TOKEN})
        part = answer["context"]["decision_token"].split(".")[1]
        claims = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        assert claims["iat"] < time.time() + 1800


def test_decisions_are_logged_by_the_databases_clock(database):
    """On a host an hour ahead, a decision's time and its id follow the database's clock."""
    with off_by(1, database) as api:
        api.register("ads")
        identifier = api.evaluate("alice", "ads")["context"]["id"]
        searched = {"id": identifier}
        (record,) = eventually(lambda: api.ok("POST", "/v1/decisions/search", searched)["items"])
        assert datetime.fromisoformat(record["at"]) < datetime.now(UTC) + timedelta(minutes=30)
        assert int(identifier.replace("-", "")[:12], 16) / 1000 < time.time() + 1800


def test_what_a_process_itself_took_away_is_known_no_more(database):
    """Without a feed, a process is bound in an outage by a suspension and a revocation that it answered itself."""
    with running(database, cache="strict") as api:
        exempt(api, "suspended", "scan")
        key = api.ok("POST", "/v1/keys", {"name": "leaver", "scopes": ["decisions:evaluate"]})
        leaver = api.with_key(key["key"])
        assert leaver.reason("alice", "scan") == "exempt"
        api.ok("PATCH", "/v1/processings/suspended", {"status": "suspended"})
        api.call("DELETE", f"/v1/keys/{key['id']}")
        assert api.reason("alice", "scan") == "exempt"
        with away(api):
            answer = api.call("POST", ONE, question("alice", "suspended"))
            # What keeps exempt processings known may have read the suspension in between: then it is answered.
            assert answer.status_code == 503 or answer.json()["context"]["reason"] == "processing_suspended"
            assert leaver.call("POST", ONE, question("alice", "scan")).status_code == 503
            assert api.reason("alice", "scan") == "exempt"


def test_a_process_that_starts_as_the_database_goes_away_knows_what_others_knew(database, tmp_path, monkeypatch):
    """A starting process takes callers from the file only if the database does not even answer the start's checks."""
    for without, knows in (([], True), ([PrimaryReads], False), ([PrimaryReads, Database], True)):
        with monkeypatch.context() as patch:
            for each in without:
                patch.setattr(each, "read", gone)
            with running(database, state_directory=tmp_path, cache="strict") as api:
                assert _services(api).known.knows_callers() is knows
                assert _services(api).exempt.path.exists()


@contextmanager
def unchecked(database):
    """The database answers, and another connection locks the table that each start looks at."""
    with psycopg.connect(database.owner_url) as connection:
        connection.execute("LOCK TABLE key_check IN ACCESS EXCLUSIVE MODE")
        yield


def test_the_file_is_for_a_database_that_is_away(database, tmp_path, monkeypatch):
    """A database that answers is waited for without the file, which a process that was started from it forgets."""
    monkeypatch.setattr(app.snapshot.last_known, "KNOWN_SECONDS", float("inf"))  # the file does not grow too old
    settings = {"state_directory": tmp_path, "cache": "strict", "database_timeout": timedelta(seconds=1)}
    with running(database, **settings) as api:
        exempt(api, "scan")
        learn(api)

    def answered(api):
        return api.call("POST", ONE, question("alice", "scan")).status_code

    with ExitStack() as late:
        with unchecked(database):
            api = late.enter_context(running(database, **settings))
            assert [api.call("GET", "/readyz").status_code, answered(api)] == [503, 503]
        eventually(lambda: answered(api) == 200)
    with unchecked(database), ExitStack() as late:
        with monkeypatch.context() as patch:
            patch.setattr(Database, "read", gone)
            patch.setattr(Database, "write", gone)
            api = late.enter_context(running(database, **settings))
            assert api.reason("alice", "scan") == "exempt"
        eventually(lambda: answered(api) == 503)


@contextmanager
def full(database):
    """The database answers, and has no connection left for the service."""
    with psycopg.connect(administrator_url("postgres"), autocommit=True) as administrator:
        administrator.execute(f'ALTER DATABASE "{database.name}" CONNECTION LIMIT 0')
        try:
            yield
        finally:
            administrator.execute(f'ALTER DATABASE "{database.name}" CONNECTION LIMIT -1')


def test_a_database_that_is_full_is_not_away(database, tmp_path):
    """A start on a full database takes no revoked key and no suspended processing from the file, and waits for it."""
    settings = {"state_directory": tmp_path, "cache": "strict"}
    with running(database, **settings) as api:
        exempt(api, "scan")
        key = api.ok("POST", "/v1/keys", {"name": "leaver", "scopes": ["decisions:evaluate"]})
        learn(api)
    with running(database, cache="strict") as other:
        other.ok("PATCH", "/v1/processings/scan", {"status": "suspended"})
        other.call("DELETE", f"/v1/keys/{key['id']}")
    with ExitStack() as late:
        with full(database):
            api = late.enter_context(running(database, **settings))
            callers = (api, api.with_key(key["key"]))
            assert {caller.call("POST", ONE, question("alice", "scan")).status_code for caller in callers} == {503}
        eventually(lambda: api.call("POST", ONE, question("alice", "scan")).status_code == 200)
        assert api.reason("alice", "scan") == "processing_suspended"


def test_rows_of_the_dead_are_taken_away_where_nobody_has_a_feed(database):
    """A worker that always reads the primary removes the row of a replica that died with a lease."""
    lease = timedelta(seconds=0.1)
    with (
        running(database, cache="strict", lease=lease),
        psycopg.connect(database.owner_url, autocommit=True) as connection,
    ):
        connection.execute(DEAD)
        gone = eventually(lambda: connection.execute("SELECT count(*) FROM replica").fetchone() == (0,))
        assert gone


@pytest.fixture(name="replica")
def idle_replica(database):
    """A replica that is wired and not started."""
    memory = services_of(settings_for(database)).memory
    assert memory is not None
    return memory.replica


def test_a_replica_that_begins_anew_keeps_no_read_under_way(replica):
    """A replica that begins anew counts that as a change, so that a read under way is not kept."""
    since = replica.known.forgettings
    replica.drop_all()
    assert replica.known.forgettings > since


class _Silent:
    """A connection on which nothing is ever notified."""

    async def notifies(self, **_):
        for silence in range(0):
            yield silence


async def test_a_database_clock_that_is_set_back_is_followed(replica):
    """After a beat that is an hour ahead, the next beat puts the replica's time right and empties its register."""
    feed, hours = replica.feed, iter((0, 1, 0))
    sent = time.clock_gettime(time.CLOCK_BOOTTIME)

    async def beat(*_):
        at = datetime.now(UTC) + timedelta(hours=next(hours))
        return Beat(sent, TransactionSnapshot.parse("1:1:"), "1:1:", at, [], "server")

    vars(feed)["_beat"] = beat
    calls = []
    for cursor in (None, "1:1:", "1:1:"):
        await feed._step(_Silent(), cursor)
        calls.append(replica.now() - time.time())
        replica.register.put(str(cursor), "held")
    before, ahead, after = calls
    assert ahead > 3000
    assert max(abs(before), abs(after)) < 1800
    assert replica.register.get("None") is None


async def begins_again(monkeypatch, target, run):
    """Have what fails each time be called again while something runs; return how often it was called."""
    calls = []

    async def broken(*_):
        calls.append(1)
        raise ValueError

    monkeypatch.setattr(*target, broken)
    task = asyncio.create_task(run)
    await until(lambda: len(calls) > 1)
    task.cancel()
    return len(calls)


async def test_the_feed_outlives_whatever_happens_to_it(replica, monkeypatch):
    """An unforeseen error ends one incarnation of the feed, and the feed begins another."""
    assert await begins_again(monkeypatch, (replica.feed, "_live"), replica.feed.run()) > 1
    assert not replica.lease.held()


async def test_upkeep_outlives_whatever_happens_to_it(replica, monkeypatch):
    """An unforeseen error ends one round of upkeep, and another round follows."""
    upkeep = keep_up(replica._database, type(replica._plan.pace)(lease=0.01), Pulse())
    assert await begins_again(monkeypatch, ("app.snapshot.tables.take_away_dead",), upkeep) > 1


def test_without_its_feed_a_replica_goes_by_what_it_read_last(database):
    """Without its feed, a process is bound in an outage by a suspension and a revocation that it learned from reads."""
    lease = timedelta(seconds=1)
    with running(database, lease=lease) as api, running(database, cache="strict", lease=lease) as other:
        key = other.ok("POST", "/v1/keys", {"name": "leaver", "scopes": ["decisions:evaluate"]})
        leaver = api.with_key(key["key"])
        replica = _services(api).memory.replica
        exempt(other, "suspended", "scan")
        eventually(replica.lease.held)
        questions = [(api, "suspended"), (leaver, "scan"), (api, "scan")]
        assert [caller.reason("alice", name) for caller, name in questions] == ["exempt"] * 3
        cast("Any", api.client.portal).call(replica._tasks[0].cancel)
        other.ok("PATCH", "/v1/processings/suspended", {"status": "suspended"})
        other.call("DELETE", f"/v1/keys/{key['id']}")
        # Eventually: a read that takes longer than the lease of this test is taken for an outage.
        eventually(lambda: api.reason("alice", "suspended") == "processing_suspended")
        eventually(lambda: leaver.call("POST", ONE, question("alice", "scan")).status_code == 401)
        assert api.reason("alice", "scan") == "exempt"
        with away(api):
            assert api.reason("alice", "suspended") == "processing_suspended"
            assert leaver.call("POST", ONE, question("alice", "scan")).status_code == 503
            assert api.reason("alice", "scan") == "exempt"


def test_what_a_feed_confirmed_to_the_end_is_known_however_late_it_is_asked_for(replica):
    """An entry that was confirmed shortly before an outage stays known throughout it; control: else it is too old."""
    now, scan = time.clock_gettime(time.CLOCK_BOOTTIME), Processing("scan", Purpose.MALWARE_DETECTION, ())
    replica.register.put("scan", RegisterRecord(scan, None))
    replica.feed.last_beat = now - 5000
    assert replica.known.exempt_processing("scan") is None
    replica.known._away_since = now - 4990
    assert replica.known.exempt_processing("scan") is scan


def test_what_an_unproven_read_told_is_not_remembered(database, monkeypatch):
    """A read that says that a suspended filter is active, and whose proof fails, leads to no permit."""
    with running(database, cache="strict") as api:
        exempt(api, "filter")
        api.ok("PATCH", "/v1/processings/filter", {"status": "suspended"})
        assert api.reason("alice", "filter") == "processing_suspended"
        load = vars(from_database)["load_processings"]

        async def replaced(session, ids):
            return {key: replace(each, changes=()) for key, each in (await load(session, ids)).items()}

        @asynccontextmanager
        async def unproven(self):
            async with self._database.read() as session:
                yield session
            raise DatabaseUnavailableError

        monkeypatch.setattr(from_database, "load_processings", replaced)
        monkeypatch.setattr(PrimaryReads, "read", unproven)
        answer = api.call("POST", ONE, question("alice", "filter"))
        assert not answer.json().get("decision"), answer.text
