"""Confirmed writes against the raw transaction of the same size, in the same run: single ones, and batches."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.processes import ROOT, Server
from bench.questions import grant, withdrawal
from bench.results import Row, compared
from bench.rows.times import WITHDRAWALS
from bench.rows.warm import SUBJECTS
from bench.world import World, generated
from bench.wrk import BenchError, write_requests

_CLIENTS = 8
_TOGETHER = 100
_WARMING = 100
_RAW = "bench/apps/raw_write.py, eight pipelined connections"


def rates(world: World) -> list[Row]:
    """Grants and withdrawals in turn, by one worker and by four; batches of a hundred grants.

    Each server runs alone: the replicas of another would wake with each write. A round sends a fixed number and ends
    with the last answer: what a burst left behind would slow what comes next.
    """
    single, together = world.scratch / "alternating.requests", world.scratch / "batches.requests"
    write_requests(single, _alternating())
    write_requests(together, _batches(_TOGETHER))
    writes, batches = (200, 8) if world.plan.quick else (800, 24)
    found: dict[str, list[float]] = {name: [] for name in ("one", "four", "batch", "raw", "raw rows")}
    for _ in range(world.plan.rounds):
        with _alone(world, workers=1) as one:
            _sent(world, one, single, _WARMING)
            found["one"].append(_sent(world, one, single, writes))
            found["batch"].append(_sent(world, one, together, batches) * _TOGETHER)
        with _alone(world, workers=4) as four:
            _sent(world, four, single, _WARMING)
            found["four"].append(_sent(world, four, single, writes))
        found["raw"].append(_raw(world, rows=1))
        found["raw rows"].append(_raw(world, rows=_TOGETHER))
    what = "confirmed writes, eight clients, against the raw transaction"
    return [
        compared(f"{what}: 1 worker", found["one"], found["raw"], 0.2, other=_RAW),
        compared(f"{what}: 4 workers", found["four"], found["raw"], 0.2, other=_RAW),
        compared(
            f"`POST /v1/consents/batch`, {_TOGETHER} a request, against one multi-row INSERT for each table",
            found["batch"],
            found["raw rows"],
            0.5,
            unit=" items/s",
            other=_RAW,
        ),
    ]


@contextmanager
def _alone(world: World, *, workers: int) -> Iterator[Server]:
    server = world.sceau(f"writes-{workers}", workers=workers)
    try:
        yield server
    finally:
        world.stop(server.name)


def _alternating() -> Iterator[tuple[str, str]]:
    for number in range(SUBJECTS):
        yield "/v1/consents", grant(number)
        yield WITHDRAWALS, withdrawal(number)


def _batches(size: int) -> Iterator[tuple[str, str]]:
    for first in range(0, SUBJECTS, size):
        items = ",".join(grant(number) for number in range(first, first + size))
        yield "/v1/consents/batch", f'{{"items":[{items}]}}'


def _sent(world: World, server: Server, requests: Path, count: int) -> float:
    """Requests a second, until the last of so many is answered."""
    return count / generated(world.generate(server, requests, count=count, connections=_CLIENTS)).seconds


def _raw(world: World, *, rows: int) -> float:
    """Events a second of raw transactions, on as many connections as there are clients."""
    settings = world.environment()
    load = {
        "url": settings["SCEAU_DATABASE_URL"],
        "seconds": world.plan.seconds,
        "connections": _CLIENTS,
        "rows": rows,
        "pseudonym_key": settings["SCEAU_PSEUDONYM_KEY"],
        "consents": world.plan.consents,
    }
    command = [sys.executable, "-m", "bench.apps.raw_write", json.dumps(load)]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise BenchError(f"the raw write failed: {done.stderr.strip().splitlines()[-1:]}")
    told = json.loads(done.stdout)
    return float(told["events"] / told["seconds"])
