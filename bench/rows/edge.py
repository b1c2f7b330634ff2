"""Decisions in the caller's own process, beside the same questions over HTTP and beside Cedar in process."""

import json
import os
import subprocess
import sys

from bench.figures import Spread
from bench.processes import ROOT
from bench.results import Row, bounded
from bench.world import KEY, World
from bench.wrk import BenchError

_PEOPLE = 100_000
_DECISIONS = 2_000_000
_LEAST = 600_000
_MEGABYTES = 60
_CLIENT = ROOT / "clients" / "python" / "src"
_LOGGED = "SELECT coalesce(sum(rows), 0) FROM decision_segment"


def measure(world: World) -> list[Row]:
    """A program beside a worker whose log is on: it decides, and reports."""
    people = min(_PEOPLE, world.plan.consents)
    decisions = _DECISIONS // (10 if world.plan.quick else 1)
    socket = world.scratch / "edge.sock"
    server = world.sceau("edge", SCEAU_EDGE_SOCKET=str(socket), SCEAU_DECISION_LOG="buffered")
    command = [sys.executable, "-m", "bench.apps.edge", str(socket), f"http://127.0.0.1:{server.port}"]
    runs = []
    before = server.resident_mb()
    for _ in range(world.plan.rounds):
        found = subprocess.run(
            [*command, str(people), str(decisions)],
            cwd=ROOT,
            env={**os.environ, "SCEAU_KEY": KEY, "PYTHONPATH": str(_CLIENT)},
            capture_output=True,
            text=True,
            check=False,
        )
        if found.returncode != 0:
            raise BenchError(f"the program with an edge failed: {found.stderr[-500:]}")
        runs.append(json.loads(found.stdout))
    grown = server.resident_mb() - before
    world.stop("edge")
    return _rows(runs, decisions, grown)


def _rows(runs: list[dict[str, float]], decisions: int, grown: float) -> list[Row]:
    if any(run["permitted"] != decisions for run in runs):
        raise BenchError("an edge answered something else than a permit")
    of = {name: Spread.of([run[name] for run in runs]) for name in runs[0]}
    rate, by_cpu, http, cedar = (of[name].middle for name in ("rate", "by_cpu", "http", "cedar"))
    people, filled = of["people"].middle, of["fill_seconds"].middle
    by_core = Row(
        "decisions in the caller's process, on one core, their reports to the log made and sent",
        f"{by_cpu:,.0f}/s",
        f"≥ {_LEAST:,}/s",
        by_cpu >= _LEAST,
        f"{rate:,.0f}/s by the clock; {people:,.0f} people, first asked about in {filled:.0f} s",
        {"runs": runs},
    )
    peers = Row(
        "the same against the client over HTTP, and against cedarpy in process",
        f"{rate / http:,.0f} × and {rate / cedar:,.0f} ×",
        detail=f"{http:,.0f}/s over HTTP, one by one; {cedar:,.0f}/s by cedarpy, which reads its policy each time",
    )
    size = Spread.of([run["bytes_each"] * _PEOPLE / 1e6 for run in runs])
    held = "memory of the caller for 100,000 held decisions"
    return [by_core, peers, bounded(held, size, _MEGABYTES, "MB", detail=f"the worker grew by {grown:.0f} MB")]
