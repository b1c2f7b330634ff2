"""A service of several workers that serve edges, called over HTTP by one client for each."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self, cast
from uuid import uuid4

import httpx2
from starlette.testclient import TestClient

from bench.stale.fleet import KEY, ROOT, Fleet, Worker
from tests.support.api import Api
from tests.support.forking import forked_within

CLIENT = ROOT / "clients" / "python" / "src"


class Service:
    """Workers on one database; the first serves edges at `socket`. `api` has a caller of each worker's API."""

    def __init__(self, workers: list[Worker], path: Path, clients: list[httpx2.Client]):
        self.workers = workers
        self.socket = path
        self.api = [Api(cast(TestClient, client), KEY) for client in clients]  # both are httpx's kind

    def register(self, **more) -> str:
        """A new processing that rests on consent; its id."""
        name = f"ads-{uuid4().hex[:8]}"
        self.api[0].register(name, **more)
        return name

    def consented(self, worker: int = 0, **more) -> str:
        """Such a processing to which alice consents at a worker."""
        name = self.register(**more)
        self.api[worker].decide("alice", name)
        return name

    def url(self, worker: int = 0) -> str:
        """Where a worker answers."""
        return f"http://127.0.0.1:{self.workers[worker].port}"

    def rows(self, what: str) -> float:
        """How many decisions the log of the first worker has `written`, or has `dropped`."""
        metrics = self.api[0].call("GET", "/metrics").text.splitlines()
        named = [each for each in metrics if each.startswith(f'sceau_decision_log_rows_total{{what="{what}"')]
        return sum(float(line.rpartition(" ")[2]) for line in named)

    def program(self, key: str = KEY) -> "Program":
        """A separate process with an edge."""
        return Program(self.socket, key)

    def caller(self, *scopes: str, **more):
        """A new caller, with its key."""
        body = {"name": "edge", "scopes": list(scopes) or ["decisions:evaluate"], **more}
        return self.api[0].ok("POST", "/v1/keys", body)


class Program:
    """A process with an edge (`tests.edge.program`)."""

    def __init__(self, path: Path, key: str):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.edge.program", str(path)],
            env={**os.environ, "SCEAU_KEY": key, "PYTHONPATH": str(CLIENT)},
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def say(self, line: str) -> str:
        """The first word of the answer to a line."""
        return self.answer(line).split()[0]

    def answer(self, line: str) -> str:
        """The whole answer to a line: where a decision comes from, too."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


def stranger(path: Path, sent: bytes = b"") -> socket.socket:
    """A program that is connected to the socket of edges, and may have sent something."""
    made = socket.socket(socket.AF_UNIX)
    made.connect(str(path))  # without a timeout: it waits while too many others connect
    if sent:
        made.sendall(sent)
    made.settimeout(20)
    return made


def hung_up_on(path: Path, sent: bytes) -> bool:
    """Whether a program that sent this is hung up on without an answer."""
    with stranger(path, sent) as hears, suppress(ConnectionResetError):  # which is that as well
        return hears.recv(1) == b""
    return True


@contextmanager
def served(database, directory: Path, *, workers: int = 2, both: bool = False, **settings: str) -> Iterator[Service]:
    """Start a service and stop it at the end. `both`: every worker may serve edges, and not only the first."""
    place = directory / "edge.sock"
    mine = {"SCEAU_EDGE_SOCKET": str(place)}
    each = [mine, *(mine if both else {} for _ in range(workers - 1))]
    with (
        forked_within("bench.stale.fleet"),
        Fleet(database.app_url, directory, each, edges=False, SCEAU_DRAIN="PT0S", **settings) as fleet,
        ExitStack() as stack,
    ):
        clients = [
            stack.enter_context(httpx2.Client(base_url=f"http://127.0.0.1:{worker.port}", timeout=30))
            for worker in fleet.workers
        ]
        yield Service(fleet.workers, place, clients)
