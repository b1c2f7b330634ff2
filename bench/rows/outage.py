"""How long a question about an exempt purpose takes from the moment on at which the database goes away."""

import http.client
import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from http import HTTPStatus
from pathlib import Path

from app.db.embedded.cluster import APP_ROLE, DATABASE, OWNER_ROLE
from app.db.embedded.server import EmbeddedServer
from app.db.migrate import migrate
from bench.figures import Spread
from bench.processes import Server, call, sceau
from bench.questions import REGISTERED
from bench.results import Row, bounded
from bench.rows.warm import SINGLE
from bench.world import KEY, World
from bench.wrk import BenchError

_BUDGET_MS = 50
_ASKED_SECONDS = 8.0
_PAUSE_SECONDS = 0.005
_FILTER = {**REGISTERED, "id": "filter", "purpose": "malware_detection"}
_QUESTION = json.dumps(
    {
        "subject": {"type": "user", "id": "user1@example.fr"},
        "action": {"name": "filter"},
        "resource": {"type": "correspondence", "id": "a"},
    }
)


def measure(world: World) -> list[Row]:
    """Each outage in each mode, on a PostgreSQL of its own; and a start without the database."""
    with EmbeddedServer(world.scratch / "outage") as postgres:
        owner, application = (postgres.url(role=role, database=DATABASE) for role in (OWNER_ROLE, APP_ROLE))
        migrate(owner, application)
        (kept := world.scratch / "state").mkdir()
        settings = {**world.environment(), "SCEAU_DATABASE_URL": application, "SCEAU_STATE_DIRECTORY": str(kept)}
        rows = []
        for mode in ("leased", "strict"):
            for name, fault in (("silent", _frozen), ("refusing connections", _stopped)):
                asked = partial(_longest, world, {**settings, "SCEAU_CACHE": mode}, partial(fault, postgres))
                longest = [asked(f"outage-{mode}-{number}") for number in range(world.plan.rounds)]
                rows.append(_row(f"exempt question, {mode}, database {name}", longest))
        rows.append(_row("exempt question, started without the database", _without(world, postgres, settings)))
    return rows


def _row(name: str, found: list[tuple[float, float, int]]) -> Row:
    """`found`: of each round the longest, the middle, and how many were asked; milliseconds."""
    middle = Spread.of([each for _, each, _ in found]).middle
    asked = sum(count for _, _, count in found)
    longest = Spread.of([each for each, _, _ in found])
    return bounded(f"{name}: the longest", longest, _BUDGET_MS, "ms", detail=f"median {middle:.2f} ms; {asked:,} asked")


def _longest(
    world: World, settings: Mapping[str, str], fault: Callable[[], AbstractContextManager[None]], name: str
) -> tuple[float, float, int]:
    server = sceau(name, settings, world.scratch)
    try:
        call(server.port, "POST", "/v1/processings", json.dumps(_FILTER), key=KEY)  # taken in later rounds
        _ask(server, 2)
        with fault():
            return _ask(server, _ASKED_SECONDS)
    finally:
        server.stop()


def _without(world: World, postgres: EmbeddedServer, settings: Mapping[str, str]) -> list[tuple[float, float, int]]:
    """The file was written by the servers before; each round starts another without its database."""
    found = []
    with _stopped(postgres):
        for _ in range(world.plan.rounds):
            server = sceau("outage-late", settings, world.scratch)
            try:
                found.append(_ask(server, _ASKED_SECONDS))
            finally:
                server.stop()
    return found


def _ask(server: Server, seconds: float) -> tuple[float, float, int]:
    """Ask one after the other on one connection: the longest and the middle (milliseconds), and how many were asked.

    Raises:
        BenchError: one was no permit.

    """
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
    took, until = [], time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.perf_counter()
        connection.request("POST", SINGLE, _QUESTION, headers)
        answer = connection.getresponse()
        body = answer.read()
        took.append((time.perf_counter() - began) * 1_000)
        if answer.status != HTTPStatus.OK or not json.loads(body)["decision"]:
            raise BenchError(f"an exempt question was answered {answer.status}")
        time.sleep(_PAUSE_SECONDS)
    connection.close()
    return max(took), sorted(took)[len(took) // 2], len(took)


@contextmanager
def _stopped(postgres: EmbeddedServer) -> Iterator[None]:
    postgres.stop()
    try:
        yield
    finally:
        postgres.start()


@contextmanager
def _frozen(postgres: EmbeddedServer) -> Iterator[None]:
    """Every process of the server stands still: it takes connections and says nothing."""
    pids = _processes(postgres.pid)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)


def _processes(first: int | None) -> list[int]:
    """A process, and those that it started."""
    if first is None:
        raise BenchError("PostgreSQL does not run")
    found = [first]
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (entry / "stat").exists():
            parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            found += [int(entry.name)] if int(parent) == first else []
    return found
