from hashlib import sha256
from uuid import uuid4

import psycopg
import pytest

from app.db.migrate import downgrade, upgrade
from tests.database.conftest import connected
from tests.support.api import BOOTSTRAP, running

ADD = """
INSERT INTO caller (id, name, key_sha256, scopes, created_at) VALUES (%s, 'older', %s, '{register:read}', now())
"""
FIND = "SELECT id::text FROM caller WHERE key_sha256 = %s AND revoked_at IS NULL"
"""What code of before revision 0011 does."""


def _digest(key):
    return sha256(key.encode()).digest()


@pytest.fixture
def older(database):
    """Make and find callers as older code does, with the rights of the application."""
    with psycopg.connect(database.app_url, autocommit=True) as connection:

        class Older:
            def makes(self):
                key, identifier = "sceau_" + uuid4().hex, str(uuid4())
                connection.execute(ADD, [identifier, _digest(key)])
                return identifier, key

            def finds(self, key):
                return connection.execute(FIND, [_digest(key)]).fetchone()

        yield Older()


def _reads(api, key):
    return api.with_key(key).call("GET", "/v1/processings").status_code == 200


def test_a_key_that_older_code_made_is_good(database, older):
    """While both run, what older code makes newer code takes; and older code finds it still."""
    with running(database) as api:
        identifier, key = older.makes()
        assert _reads(api, key)
        assert older.finds(key) == (identifier,)
        (entry,) = [item for item in api.ok("GET", "/v1/keys")["items"] if item["id"] == identifier]
        assert (entry["kind"], len(entry["keys"])) == ("machine", 1)


@pytest.mark.parametrize("body", [{"compromised": True}, {"overlap": "P1D"}])
def test_older_code_refuses_what_it_cannot_judge(database, older, body):
    """A key that was ended, or given an end, by newer code is unknown to older code, and so is the new one."""
    with running(database) as api:
        identifier, key = older.makes()
        assert older.finds(key)
        rotated = api.ok("POST", f"/v1/keys/{identifier}/rotations", body)
        assert older.finds(key) is None
        assert older.finds(rotated["key"]) is None
        assert _reads(api, rotated["key"])


def test_keys_move_there_and_back(database):
    """Downgraded, each caller has its newest key that is good without end; upgraded again, it is good as before."""
    with running(database) as api:
        made = api.ok("POST", "/v1/keys", {"name": "reader", "scopes": ["register:read"]})
        rotated = api.ok("POST", f"/v1/keys/{made['id']}/rotations", {"overlap": "P1D"})
        guest = {"name": "guest", "scopes": ["register:read"], "expires_at": "2100-01-01T00:00:00Z"}
        guest = api.ok("POST", "/v1/keys", guest)
    with connected(database.owner_url) as connection:
        downgrade(connection, "0010")
    with psycopg.connect(database.owner_url) as connection:
        assert connection.execute(FIND, [_digest(rotated["key"])]).fetchone() == (made["id"],)
        for gone in (made["key"], guest["key"]):
            assert connection.execute(FIND, [_digest(gone)]).fetchone() is None
    with connected(database.owner_url) as connection:
        upgrade(connection)
    migrate_again(database)
    with running(database) as api:
        assert _reads(api, rotated["key"])
        assert _reads(api, BOOTSTRAP)
        assert not _reads(api, made["key"])


def migrate_again(database):
    """Give the application its rights on the tables that were made anew."""
    from app.db.migrate import migrate

    migrate(database.owner_url, database.app_url)
