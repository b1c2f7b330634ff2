import time
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from app.auth.callers import Authenticated, Caller
from app.auth.sessions import Uses, last_uses, write_uses
from app.db.database import Database
from app.operations.callers import flush_uses
from tests.support.api import question, running
from tests.support.databases import rows
from tests.support.pools import in_a_pool


def _entry(api, identifier):
    return api.ok("GET", f"/v1/keys?id={identifier}")["items"][0]


def _services(api):
    return api.client.app.state.services


def _uses(database):
    return rows(database, "SELECT FROM credential_use") != []


def test_a_stop_writes_what_was_used(database):
    """A key that asked for a decision, and one that read the register, are seen to have been used once it stopped."""
    with running(database) as api:
        api.register("filter", purpose="sorting")
        deciding, read, idle = (
            api.ok("POST", "/v1/keys", {"name": name, "scopes": ["decisions:evaluate", "register:read"]})
            for name in ("asked", "read", "idle")
        )
        for _ in range(3):  # from the database first, then from memory
            assert api.with_key(deciding["key"]).reason("alice", "filter") == "exempt"
        api.with_key(read["key"]).ok("GET", "/v1/processings")
        assert not _uses(database), "a request wrote its use itself"
    with running(database) as api:
        for used in (deciding, read):
            at = datetime.fromisoformat(_entry(api, used["id"])["last_used_at"])
            assert at.second == at.microsecond == 0
            assert abs(datetime.now(UTC) - at) < timedelta(minutes=10)
            assert _entry(api, used["id"])["keys"][0]["last_used_at"] == _entry(api, used["id"])["last_used_at"]
        assert "last_used_at" not in _entry(api, idle["id"])
        assert "last_used_at" not in _entry(api, idle["id"])["keys"][0]


def test_the_keys_of_a_caller_are_told_apart(database):
    """After a rotation it is seen which of the keys is still used: the one to wait for."""
    with running(database) as api:
        made = api.ok("POST", "/v1/keys", {"name": "mailer", "scopes": ["register:read"]})
        rotated = api.ok("POST", f"/v1/keys/{made['id']}/rotations", {})
        api.with_key(rotated["key"]).ok("GET", "/v1/processings")
    with running(database) as api:
        used = {each["id"]: "last_used_at" in each for each in _entry(api, made["id"])["keys"]}
        assert used == {made["keys"][0]["id"]: False, rotated["made"]["id"]: True}


def test_a_use_is_not_told_later_than_it_was(database):
    """A key that was revoked was last used before: its use is the time of the use, not of its writing."""
    with running(database) as api:
        made = api.ok("POST", "/v1/keys", {"name": "gone", "scopes": ["register:read"]})
        api.with_key(made["key"]).ok("GET", "/v1/processings")
        uses = _services(api).uses
        (at,) = [at for credential, at in uses.unwritten().items() if str(credential) == made["keys"][0]["id"]]
        assert abs(time.time() - at) < 60
        uses.of(UUID(made["keys"][0]["id"])).at = at - 3600
    with running(database) as api:
        last_used = datetime.fromisoformat(_entry(api, made["id"])["last_used_at"]).timestamp()
        assert last_used == (at - 3600) // 60 * 60


def test_a_refused_key_was_not_used(database):
    """A key that is not in force leaves no trace: who guesses must not fill a table."""
    with running(database) as api:
        made = api.ok("POST", "/v1/keys", {"name": "gone", "scopes": ["decisions:evaluate"]})
        assert api.call("DELETE", f"/v1/keys/{made['id']}").status_code == 204
        for key in (made["key"], "sceau_" + "x" * 43):
            answer = api.with_key(key).call("POST", "/access/v1/evaluation", question("alice", "ads"))
            assert answer.status_code == 401
    uses = rows(database, "SELECT credential::text FROM credential_use")
    assert made["keys"][0]["id"] not in {credential for (credential,) in uses}
    assert len(uses) == 1, "only the manager's key was used"


def test_the_latest_of_several_workers_counts(database):
    """Workers write of one credential in any order: the latest use stays, and none lies in the future."""
    one, now = uuid4(), time.time()

    async def work(pool):
        noted = []
        for at in (now - 7200, now - 60, now - 3600, now + 7200):
            async with pool.write() as session:
                await write_uses(session, {one: at, uuid4(): now})
            async with pool.read() as session:
                noted.append((await last_uses(session, [one]))[one].timestamp())
        return noted

    first, second, third, last = in_a_pool(database, work)
    assert [first, second, third] == [at // 60 * 60 for at in (now - 7200, now - 60, now - 60)]
    assert second < last <= time.time()


def _found(credential, at):
    caller = Caller(uuid4(), "x", frozenset(), None, at)
    return Authenticated(caller, credential, at)


def test_what_cannot_be_written_is_written_later(database):
    """A use that was noted while the database was away is written when it is back, with the time of the use."""
    uses, one, at = Uses(), uuid4(), datetime(2020, 6, 15, 12, 30, tzinfo=UTC)

    async def work(pool):
        uses.note(_found(one, at))
        away = Database("postgresql://nobody@127.0.0.1:1/nothing")
        await flush_uses(away, uses)
        await away.close()
        assert set(uses.unwritten()) == {one}
        await flush_uses(pool, uses)
        assert not uses.unwritten()
        async with pool.read() as session:
            return await last_uses(session, [one])

    assert in_a_pool(database, work) == {one: at}


def test_a_use_after_the_writing_is_written_again():
    """What is used again while its last use is being written is not taken for written."""
    uses, one, at = Uses(), uuid4(), datetime(2020, 6, 15, 12, tzinfo=UTC)
    uses.note(_found(one, at))
    writing = uses.unwritten()
    uses.note(_found(one, at + timedelta(minutes=5)))
    uses.written(writing)
    assert uses.unwritten() == {one: (at + timedelta(minutes=5)).timestamp()}
