"""Confirmed writes against the raw transaction of the same size, in the same run: single ones, and batches."""

import json
import subprocess
import sys
from collections.abc import Iterator
from functools import partial

from bench.processes import ROOT
from bench.questions import grant, withdrawal
from bench.results import Row, compared
from bench.rows.times import WITHDRAWALS
from bench.rows.warm import SUBJECTS
from bench.world import World
from bench.wrk import BenchError, Target, warm_up, wrk

_CLIENTS = 8
_TOGETHER = 100
_RAW = "bench/apps/raw_write.py, eight pipelined connections"


def rates(world: World) -> list[Row]:
    """Grants and withdrawals in turn, by one worker and by four; batches of a hundred grants."""
    one, four = (world.sceau(f"writes-{workers}", workers=workers) for workers in (1, 4))
    targets = {
        "one": world.target(one, "alternating", _alternating),
        "four": world.target(four, "alternating", _alternating),
        "batch": world.target(one, "batches", partial(_batches, _TOGETHER)),
    }
    for target in targets.values():
        target.connections = _CLIENTS
        warm_up(target, 1)
    found: dict[str, list[float]] = {name: [] for name in (*targets, "raw", "raw rows")}
    for _ in range(world.plan.rounds):
        for name, target in targets.items():
            found[name].append(wrk(target, world.plan.seconds).rate * (_TOGETHER if name == "batch" else 1))
        found["raw"].append(_raw(world, targets["one"], rows=1))
        found["raw rows"].append(_raw(world, targets["one"], rows=_TOGETHER))
    for server in (one, four):
        world.stop(server.name)
    single = "confirmed writes, eight clients, against the raw transaction"
    return [
        compared(f"{single}: 1 worker", found["one"], found["raw"], 0.17, other=_RAW),
        compared(f"{single}: 4 workers", found["four"], found["raw"], 0.12, other=_RAW),
        compared(
            f"`POST /v1/consents/batch`, {_TOGETHER} a request, against one multi-row INSERT for each table",
            found["batch"],
            found["raw rows"],
            0.5,
            unit=" items/s",
            other=_RAW,
        ),
    ]


def _alternating() -> Iterator[tuple[str, str]]:
    for number in range(SUBJECTS):
        yield "/v1/consents", grant(number)
        yield WITHDRAWALS, withdrawal(number)


def _batches(size: int) -> Iterator[tuple[str, str]]:
    for first in range(0, SUBJECTS, size):
        items = ",".join(grant(number) for number in range(first, first + size))
        yield "/v1/consents/batch", f'{{"items":[{items}]}}'


def _raw(world: World, like: Target, *, rows: int) -> float:
    """Events a second of raw transactions, on as many connections as the target has clients."""
    url = world.environment()["SCEAU_DATABASE_URL"]
    load = {"url": url, "seconds": world.plan.seconds, "connections": like.connections, "rows": rows}
    command = [sys.executable, "-m", "bench.apps.raw_write", json.dumps(load)]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise BenchError(f"the raw write failed: {done.stderr.strip().splitlines()[-1:]}")
    told = json.loads(done.stdout)
    return float(told["events"] / told["seconds"])
