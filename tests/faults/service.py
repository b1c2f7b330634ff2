"""A real `sceau serve` in a process of its own, and the embedded server that it works on."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import psycopg

from app.db.embedded.cluster import APP_ROLE, OWNER_ROLE
from app.db.embedded.server import EmbeddedServer
from app.db.migrate import migrate
from tests.support import forked
from tests.support.api import BOOTSTRAP, MASTER_KEY, PSEUDONYM_KEY
from tests.support.clusters import FASTER, PLACE, copy_cluster
from tests.support.forked import Forked, start_command

ROOT = forked.ROOT
COMMAND = (sys.executable, "-c", "from app.cli import main; main()")
HANGS = 300.0
"""Seconds after which something is held to hang for ever: no test expects a time, each only needs an end."""


def eventually(condition: Callable[[], Any], seconds: float = HANGS) -> Any:
    """What a condition gives once it gives something true; fails when it does not within so many seconds."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.02)
    return found


def wait_for_lease(api: Any) -> None:
    """Wait until an application (`tests.support.api.Api`) may decide from memory."""
    eventually(lambda: api.ok("GET", "/readyz")["leased"])


_ports = count(20_000 + os.getpid() * 997 % 10_000)


def free_port() -> int:
    """A port that nothing listens on, outside the range that the system hands out, elsewhere in each worker.

    A test may take half a minute before it listens there: no connection of others can have taken the port meanwhile.
    """
    for port in _ports:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise AssertionError


def environment(**more: str) -> dict[str, str]:
    """This process's environment without settings of its own, and with the keys of a deployment."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SCEAU_")}
    keys = {
        "SCEAU_PSEUDONYM_KEY": PSEUDONYM_KEY,
        "SCEAU_MASTER_KEY": MASTER_KEY,
        "SCEAU_BOOTSTRAP_KEY": BOOTSTRAP,
        "SCEAU_DRAIN": "PT0S",  # no balancer stands before it
    }
    if "SCEAU_DATABASE_URL" in more:  # with a database given, these must be chosen; with `--data` they have defaults
        keys |= {"SCEAU_REGISTER_APPROVAL": "one", "SCEAU_DURABILITY": "local"}
    return {**kept, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **keys, **more}


class Service:
    """One `sceau serve`: started at once, asked over HTTP, ended by its process id."""

    def __init__(
        self,
        output: Path,
        settings: Mapping[str, str],
        *,
        command: Sequence[str] | None = None,
        data: Path | None = None,
        port: int | None = None,
        workers: int = 1,
    ) -> None:
        """Start it on settings, or on a data directory of its own; what it prints goes to a file.

        `command`: another than `sceau`, which is forked from a process that has imported it.
        """
        self.port = port or free_port()
        self.output = output
        of_data = [] if data is None else ["--data", str(data)]
        words = ["serve", "--port", str(self.port), "--workers", str(workers), *of_data]
        with output.open("ab") as sink, Path(os.devnull).open("rb") as nothing:
            self.process: Forked | subprocess.Popen[bytes]
            if command is None:
                self.process = start_command(words, environment(**settings), ROOT, (nothing, sink, sink))
            else:
                self.process = subprocess.Popen(
                    [*command, *words],
                    env=environment(**settings),
                    cwd=ROOT,
                    stdin=nothing,
                    stdout=sink,
                    stderr=sink,
                    start_new_session=True,
                )
        self.client = httpx2.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=HANGS)

    def wait_until_it_listens(self, seconds: float = HANGS) -> "Service":
        """Come back once it answers; fails when it does not within so many seconds."""

        def listens() -> bool:
            assert self.process.poll() is None, self.output.read_text()
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0

        eventually(listens, seconds)
        return self

    @property
    def authorization(self) -> str:
        """The header of the caller with every scope."""
        return f"Bearer {BOOTSTRAP}"

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        key: str | None = BOOTSTRAP,
        headers: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        """One request."""
        sent = dict(headers or {}) if key is None else {"Authorization": f"Bearer {key}", **(headers or {})}
        return self.client.request(method, path, json=body, headers=sent)

    def ok(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of a request that must succeed; the request is repeated while its outcome is unknown."""
        once = {"Idempotency-Key": uuid4().hex} if method == "POST" else {}
        answer = self.call(method, path, body, headers=once)
        until = time.monotonic() + HANGS
        while "outcome-unknown" in answer.text and time.monotonic() < until:
            answer = self.call(method, path, body, headers=once)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def end(self, wanted: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal, unless it has ended; the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(wanted)
        status = self.process.wait(HANGS)
        self.client.close()
        return status


class Server:
    """An embedded PostgreSQL with one migrated database; stopped, frozen and started as a test likes."""

    def __init__(
        self,
        directory: Path,
        settings: Mapping[str, str] | None = None,
        *,
        binaries: Path | None = None,
    ) -> None:
        """Start it on a copy of a migrated cluster, or on a new cluster with the `binaries` of another version."""
        given = {**FASTER, **(settings or {})}
        is_copied = binaries is None and PLACE in os.environ
        if is_copied:
            copy_cluster(directory / "postgres")
        self.embedded = EmbeddedServer(directory / "postgres", settings=given, binaries=binaries)
        self.embedded.start()
        if not is_copied:
            migrate(self.owner_url, self.app_url)

    @property
    def app_url(self) -> str:
        """As the application."""
        return self.embedded.url(role=APP_ROLE, database="sceau")

    @property
    def owner_url(self) -> str:
        """As the schema's owner."""
        return self.embedded.url(role=OWNER_ROLE, database="sceau")

    @property
    def settings(self) -> dict[str, str]:
        """What a service needs to work on it."""
        return {"SCEAU_DATABASE_URL": self.app_url, "SCEAU_DATABASE_OWNER_URL": self.owner_url}

    def administrator(self) -> psycopg.Connection[Any]:
        """A connection of the superuser to the service's database, each statement on its own."""
        return psycopg.connect(self.embedded.url(role="postgres", database="sceau"), autocommit=True)

    def processes(self) -> list[int]:
        """The server's processes, the postmaster first."""
        first = self.embedded.pid
        assert first is not None
        return [first, *children(first)]

    def signal(self, wanted: signal.Signals) -> None:
        """Send a signal to every process of the server."""
        for pid in self.processes():
            with suppress(ProcessLookupError):  # one that ended meanwhile
                os.kill(pid, wanted)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stopped while the block lasts: connections are refused."""
        self.embedded.stop()
        try:
            yield
        finally:
            self.embedded.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Every process of it frozen while the block lasts: it takes connections and answers nothing."""
        pids = self.processes()
        self.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in reversed(pids):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)


def children(parent: int) -> list[int]:
    """The processes that a process started and that still run."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it ended meanwhile
                continue
            if int(state[1]) == parent:
                found.append(int(entry.name))
    return found


def named(parent: int, word: bytes) -> list[int]:
    """The children of a process whose command line has a word."""
    found = []
    for pid in children(parent):
        with suppress(OSError):  # it ended meanwhile
            if word in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
    return found


def counted_in(pids: Iterable[int]) -> set[Path]:
    """The directories in which these processes count, and keep what they knew for one another."""
    mapped = [line.split()[-1] for pid in pids for line in Path(f"/proc/{pid}/maps").read_text().splitlines()]
    return {Path(each).parent for each in mapped if "sceau-metrics-" in each}


def web_workers(service: Service) -> list[int]:
    """The processes of a service that answer HTTP, where there are several: they are forked by one that imported it."""
    return [pid for forks in named(service.process.pid, b"multiprocessing.forkserver") for pid in children(forks)]
