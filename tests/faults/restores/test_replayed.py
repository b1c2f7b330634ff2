"""A replay of the journal ends what had ended, and the service then answers from the restored database again."""

import asyncio
import os
from datetime import UTC, datetime, timedelta

import pytest

from app.db.database import Database
from app.jobs.tasks import exchange_keys
from app.jobs.work import Work
from app.settings import Settings
from app.wiring.parts import deployment_of
from tests.faults.restores.restorable import ONE, asked, narrow
from tests.faults.service import environment, eventually
from tests.faults.words import decision, question, withdrawal
from tests.support.api import PSEUDONYM_KEY, processing, subject
from tests.support.consents import grant, written
from tests.support.imports import row


@pytest.mark.parametrize("cache", ["leased", pytest.param("strict", marks=pytest.mark.deep)])
def test_a_restored_database_permits_nothing_until_the_journal_is_replayed(deployment, cache):
    """After a restore, questions of IV get `restored-behind` and exempt ones are answered, until a replay."""
    ids = deployment.ids()
    deployment.lose(narrow, SCEAU_CACHE=cache)
    assert deployment.ids() == ids
    with deployment.serving(SCEAU_CACHE=cache) as service:
        names = ("alice", "bob", "carol", "dora")
        assert {asked(service, name) for name in names} == {"restored-behind"}
        assert asked(service, "alice", "filter") is True
        assert service.call("GET", "/readyz?need=IV").json()["type"].endswith("restored-behind")
        ready = service.call("GET", "/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
        deployment.command("restore-check", status=1)
        assert "4 replayed" in deployment.command("replay-journal", "--dry-run")
        assert asked(service, "dora") == "restored-behind"
        output = deployment.replay(service)
        assert ("4 replayed" in output, "answers from this database again" in output) == (True, True), output
        assert [asked(service, name) for name in names[:3]] == [False] * 3
        deployment.command("restore-check")
        assert "replayed" not in deployment.command("replay-journal", "--dry-run")
    assert deployment.ids() < ids  # Carol's is gone again


def test_the_register_and_callers_are_set_right_too(deployment):
    """Suspensions and revocations are replayed; other changes are named, and wait for `accept-restore`."""
    (made,) = deployment.kept("/v1/keys", {"name": "leaver", "scopes": ["decisions:evaluate"]})
    with deployment.lost() as service:
        service.ok("PATCH", "/v1/processings/ads-mail", {"status": "suspended"})
        service.call("DELETE", f"/v1/keys/{made['id']}")
        other = service.ok("POST", "/v1/keys", {"name": "other", "scopes": ["decisions:evaluate", "audit:read"]})
        service.ok("PATCH", f"/v1/keys/{other['id']}", {"scopes": ["decisions:evaluate"]})
    with deployment.serving() as service:
        output = deployment.command("replay-journal", status=1)
        assert ("2 replayed" in output, "a caller was changed" in output) == (True, True), output
        assert asked(service, "dora") == "restored-behind"
        deployment.command("accept-restore", "--lost", "The key was made anew.")
        assert "by hand" not in deployment.command("replay-journal", "--dry-run")
        eventually(lambda: asked(service, "dora") is False)
        assert service.call("POST", ONE, question("dora", "filter"), made["key"]).status_code == 401
        trail = service.ok("POST", "/v1/audit-trail/search", {"acts": ["restore.accepted"]})["items"]
        assert trail[0]["detail"]["epoch"] > 1


def test_somebody_who_has_another_pseudonym_since_is_found(deployment):
    """Eve came after the backup and withdrew; a replay ends the grant that she sent again after the restore."""
    grant = decision("eve")
    with deployment.lost() as service:
        service.ok("POST", "/v1/consents", grant)
        service.ok("POST", "/v1/withdrawals", withdrawal("eve"))
    with deployment.serving() as service:
        deployment.accept(service)
        service.ok("POST", "/v1/consents", grant)
        deployment.replay(service)
        assert asked(service, "eve") is False


def test_an_account_that_was_used_again_keeps_what_was_said_since(deployment):
    """A replayed closure ends Bob's consent from before it, and not his consent from after the restore."""
    deployment.kept("/v1/processings", processing("other-mail"))
    with deployment.lost() as service:
        service.ok("POST", "/v1/subjects/closures", {"subject": subject("bob")})
    with deployment.serving() as service:
        deployment.accept(service)
        service.ok("POST", "/v1/consents", grant("bob", "other-mail"))
        deployment.replay(service)
        assert [asked(service, "bob", identifier) for identifier in ("ads-mail", "other-mail")] == [False, True]
        assert "replayed" not in deployment.command("replay-journal", "--dry-run")


@pytest.mark.deep
def test_an_erasure_of_a_closed_account_is_replayed(deployment):
    """A replay destroys the id of a closed account that was erased after the backup."""
    deployment.kept("/v1/subjects/closures", {"subject": subject("bob")})
    ids = deployment.ids()
    with deployment.lost() as service:
        service.ok("POST", "/v1/subjects/erasures", {"subject": subject("bob")})
    assert deployment.ids() == ids
    deployment.command("restore-check", status=1)
    deployment.command("replay-journal")
    assert deployment.ids() < ids


NEW_KEY = "33" * 32


async def _exchange(url):
    """Do what the jobs process does each minute after an exchange of keys."""
    database = Database(url)
    await exchange_keys(Work(database, deployment_of(Settings.load())))
    await database.close()


@pytest.mark.parametrize("alone", [False, True])
def test_a_note_is_found_by_each_key_that_was_in_use(deployment, monkeypatch, alone):
    """A replay finds a note made under two pseudonym keys, and leaves one under another key to the operator."""
    wendy = f"wendy-{alone}".lower()
    at = datetime.now(UTC) - timedelta(days=1)
    sent = {"import": wendy, "until": written(at), "rows": [row(1, wendy, at=at, processing="ads-mail")]}
    both = (f"{PSEUDONYM_KEY},{NEW_KEY}", f"{NEW_KEY},{PSEUDONYM_KEY}")
    for keys in (*both, NEW_KEY) if alone else both:
        deployment.settings["SCEAU_PSEUDONYM_KEY"] = keys
        with deployment.serving() as service, monkeypatch.context() as patch:
            for name in [each for each in os.environ if each.startswith("SCEAU_TEST_")]:
                patch.delenv(name)
            for name, value in environment(**deployment.settings).items():
                patch.setenv(name, value)
            asyncio.run(_exchange(deployment.settings["SCEAU_DATABASE_URL"]))
            with deployment.server.administrator() as admin:  # days later: earlier tests have erased people
                admin.execute(
                    "UPDATE subject_locator SET ended_at = ended_at - interval '3 days' WHERE ended_at IS NOT NULL"
                )
            if keys in {both[1], NEW_KEY}:
                service.ok("POST", "/v1/imports", sent)
                if not alone or keys == NEW_KEY:
                    service.ok("POST", "/v1/withdrawals", withdrawal(wendy))
                    assert asked(service, wendy) is False
    deployment.set_back()
    deployment.settings["SCEAU_PSEUDONYM_KEY"] = PSEUDONYM_KEY
    with deployment.serving() as service:
        service.ok("POST", "/v1/imports", sent)
        output = deployment.command("replay-journal", status=int(alone))
        assert ("another pseudonym key" in output) == alone, output
        assert (
            asked(service, wendy) == "restored-behind" if alone else eventually(lambda: asked(service, wendy) is False)
        )
