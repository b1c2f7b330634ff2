"""A deployment whose database a test can copy and set back, and the questions that tests ask it."""

import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

from app.db.embedded.binaries import find_binaries
from tests.faults.service import ROOT, Service, environment, eventually
from tests.faults.words import question, withdrawal
from tests.support.api import subject
from tests.support.forked import run_forked

ONE = "/access/v1/evaluation"


def asked(service: Service, name: str, identifier: str = "ads-mail") -> Any:
    """Whether it is permitted, or the kind of the problem that was answered instead."""
    answer = service.call("POST", ONE, question(name, identifier))
    return answer.json()["decision"] if answer.status_code == 200 else answer.json()["type"].rpartition(":")[2]


def withdraw(service: Service) -> None:
    """Alice withdraws."""
    service.ok("POST", "/v1/withdrawals", withdrawal("alice"))


def narrow(service: Service) -> None:
    """Alice withdraws, Bob's account is closed, Carol is erased; Dora's consent stands."""
    withdraw(service)
    service.ok("POST", "/v1/subjects/closures", {"subject": subject("bob")})
    service.ok("POST", "/v1/subjects/erasures", {"subject": subject("carol")})


class Restorable:
    """A deployment whose database a test can copy and set back."""

    def __init__(self, place, server, **settings):
        """Keep the place; start nothing yet."""
        self.place, self.server = place, server
        self.journal = place / "journal"
        self.journal.mkdir(exist_ok=True)
        self.settings = {
            **server.settings,
            "SCEAU_JOBS": "false",
            "SCEAU_LEASE": "PT0.5S",  # a database that is set back has the rows of processes that are gone: writes wait
            "SCEAU_STATE_DIRECTORY": str(self.journal),
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

    def _database(self, statement: str) -> None:
        """Run a statement that needs a database without connections, although a running service connects again."""
        url = self.server.embedded.url(role="postgres", database="postgres")
        with psycopg.connect(url, autocommit=True) as admin:
            eventually(lambda: self._done_alone(admin, statement))

    @staticmethod
    def _done_alone(admin: psycopg.Connection[Any], statement: str) -> bool:
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN ('sceau', 'kept')")
        with suppress(psycopg.errors.ObjectInUse):
            admin.execute(statement)
            return True
        return False

    def back_up(self):
        """Keep the database as it is."""
        self._database("DROP DATABASE IF EXISTS kept")
        self._database("CREATE DATABASE kept TEMPLATE sceau OWNER sceau_owner")

    def kept(self, path, *bodies):
        """What a service answers to these bodies, before the database is kept as it then is."""
        with self.serving() as service:
            answers = [service.call("POST", path, body) for body in bodies]
            self.back_up()
        assert {each.status_code for each in answers} <= {200, 201, 409}  # 409: an earlier test has registered it
        return [each.json() for each in answers]

    def set_back(self):
        """Replace the database by the copy that was kept."""
        self._database("DROP DATABASE sceau WITH (FORCE)")
        self._database("CREATE DATABASE sceau TEMPLATE kept OWNER sceau_owner")
        with self.server.administrator() as admin:
            admin.execute("GRANT CONNECT ON DATABASE sceau TO sceau_app")

    @contextmanager
    def lost(self, **more):
        """A service on it, of whose writes the database lacks all once the block has ended."""
        with self.serving(**more) as service:
            yield service
        self.set_back()

    def lose(self, write, **more):
        """Lose what is written by a service."""
        with self.lost(**more) as service:
            write(service)

    def command(self, *words, status=0):
        """What an operator's command prints, which must exit with that status."""
        done = run_forked(words, environment(**self.settings), ROOT, 120)
        output: str = done.stdout + done.stderr
        assert done.returncode == status, output
        return output

    def accept(self, service):
        """Accept the database as it is before a replay, so that people may decide meanwhile."""
        self.command("accept-restore", "--lost", "Not known yet.")
        self.wait_until_dealt_with(service)

    def replay(self, service, *words):
        """What a replay prints; come back once the service answers again."""
        output = self.command("replay-journal", *words)
        self.wait_until_dealt_with(service)
        return output

    @staticmethod
    def wait_until_dealt_with(service):
        """Come back once a service permits what Dora has consented to."""
        eventually(lambda: asked(service, "dora") is True)

    def hook(self, script):
        """A hook of the journal: a program of the shell."""
        made = self.place / "hook"
        made.write_text(f"#!/bin/sh\n{script}\n")
        made.chmod(0o755)
        return made

    def ids(self):
        """How many ids of people are kept."""
        with self.server.administrator() as admin:
            return admin.execute("SELECT count(*) FROM subject_vault").fetchone()[0]

    @contextmanager
    def unmounted(self):
        """The journal's directory is not there while the block lasts."""
        aside = self.journal.with_name("aside")
        self.journal.rename(aside)
        yield
        aside.rename(self.journal)

    def dump(self):
        """A dump of the database."""
        file = self.place / "dump"
        url = self.server.embedded.url(role="postgres", database="sceau")
        subprocess.run([find_binaries() / "pg_dump", "--format=custom", f"--file={file}", url], check=True)
        return file

    def restore_over(self, dump, seconds=0):
        """Restore a dump over the database, whose tables are missing meanwhile, and for so many seconds."""
        with self.server.administrator() as admin:
            admin.execute("DROP SCHEMA public CASCADE")
            admin.execute("CREATE SCHEMA public")
        time.sleep(seconds)
        url = self.server.embedded.url(role="postgres", database="sceau")
        subprocess.run([find_binaries() / "pg_restore", f"--dbname={url}", dump], check=True)

    def journal_holds(self, text):
        """Whether a line of the journal contains this text."""
        return any(text in path.read_text() for path in self.journal.glob("journal-*"))
