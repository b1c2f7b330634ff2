"""A deployment with a log: what tests append to it, bundle and verify, by the commands that operators have."""

import asyncio
import hashlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import psycopg

from app.jobs.tasks import append_all, close_all
from app.jobs.work import Work
from app.journal.files import HeadsUnreadableError, KeptHeads
from app.operations.proof.append_entries import LogRefusedError
from app.proof.sources import SOURCES
from app.wiring.parts import database_of, deployment_of, proof_plan_of
from tests.support.api import running, settings_for
from tests.support.commands import run_command
from tests.support.databases import TestDatabase, administrator_url, new_database, rows
from tests.support.staff import publish

GOOD, WRONG, UNREADABLE, INCOMPLETE = range(4)
"""Exit statuses of the verifier, and of a replay; INCOMPLETE is good as far as it goes: nothing outside anchors it."""
PUBLIC_URL = "https://sceau.example.fr"
MINUTES_LATER = """
UPDATE consent_event SET recorded_at = recorded_at + interval '3 minutes'
WHERE recorded_at = (SELECT max(recorded_at) FROM consent_event)"""
"""Makes the last event one of three minutes later, so that each promise from before it is due."""


@dataclass
class Log:
    """The log of a test's database; heads are kept in a directory beside."""

    database: TestDatabase
    place: Path
    more: dict[str, str] = field(default_factory=dict)
    """Settings beside those of every log."""
    _key: str = field(default="", init=False)

    def __post_init__(self):
        """Make the directory that heads are kept in."""
        self.heads = self.place / "heads"
        self.heads.mkdir()

    def sceau(self, *words):
        """Run a command."""
        if words[0] == "signing-keys":
            self._key = ""
        return run_command(self.database, *words, public_url=PUBLIC_URL, state_directory=str(self.heads), **self.more)

    def append(self):
        """Append as the jobs process does; how many entries were added, or why it refused."""
        settings = settings_for(self.database, public_url=PUBLIC_URL, state_directory=self.heads)

        async def append():
            database = database_of(settings)
            try:
                return await append_all(Work(database, deployment_of(settings), log=proof_plan_of(settings)))
            finally:
                await database.close()

        try:
            return f"{asyncio.run(append())} entries appended"
        except (LogRefusedError, HeadsUnreadableError) as error:
            return str(error)

    def close(self):
        """Merge and state the hours of the decision log as the jobs process does; how many statements."""

        async def close():
            settings = settings_for(self.database)
            database = database_of(settings)
            try:
                return await close_all(Work(database, deployment_of(settings)))
            finally:
                await database.close()

        return asyncio.run(close())

    def key(self):
        """The keys that verify the log and receipts, a line for each; asked for again once one was made or rotated."""
        keys = self._key or self.sceau("proof", "key")[2].strip()
        self._key = keys if "/ledger" in keys else ""
        return keys

    def head(self):
        """The last checkpoint that was kept outside the database."""
        return (self.heads / "checkpoint").read_text()

    def bundle(self, *words, name="bundle.zip"):
        """Make a bundle."""
        status, refused, _ = self.sceau("proof", "bundle", "-o", self.place / name, *words)
        assert status == 0, refused
        return self.place / name

    def verify(self, bundle, *against, key=None, roots=None, witness=None):
        """Verify a bundle: the exit status, and what was said. `roots`: of authorities; `witness`: the key of one."""
        options = [part for each in against for part in ("--against", each)]
        options += ["--tsa-ca", roots] if roots is not None else []
        options += ["--key", witness] if witness is not None else []
        status, _, output = self.sceau("proof", "verify", bundle, "--key", key or self.key().split("\n")[0], *options)
        return status, output

    def verified(self, *files):
        """Verify files together, with all keys of the deployment: the exit status, and what was said."""
        keys = [part for key in self.key().split("\n") for part in ("--key", key)]
        status, _, output = self.sceau("proof", "verify", *files, *keys)
        return status, output

    def alone(self, *words, how=()):
        """What the single file of the verifier says of files, without anything of ours; its keys are among the words.

        `how`: what Python runs in the place of that file.
        """
        script = self.place / "verify.py"
        script.write_text(self.sceau("proof", "verify", "--script")[2])
        line = [sys.executable, "-I", *how, script, *words]
        return subprocess.run(line, capture_output=True, text=True, check=False, cwd=self.place)

    def kept(self, name):
        """The head as it is now, in a file."""
        (self.place / name).write_text(self.head())
        return self.place / name

    def receipt(self, api, identifier, name="receipt.jwt"):
        """The receipt of an act, in a file."""
        (self.place / name).write_text(api.call("GET", f"/v1/consents/{identifier}/receipt").text)
        return self.place / name

    def withdrawn(self, name="alice", processing="ads"):
        """Have a person withdraw, and enter that in the log; the withdrawal's id."""
        with running(self.database) as api:
            withdrawal = api.withdraw(name, processing)["id"]
        self.append()
        return withdrawal

    def superuser(self, *statements):
        """Tamper, as a superuser can: no trigger runs, no right is missing."""
        with psycopg.connect(administrator_url(self.database.name), autocommit=True) as connection:
            connection.execute("SET session_replication_role = replica")
            for statement in statements:
                assert connection.execute(statement).rowcount != 0, statement

    def queue_all(self):
        """Queue every row that is entered, as a superuser could who began the log anew."""
        with psycopg.connect(administrator_url(self.database.name)) as connection:
            for kind, source in SOURCES.items():
                rows = f"SELECT '{kind}', {source.id} FROM {source.tables} ORDER BY 2"
                connection.execute(f"INSERT INTO proof_queue (kind, id) {rows}")

    def value(self, query):
        """The single value that a query finds."""
        ((value,),) = rows(self.database, query)
        return value


def ended(told: tuple[int, str], status: int, *words: str) -> bool:
    """Whether a command ended with that status and said each of these words, and WRONG only where something is."""
    print(told[1])  # shown if the test fails
    said = all(each in told[1] for each in words)
    return told[0] == status and said and (status == WRONG or "WRONG" not in told[1])


@contextmanager
def copied(made: Log, place: Path) -> Iterator[Log]:
    """The same log on a copy of its database: a fraction of the time of making it again.

    The copy may have been made before the log grew: the head that is kept beside it is its own.
    """
    with new_database(template=made.database.name) as database:
        log = Log(database, place, made.more)
        if note := log.value("SELECT (SELECT note FROM proof_checkpoint ORDER BY size DESC LIMIT 1)"):
            KeptHeads(log.heads).keep(note)
        yield log


def lived_in(database, place):
    """A deployment in which something of each kind happened, all of it in the log."""
    with running(database) as api:
        api.register("ads")
        api.register("stats", purpose="statistics")
        api.ok("PATCH", "/v1/processings/stats", {"status": "suspended"})
        for name in ("alice", "bob", "carol"):
            api.decide(name, "ads")
        api.withdraw("bob", "ads")
        api.decide("dora", "ads", "refused")
        publish(api)
    made = Log(database, place)
    assert "entries appended" in made.append()
    return made


def rewritten(bundle, target, changes, *, manifest=False):
    """A bundle with files changed, added or left out; with a list of tags, or both lists, that fit."""
    with zipfile.ZipFile(bundle) as old, zipfile.ZipFile(target, "w") as new:
        kept = {}
        for name in dict.fromkeys([*old.namelist(), *changes]):
            change = changes.get(name, lambda content: content)
            if change is not None:
                kept[name] = change(old.read(name) if name in old.namelist() else b"")
        if manifest:
            listed = [f"{sha256(kept[name]).hexdigest()}  {name}\n" for name in kept if name.startswith("data/")]
            kept["manifest-sha256.txt"] = "".join(listed).encode()
        tags = [name for name in kept if not name.startswith(("data/", "tagmanifest"))]
        if "tagmanifest-sha256.txt" in kept:
            listed = [f"{sha256(kept[name]).hexdigest()}  {name}\n" for name in tags]
            kept["tagmanifest-sha256.txt"] = "".join(listed).encode()
        for name, content in kept.items():
            new.writestr(name, content)
    return target


def file_of(bundle, name):
    """The content of a file of a bundle."""
    with zipfile.ZipFile(bundle) as bag:
        return bag.read(name)


def lines_of(bundle, name="data/entries.ndjson"):
    """The lines of a file of a bundle."""
    return [json.loads(line) for line in file_of(bundle, name).splitlines()]


def replaced(bundle, forged, name, content):
    """A bundle with another content of one file, listed as it is now."""
    with zipfile.ZipFile(bundle) as old, zipfile.ZipFile(forged, "w") as new:
        for each in old.namelist():
            data = content if each == name else old.read(each)
            if each == "manifest-sha256.txt":
                listed = [line.split("  ") for line in data.decode().splitlines()]
                digest = hashlib.sha256(content).hexdigest()
                data = "".join(f"{digest if path == name else old_one}  {path}\n" for old_one, path in listed).encode()
            new.writestr(each, data)
    return forged
