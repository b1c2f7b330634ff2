"""Each kind of write that a restore loses is noticed, even if a journal or a hook fails or an epoch begins."""

import json
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from app.journal.files import JournalError, last_lines
from tests.faults.restores.restorable import ONE, asked, withdraw
from tests.faults.service import eventually
from tests.faults.words import ADS, question, withdrawal
from tests.support.api import subject

pytestmark = pytest.mark.deep

REPEATED = {
    "suspension": ("PATCH", "/v1/processings/ads-mail", {"status": "suspended"}),
    "erasure": ("POST", "/v1/subjects/erasures", {"subject": subject("carol")}),
    "link": ("POST", "/v1/subjects/links", {"from": subject("carol"), "to": subject("zoe"), "basis": "user_proved"}),
    "invalidation": ("POST", "/v1/processings/ads-mail/invalidations", {"version": 1, "reason": "It was misleading."}),
}
VERSION = {name: value for name, value in ADS.items() if name != "id"}


@pytest.mark.parametrize("what", REPEATED)
def test_a_repetition_is_not_answered_while_nothing_can_be_noted(deployment, what):
    """While the journal's directory is missing, a write and its repetition are both a 503."""
    with deployment.lost() as service:
        service.ok("POST", "/v1/withdrawals", withdrawal("zoe"))
        with deployment.unmounted():
            assert [service.call(*REPEATED[what]).status_code for _ in range(2)] == [503, 503]
        assert service.call(*REPEATED[what]).status_code in {200, 201}
    with deployment.serving() as service:
        assert asked(service, "dora") == "restored-behind"


def _version(service, _):
    service.ok("POST", "/v1/processings/ads-mail/versions", {**VERSION, "material": True})


def _scopes(service, made):
    service.ok("PATCH", f"/v1/keys/{made['id']}", {"processings": ["filter"]})


def _key(service, made):
    service.call("PATCH", f"/v1/keys/{made['id']}", {"revoke_keys": [made["keys"][0]["id"]]})


@pytest.mark.parametrize("narrow", [_version, _scopes, _key])
def test_a_database_that_lacks_only_what_is_done_by_hand_is_noticed(deployment, narrow):
    """The loss of a material version, of a narrowed caller or of a revoked key is noticed."""
    (made,) = deployment.kept("/v1/keys", {"name": "leaver", "scopes": ["decisions:evaluate"]})
    with deployment.lost() as service:
        narrow(service, made)
    with deployment.serving() as service:
        assert asked(service, "dora") == "restored-behind"
        assert service.call("POST", ONE, question("dora", "ads-mail"), made["key"]).status_code == 503
    deployment.command("restore-check", status=1)


def test_a_hook_that_fails_for_many_does_not_hide_what_is_missing(deployment, tmp_path):
    """Sixty notes that wait for a failing hook are written once each, and a later lost note is still noticed."""
    hook = deployment.hook(f"cat > /dev/null\n[ -e {(on := tmp_path / 'on')} ]")
    with deployment.lost(SCEAU_JOURNAL_HOOK=str(hook)) as service:
        with ThreadPoolExecutor(20) as sending:
            calls = [sending.submit(service.call, "POST", "/v1/withdrawals", withdrawal(f"w{n}")) for n in range(60)]
        assert {call.result().status_code for call in calls} == {503}
        deployment.back_up()
        for _ in range(3):
            assert service.call("PATCH", "/v1/processings/ads-mail", {"status": "suspended"}).status_code == 503
        on.touch()
        eventually(
            lambda: service.call("PATCH", "/v1/processings/ads-mail", {"status": "suspended"}).status_code == 200
        )
        (path,) = deployment.journal.glob("journal-*.ndjson")
        ids = [json.loads(line)["id"] for line in path.read_bytes().splitlines()]
        assert len(ids) == len(set(ids))
    with deployment.serving() as service:
        assert asked(service, "dora") == "restored-behind"


def test_what_is_written_as_an_epoch_begins_is_noticed(deployment):
    """A second restore that loses a withdrawal made just after the first one was accepted is noticed."""

    def epochs():
        (path,) = deployment.journal.glob("journal-*.ndjson")
        return [json.loads(line)["epoch"] for line in path.read_bytes().splitlines()]

    with deployment.serving() as service:
        eventually(lambda: service.call("GET", "/readyz").json().get("leased"))
        epoch = service.ok("POST", "/v1/proposals", {"kind": "restore", "lost": "A drill."})["epoch"]
        withdraw(service)
        eventually(lambda: epoch in epochs())
    with (
        deployment.server.administrator() as admin,
        psycopg.connect(deployment.server.embedded.url(role="postgres", database="kept"), autocommit=True) as kept,
    ):  # a backup of an instant between the two
        began = admin.execute("SELECT began_at FROM deployment_epoch WHERE number = %s", [epoch]).fetchone()
        kept.execute(
            "INSERT INTO deployment_epoch (number, began_at, lost) VALUES (%s, %s, 'A drill.')", [epoch, *began]
        )
    deployment.set_back()
    with deployment.serving() as service:
        assert asked(service, "alice") == "restored-behind"


def test_a_hook_that_hangs_keeps_nothing_from_starting(deployment):
    """A service whose only journal is a hook that hangs still starts, and answers questions of III and IV."""
    hook = deployment.hook("exec sleep 20")
    with deployment.serving(SCEAU_STATE_DIRECTORY="", SCEAU_JOURNAL_HOOK=str(hook)) as service:
        assert (asked(service, "alice", "filter"), asked(service, "dora")) == (True, True)


def test_one_connection_is_enough_to_start_on_a_database_that_was_set_back(deployment):
    """A process with a pool of one answers exempt purposes, and marks the database for the others."""
    deployment.lose(withdraw)
    with deployment.serving(SCEAU_POOL_SIZE="1") as service, deployment.server.administrator() as admin:
        assert (asked(service, "alice", "filter"), asked(service, "alice")) == (True, "restored-behind")
        eventually(lambda: admin.execute("SELECT FROM key_check WHERE name LIKE 'set back%'").fetchall())


def test_a_repetition_waits_for_no_clock(deployment):
    """A waiting note is written before a repetition is answered, even if its time is in the future."""
    with deployment.serving() as service, deployment.server.administrator() as admin:
        with deployment.unmounted():
            assert service.call("PATCH", "/v1/processings/ads-mail", {"status": "suspended"}).status_code == 503
        admin.execute("UPDATE journal_note SET put_at = now() + interval '1 hour' WHERE line IS NOT NULL")
        assert service.call("PATCH", "/v1/processings/ads-mail", {"status": "suspended"}).status_code == 200
        assert admin.execute("SELECT count(*) FROM journal_note WHERE line IS NOT NULL").fetchone() == (0,)


def test_a_directory_that_cannot_be_read_is_no_empty_journal(tmp_path):
    """A journal directory that cannot be read is an error, and does not count as an empty journal."""
    with pytest.raises(JournalError, match="cannot be read"):
        last_lines(tmp_path / "unmounted", 200)
