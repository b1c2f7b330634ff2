"""A database that was set back permits nothing that was withdrawn since, until somebody has dealt with it."""

import json
import shutil
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest

from tests.faults.service import COMMAND, ROOT, Service, environment, eventually
from tests.faults.words import ADS, FILTER, decision, question, withdrawal
from tests.support.api import subject

ONE = "/access/v1/evaluation"


def _asked(service, name, identifier="ads-mail"):
    answer = service.call("POST", ONE, question(name, identifier))
    return answer.json()["decision"] if answer.status_code == 200 else answer.json()["type"].rpartition(":")[2]


class Restorable:
    """A deployment whose database is copied and set back as a test likes."""

    def __init__(self, place, server, **settings):
        """Keep the place; start nothing yet."""
        self.place, self.server = place, server
        self.journal = place / "journal"
        self.journal.mkdir(exist_ok=True)
        self.settings = {
            **server.settings,
            "SCEAU_JOBS": "false",
            "SCEAU_JOURNAL_DIRECTORY": str(self.journal),
            **settings,
        }

    @contextmanager
    def serving(self, **more):
        """A service on it."""
        service = Service(self.place / "restored.log", {**self.settings, **more}).wait_until_it_listens()
        try:
            yield service
        finally:
            service.end(signal.SIGTERM)

    def _database(self, statement):
        with psycopg.connect(self.server.embedded.url(role="postgres", database="postgres"), autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN ('sceau', 'kept')")
            admin.execute(statement)

    def back_up(self):
        """Keep the database as it is."""
        self._database("DROP DATABASE IF EXISTS kept")
        self._database("CREATE DATABASE kept TEMPLATE sceau OWNER sceau_owner")

    def set_back(self):
        """Put what was kept in the place of the database."""
        self._database("DROP DATABASE sceau WITH (FORCE)")
        self._database("CREATE DATABASE sceau TEMPLATE kept OWNER sceau_owner")
        with self.server.administrator() as admin:
            admin.execute("GRANT CONNECT ON DATABASE sceau TO sceau_app")

    def command(self, *words):
        """A command of the operator's: its exit status and what it printed."""
        done = subprocess.run(
            [*COMMAND, *words],
            env=environment(**self.settings),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr


@pytest.fixture
def deployment(server, tmp_path):
    """A deployment with consents of some people, and a copy of it as it was then."""
    made = Restorable(tmp_path, server)
    with made.serving() as service:
        service.ok("POST", "/v1/restores", {"lost": "What an earlier test took away."})
        for processing in (FILTER, ADS):
            service.call("POST", "/v1/processings", processing)
        service.ok("PATCH", "/v1/processings/ads-mail", {"status": "active"})  # an earlier test suspends it
        for name in ("alice", "bob", "carol", "dora"):
            service.ok("POST", "/v1/consents", decision(name))
    made.back_up()
    return made


def _narrow(service):
    """Alice withdraws, Bob's account is closed, Carol is erased; Dora's consent stands."""
    service.ok("POST", "/v1/withdrawals", withdrawal("alice"))
    service.ok("POST", "/v1/subjects/closures", {"subject": subject("bob")})
    service.ok("POST", "/v1/subjects/erasures", {"subject": subject("carol")})


def _ids(deployment):
    """How many ids of people are kept."""
    with deployment.server.administrator() as admin:
        return admin.execute("SELECT count(*) FROM subject_vault").fetchone()[0]


@pytest.mark.parametrize("cache", ["leased", "strict"])
def test_a_restored_database_permits_nothing_until_the_journal_is_replayed(deployment, cache):
    """Whoever asks about consent gets 503 `restored-behind`, exempt purposes go on; replayed, what ended has ended."""
    known = _ids(deployment)
    with deployment.serving(SCEAU_CACHE=cache) as service:
        _narrow(service)
    deployment.set_back()
    assert _ids(deployment) == known
    with deployment.serving(SCEAU_CACHE=cache) as service:
        names = ("alice", "bob", "carol", "dora")
        assert {_asked(service, name) for name in names} == {"restored-behind"}
        assert _asked(service, "alice", "filter") is True
        assert service.call("GET", "/readyz?need=IV").json()["type"].endswith("restored-behind")
        ready = service.call("GET", "/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
        assert deployment.command("restore-check")[0] == 1
        status, said = deployment.command("replay-journal", "--dry-run")
        assert (status, "4 replayed" in said) == (0, True)
        assert _asked(service, "dora") == "restored-behind"
        status, said = deployment.command("replay-journal")
        assert (status, "4 replayed" in said, "answers from this database again" in said) == (0, True, True)
        eventually(lambda: _asked(service, "dora") is True)
        assert [_asked(service, name) for name in names[:3]] == [False] * 3
        assert deployment.command("restore-check")[0] == 0
        assert "replayed" not in deployment.command("replay-journal", "--dry-run")[1]
    assert _ids(deployment) < known  # Carol's is gone again


def test_a_service_that_ran_meanwhile_knows_it_without_a_journal(deployment):
    """What its workers remember is enough: the database under them is exchanged, and they permit nothing."""
    nothing = {"SCEAU_JOURNAL_DIRECTORY": ""}
    with deployment.serving(**nothing) as service:
        _narrow(service)
        deployment.set_back()
        eventually(lambda: _asked(service, "alice") == "restored-behind")
        assert _asked(service, "alice", "filter") is True
        assert deployment.command("accept-restore", "--lost", "Withdrawals of an afternoon.")[0] == 0
        eventually(lambda: _asked(service, "dora") is True)


def test_without_a_fence_it_permits_what_was_withdrawn(deployment):
    """Control: a new service that has no journal knows of nothing, and the test above would fail."""
    with deployment.serving() as service:
        _narrow(service)
    deployment.set_back()
    with deployment.serving(SCEAU_JOURNAL_DIRECTORY="") as service:
        assert _asked(service, "alice") is True


def test_the_register_and_callers_are_set_right_too(deployment):
    """Suspensions and revocations are replayed; what cannot be is named, and somebody says that it is done."""
    with deployment.serving() as service:
        made = service.ok("POST", "/v1/keys", {"name": "leaver", "scopes": ["decisions:evaluate"]})
        deployment.back_up()
    with deployment.serving() as service:
        service.ok("PATCH", "/v1/processings/ads-mail", {"status": "suspended"})
        service.call("DELETE", f"/v1/keys/{made['id']}")
        other = service.ok("POST", "/v1/keys", {"name": "other", "scopes": ["decisions:evaluate", "audit:read"]})
        service.ok("PATCH", f"/v1/keys/{other['id']}", {"scopes": ["decisions:evaluate"]})
    deployment.set_back()
    with deployment.serving() as service:
        status, said = deployment.command("replay-journal")
        assert (status, "2 replayed" in said, "a caller was changed" in said) == (1, True, True)
        assert _asked(service, "dora") == "restored-behind"
        assert deployment.command("accept-restore", "--lost", "The key was made anew.")[0] == 0
        assert "by hand" not in deployment.command("replay-journal", "--dry-run")[1]
        eventually(lambda: _asked(service, "dora") is False)
        assert service.call("POST", ONE, question("dora", "filter"), made["key"]).status_code == 401
        trail = service.ok("POST", "/v1/audit-trail/search", {"acts": ["restore.accepted"]})["items"]
        assert trail[0]["detail"]["epoch"] > 1


def test_lines_are_sealed_and_a_line_that_was_altered_is_said(deployment):
    """No word of a person stands in the journal; a service that cannot read it answers nothing that needs consent."""
    with deployment.serving() as service:
        _narrow(service)
    (path,) = deployment.journal.glob("journal-*.ndjson")
    lines = path.read_text().splitlines()
    assert {tuple(json.loads(line)) for line in lines} == {("epoch", "at", "sealed")}
    path.write_text("\n".join([*lines[:-1], lines[-1].replace('"sealed":"', '"sealed":"AAAA')]) + "\n")
    status, said = deployment.command("restore-check")
    assert (status, "altered" in said) == (1, True)
    with deployment.serving() as service:
        assert _asked(service, "dora") == "restored-behind"


def test_a_write_that_cannot_be_noted_is_not_answered_as_done(deployment):
    """The journal's directory is gone: a withdrawal is recorded and answered 503; sent again, with it, it is done."""
    with deployment.serving() as service:
        aside = deployment.journal.with_name("aside")
        shutil.move(deployment.journal, aside)
        refused = service.call("POST", "/v1/withdrawals", withdrawal("alice"))
        assert (refused.status_code, refused.json()["type"]) == (503, "urn:sceau:problem:outcome-unknown")
        shutil.move(aside, deployment.journal)
        assert _asked(service, "alice") is False
        assert service.call("POST", "/v1/withdrawals", withdrawal("alice")).status_code == 200


def test_a_hook_gets_each_line(deployment, tmp_path):
    """A program of the deployment gets what the file gets; one that fails leaves the outcome unknown."""
    hook, got = tmp_path / "hook", tmp_path / "got"
    hook.write_text(f"#!/bin/sh\ncat >> {got}\n")
    hook.chmod(0o755)
    with deployment.serving(SCEAU_JOURNAL_HOOK=str(hook)) as service:
        _narrow(service)
        (path,) = deployment.journal.glob("journal-*.ndjson")
        assert got.read_bytes().count(b"\n") >= 5
        assert path.read_bytes().endswith(got.read_bytes())
        hook.write_text("#!/bin/sh\nexit 1\n")
        assert service.call("POST", "/v1/withdrawals", withdrawal("dora")).status_code == 503


def test_a_checkpoint_outside_knows_the_epoch(deployment, tmp_path):
    """The journal is lost; a checkpoint of the proof log that was kept elsewhere tells that the database went back."""
    (heads := tmp_path / "heads").mkdir()
    settings = {"SCEAU_PROOF_DIRECTORY": str(heads), "SCEAU_JOURNAL_DIRECTORY": ""}
    with deployment.serving(**settings) as service:
        epoch = service.ok("POST", "/v1/restores", {"lost": "Nothing: a drill."})["epoch"]
        service.ok("POST", "/v1/consents", decision("alice"))
    deployment.settings |= settings
    assert deployment.command("proof", "append")[0] == 0
    assert f"\nepoch {epoch}\n" in (heads / "checkpoint").read_text()
    deployment.set_back()
    with deployment.serving() as service:
        assert _asked(service, "alice") == "restored-behind"


def test_it_stays_set_back_however_much_is_noted_after_that(deployment):
    """Two hundred later withdrawals do not push what is missing out of sight, for this process and for the next one.

    Each waits for a lease to end, for nothing can be confirmed meanwhile: so they are sent at the same time.
    """
    with deployment.serving() as service:
        _narrow(service)
    deployment.set_back()
    for _ in range(2):
        with deployment.serving() as service:
            assert _asked(service, "alice") == "restored-behind"
            with ThreadPoolExecutor(22) as sending:
                calls = [
                    sending.submit(service.ok, "POST", "/v1/withdrawals", withdrawal(f"other{number}"))
                    for number in range(110)
                ]
            assert all(call.result() for call in calls)
            assert _asked(service, "alice") == "restored-behind"


def test_a_host_whose_journal_lacks_nothing_learns_it_from_another(deployment, tmp_path):
    """One process finds that the database was set back; another, which knows of nothing, answers no more either."""
    with deployment.serving() as service:
        _narrow(service)
    deployment.set_back()
    (elsewhere := tmp_path / "elsewhere").mkdir()
    with deployment.serving(SCEAU_JOURNAL_DIRECTORY=str(elsewhere)) as unaware:
        assert _asked(unaware, "dora") is True
        with deployment.serving() as service:
            assert _asked(service, "alice") == "restored-behind"
            eventually(lambda: _asked(unaware, "alice") == "restored-behind")


def test_what_could_not_be_noted_is_noted_before_it_is_answered_again(deployment):
    """Three writes are recorded and not noted, their process is killed: another one notes them, then answers."""
    calls = [
        ("POST", "/v1/withdrawals", withdrawal("alice")),
        ("POST", "/v1/subjects/closures", {"subject": subject("bob")}),
        ("POST", "/v1/subjects/erasures", {"subject": subject("carol")}),
    ]

    def send(service, number):
        method, path, body = calls[number]
        headers = {"Idempotency-Key": f"sent-again-{number}", "Authorization": service.authorization}
        return service.client.request(method, path, json=body, headers=headers).status_code

    aside = deployment.journal.with_name("aside")
    with deployment.serving() as service:
        shutil.move(deployment.journal, aside)
        assert [send(service, number) for number in range(3)] == [503] * 3
        service.process.kill()
    shutil.move(aside, deployment.journal)
    with deployment.serving() as service:
        assert [send(service, number) for number in range(3)] == [200] * 3
    deployment.set_back()
    status, said = deployment.command("replay-journal")
    assert status == 0, said
    with deployment.serving() as service:
        names = ("alice", "bob", "carol")
        eventually(lambda: [_asked(service, name) for name in names] == [False] * 3)
    with deployment.server.administrator() as admin:
        assert admin.execute("SELECT count(*) FROM journal_outbox").fetchone() == (0,)


def test_a_note_that_was_left_is_kept_by_another_host_and_only_such_a_note(deployment, tmp_path):
    """Of two hosts each keeps its own notes; one that dies with a note unkept leaves it to the other."""
    (elsewhere := tmp_path / "elsewhere").mkdir()

    def kept():
        return b"".join(each.read_bytes() for each in elsewhere.iterdir())

    def waiting():
        with deployment.server.administrator() as admin:
            return admin.execute("SELECT count(*) FROM journal_outbox").fetchone()[0]

    with deployment.serving(SCEAU_JOURNAL_DIRECTORY=str(elsewhere)), deployment.serving() as service:
        before = kept()
        service.ok("POST", "/v1/withdrawals", withdrawal("alice"))
        eventually(lambda: waiting() == 0)
        assert kept() == before
        shutil.move(deployment.journal, deployment.journal.with_name("aside"))
        assert service.call("POST", "/v1/withdrawals", withdrawal("bob")).status_code == 503
        service.process.kill()
        eventually(lambda: waiting() == 0)
        assert kept().count(b"\n") == before.count(b"\n") + 1


def test_somebody_who_has_another_pseudonym_since_is_found(deployment):
    """Eve came after the backup, and withdrew; her grant is sent again to the restored database, and does not stand."""
    grant = decision("eve")
    with deployment.serving() as service:
        service.ok("POST", "/v1/consents", grant)
        service.ok("POST", "/v1/withdrawals", withdrawal("eve"))
    deployment.set_back()
    with deployment.serving() as service:
        service.ok("POST", "/v1/consents", grant)
        assert deployment.command("replay-journal")[0] == 0
        eventually(lambda: _asked(service, "dora") is True)
        assert _asked(service, "eve") is False


def test_an_account_that_was_used_again_is_left_to_a_person(deployment):
    """Bob's closure is not replayed over what he said since; his consent from before is named for somebody to end."""
    with deployment.serving() as service:
        service.ok("POST", "/v1/subjects/closures", {"subject": subject("bob")})
    deployment.set_back()
    with deployment.serving() as service:
        service.ok("POST", "/v1/consents", decision("bob"))
    status, said = deployment.command("replay-journal")
    assert (status, "used again since" in said) == (1, True)


def test_an_erasure_of_a_closed_account_is_replayed(deployment):
    """The id that the backup brings back is destroyed again, although nothing of it could be permitted."""
    with deployment.serving() as service:
        service.ok("POST", "/v1/subjects/closures", {"subject": subject("bob")})
        deployment.back_up()
    known = _ids(deployment)
    with deployment.serving() as service:
        service.ok("POST", "/v1/subjects/erasures", {"subject": subject("bob")})
    deployment.set_back()
    assert (_ids(deployment), deployment.command("restore-check")[0]) == (known, 1)
    assert deployment.command("replay-journal")[0] == 0
    assert _ids(deployment) < known
