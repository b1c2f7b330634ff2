"""The deployment that is measured: one PostgreSQL, its data, and the servers that were asked for, each started once."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psycopg

from app.db.embedded.cluster import APP_ROLE, DATABASE, OWNER_ROLE
from app.db.embedded.server import EmbeddedServer
from app.db.migrate import migrate
from app.ledger.identifiers import Pseudonyms
from bench.generator import Times
from bench.loading import load_consents
from bench.processes import ROOT, Server, application, call, sceau
from bench.progress import say
from bench.questions import REGISTERED
from bench.wrk import BenchError, Target, write_requests

SMALL: Final = "sceau_small"
SMALL_CONSENTS: Final = 10_000
MILLION: Final = "sceau_million"
MILLION_CONSENTS: Final = 1_000_000
KEY: Final = "sceau_" + "b" * 43
_PSEUDONYM_KEY: Final = "11" * 32
_WARM: Final = {"sceau": 1, "logged": 1, "small": 1, "million": 1}
"""Servers that are measured warm, and how often they are asked everything first."""
POSTGRES: Final = {
    "shared_buffers": "1GB",
    "max_wal_size": "4GB",
    "max_connections": "200",
    "maintenance_work_mem": "256MB",
}
"""Settings beside the embedded server's own; fsync and synchronous_commit stay on."""


def settings_on(url: str) -> dict[str, str]:
    """What Sceau reads, on a database."""
    return {
        "SCEAU_DATABASE_URL": url,
        "SCEAU_PSEUDONYM_KEY": _PSEUDONYM_KEY,
        "SCEAU_MASTER_KEY": "1:" + "22" * 32,
        "SCEAU_BOOTSTRAP_KEY": KEY,
        "SCEAU_DECISION_LOG": "off",
        "SCEAU_DRAIN": "PT0S",
        "SCEAU_REGISTER_APPROVAL": "one",
        "SCEAU_DURABILITY": "local",
        "SCEAU_JOBS": "false",  # or a million loaded consents would be entered in the log meanwhile
        "SCEAU_RATE_LIMITS": "consents=999999999/60",  # counted as in production, and never used up
    }


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured: rounds, seconds a burst, consents in the database, and whether this is a mere smoke run."""

    rounds: int
    seconds: float
    consents: int
    quick: bool
    directory: Path | None = None


@dataclass(slots=True)
class World:
    """What the rows measure. Servers start when they are first asked for, and end with the run."""

    plan: Plan
    postgres: EmbeddedServer
    scratch: Path
    stack: ExitStack
    facts: dict[str, object] = field(default_factory=dict)
    _servers: dict[str, Server] = field(default_factory=dict)

    def environment(self, database: str = DATABASE, **more: str) -> dict[str, str]:
        """What Sceau and its alternatives read."""
        return {**settings_on(self.postgres.url(role=APP_ROLE, database=database)), **more}

    def server(self, name: str, start: Callable[[], Server]) -> Server:
        """The server of that name, started now if it does not run yet."""
        if name not in self._servers:
            say(f"starting {name}")
            self._servers[name] = start()
            self.stack.callback(self.stop, name)
        return self._servers[name]

    def sceau(self, name: str = "sceau", *, database: str = DATABASE, workers: int = 1, **settings: str) -> Server:
        """Sceau on a database."""
        environment = self.environment(database, **settings)
        return self.server(name, lambda: sceau(name, environment, self.scratch, workers=workers))

    def hold_a_million(self) -> None:
        """Have the database of a million consents, filled now if it is not there (half a minute)."""
        with psycopg.connect(self.postgres.url(role="postgres", database="postgres"), autocommit=True) as connection:
            held = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [MILLION]).fetchone()
            if held is None:
                connection.execute(f"CREATE DATABASE {MILLION} TEMPLATE {SMALL}")
                url = self.postgres.url(role="postgres", database=MILLION)
                more = MILLION_CONSENTS - SMALL_CONSENTS
                load_consents(url, Pseudonyms(bytes.fromhex(_PSEUDONYM_KEY)), SMALL_CONSENTS, more)
        _migrate(self, MILLION)

    def stop(self, name: str) -> None:
        """End a server that no later row asks for."""
        server = self._servers.pop(name, None)
        if server is not None:
            server.stop()

    def application(self, name: str) -> Server:
        """One of `bench.apps`."""
        environment = self.environment()
        return self.server(name, lambda: application(name, f"bench.apps.{name}:app", environment, self.scratch))

    def target(self, server: Server, kind: str, requests: Callable[[], Iterable[tuple[str, str]]]) -> Target:
        """Prepared requests of a kind, for a server; they are written once."""
        path = self.scratch / f"{kind}.requests"
        if not path.exists():
            write_requests(path, requests())
        return Target(server.name, server.port, server.pid, path, KEY, asked_first=_WARM.get(server.name, 0))

    def generate(self, server: Server, requests: Path, **how: float) -> subprocess.Popen[str]:
        """Start the generator of `bench.generator` on a server, in a process of its own."""
        load = {"port": server.port, "requests": str(requests), "key": KEY, **how}
        command = [sys.executable, "-m", "bench.generator", json.dumps(load)]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def generated(running: subprocess.Popen[str]) -> Times:
    """What a generator found.

    Raises:
        BenchError: it failed, or an answer was no 2xx.

    """
    output, _ = running.communicate()
    if running.returncode != 0:
        raise BenchError("the generator failed (above)")
    found = Times(**json.loads(output))
    if found.failed:
        raise BenchError(f"{found.failed} of {found.sent} answers were no 2xx")
    return found


@contextmanager
def opened(plan: Plan) -> Iterator[World]:
    """A world with its data, taken down afterwards; a directory that the plan names is kept for the next run."""
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sceau-bench-", dir="/var/tmp")))
        scratch.chmod(0o755)
        home = plan.directory or scratch
        say("starting PostgreSQL")
        postgres = stack.enter_context(EmbeddedServer(home / "postgres", settings=POSTGRES))
        world = World(plan, postgres, scratch, stack)
        _fill(world, home)
        yield world


def _fill(world: World, home: Path) -> None:
    """Migrate, register, load; a kept directory that holds as many consents is used as it is."""
    note = home / "loaded.json"
    if note.exists():
        world.facts.update(json.loads(note.read_text()))
        for name in (DATABASE, SMALL):
            _migrate(world, name)  # the code may have moved on since
    else:
        administrator = world.postgres.url(role="postgres", database="postgres")
        _migrate(world, DATABASE)
        _register(world)
        pseudonyms = Pseudonyms(bytes.fromhex(_PSEUDONYM_KEY))
        url = world.postgres.url(role="postgres", database=DATABASE)
        load_consents(url, pseudonyms, 0, SMALL_CONSENTS)
        with psycopg.connect(administrator, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {SMALL} TEMPLATE {DATABASE}")
        more = max(0, world.plan.consents - SMALL_CONSENTS)
        seconds = load_consents(url, pseudonyms, SMALL_CONSENTS, more)
        with psycopg.connect(url) as connection:
            size = connection.execute("SELECT pg_database_size(current_database())").fetchone()
        world.facts.update(consents=world.plan.consents, load_seconds=seconds, database_bytes=size[0] if size else 0)
        note.write_text(json.dumps(world.facts))
    if world.facts["consents"] != world.plan.consents:
        raise BenchError(f"{home} holds {world.facts['consents']} consents: choose another --directory, or --consents")


def _migrate(world: World, database: str) -> None:
    owner = world.postgres.url(role=OWNER_ROLE, database=database)
    migrate(owner, world.postgres.url(role=APP_ROLE, database=database))


def _register(world: World) -> None:
    """Register the processing by the API, in a server that does nothing else."""
    server = sceau("registering", world.environment(), world.scratch)
    try:
        status, answer = call(server.port, "POST", "/v1/processings", json.dumps(REGISTERED), key=KEY)
        if status != 201:  # noqa: PLR2004 - HTTP
            raise BenchError(f"the processing was not registered: {status} {answer}")
    finally:
        server.stop()
