"""A key that signs is made for a caller who is in force until that is committed."""

from concurrent.futures import ThreadPoolExecutor

import psycopg

from tests.faults.service import eventually
from tests.support.acts import trail
from tests.support.api import running
from tests.support.databases import administrator_url

SCOPES = ["webhooks:manage", "consents:read"]
HOOK = {"url": "https://crm.example.fr/hook"}
WAITING = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


def test_who_revokes_a_caller_waits_for_the_secret_that_it_is_making(database):
    """Once the revocation is answered, no request of the caller's gets a secret any more."""
    with (
        running(database) as api,
        psycopg.connect(administrator_url(database.name)) as holder,
        psycopg.connect(administrator_url(database.name), autocommit=True) as look,
        ThreadPoolExecutor(2) as pool,
    ):
        made = api.ok("POST", "/v1/keys", {"name": "A", "scopes": SCOPES})
        hook = api.ok("POST", "/v1/webhooks", HOOK)["id"]
        holder.execute("SELECT FROM webhook_endpoint FOR UPDATE")
        caller, wanted = api.with_key(made["key"]), {"use": "webhook_secret", "webhook": hook}
        secret = pool.submit(caller.call, "POST", "/v1/signing-keys", wanted)
        eventually(lambda: len(look.execute(WAITING).fetchall()) == 1)
        revoked = pool.submit(api.call, "DELETE", f"/v1/keys/{made['id']}")
        eventually(lambda: len(look.execute(WAITING).fetchall()) == 2)
        assert not revoked.done()
        holder.rollback()
        assert (secret.result().status_code, revoked.result().status_code) == (201, 204)
        assert caller.call("POST", "/v1/signing-keys", wanted).status_code == 401


def test_a_change_of_nothing_leaves_who_answers_for_a_receiver(api, database):
    """An endpoint ends with what its caller loses: an empty change makes nobody else answer for it."""
    made, other = (api.ok("POST", "/v1/keys", {"name": name, "scopes": SCOPES}) for name in ("A", "B"))
    hook = api.with_key(made["key"]).ok("POST", "/v1/webhooks", HOOK)["id"]
    before = len(trail(database))
    api.with_key(other["key"]).ok("PATCH", f"/v1/webhooks/{hook}", {})
    assert len(trail(database)) == before
    api.call("DELETE", f"/v1/keys/{other['id']}")
    assert api.ok("GET", "/v1/webhooks")["items"][0]["status"] == "active"
