"""The log: entries a second, what a write costs more, size on disk, and what bundles cost to make and to verify.

The consents of the run's database were loaded past the triggers, and are put into the queue here.
"""

import os
import subprocess
import sys
import time
from statistics import median
from typing import Final

import psycopg

from app.db.embedded.cluster import DATABASE
from bench.figures import Spread
from bench.processes import ROOT, call
from bench.progress import say
from bench.questions import grant
from bench.results import Row, bounded
from bench.world import KEY, World
from bench.wrk import BenchError

_A_SECOND: Final = 2_000
_SCALE: Final = 1_000_000
_BUNDLED: Final = 100_000
_CREATED: Final = 201
_SIZES: Final = "SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relkind = 'r' AND relname LIKE 'proof_%'"


def measure(world: World) -> list[Row]:
    """Enter every consent of the database; bundle and verify; then compare writes with and without the trigger."""
    world.stop(world.sceau("proof").name)  # the first start makes the deployment's own rows
    _queue(world)
    took, _ = _run(world, "stamp")
    entries = int(_ask(world, "SELECT count(*) FROM proof_entry"))
    size = int(_ask(world, _SIZES))
    bundle = world.scratch / "audit.zip"
    made, peak = _run(world, "bundle", "-o", str(bundle))
    key = _run_out(world, "key").split("\n")[0]
    checked, checking = _run(world, "verify", str(bundle), "--key", key, good=(0, 3))
    rate, scale = entries / took, _SCALE / entries
    with_trigger, without = _writes(world)
    more = 100 * (median(with_trigger) / median(without) - 1)
    bundled = made * _BUNDLED / entries
    return [
        Row(
            f"{entries:,} entries appended, a second",
            f"{rate:,.0f}/s",
            f"≥ {_A_SECOND:,}/s",
            rate >= _A_SECOND,
            f"{took:.1f} s with the command's start",
            {"seconds": took, "entries": entries},
        ),
        Row("the log on disk, for each entry", f"{size / entries:.0f} bytes", detail=f"{size / 2**20:.0f} MiB in all"),
        bounded(
            "a bundle of 100,000 entries",
            Spread.of([bundled]),
            60,
            "s",
            detail=f"{made:.1f} s for {entries:,}, {peak:.0f} MiB of memory, {bundle.stat().st_size / 2**20:.0f} MiB",
        ),
        bounded(
            "a million entries verified, with their bodies, at the rate of this bundle",
            Spread.of([checked * scale]),
            20,
            "s",
            detail=f"{checked:.1f} s for {entries:,}, {checking:.0f} MiB of memory",
        ),
        bounded(
            "what the queue adds to a consent by the API",
            Spread.of([more]),
            5,
            "%",
            detail=f"{1000 * median(with_trigger):.2f} ms against {1000 * median(without):.2f} ms",
        ),
    ]


def _queue(world: World) -> None:
    """Queue the consents that no trigger queued."""
    with psycopg.connect(world.postgres.url(role="postgres", database=DATABASE)) as connection:
        connection.execute(
            "INSERT INTO proof_queue (kind, id) SELECT 'consent_event', id::text FROM consent_event AS event WHERE"
            " NOT EXISTS (SELECT FROM proof_queue AS queued WHERE queued.id = event.id::text)"
            " AND NOT EXISTS (SELECT FROM proof_entry AS entry WHERE entry.id = event.id::text)"
        )


def _writes(world: World) -> tuple[list[float], list[float]]:
    """Seconds of a consent by the API with the trigger and without it, in turns, so that both meet the same machine."""
    server = world.sceau("proof-writes")
    turns: tuple[list[float], list[float]] = ([], [])
    with psycopg.connect(world.postgres.url(role="postgres", database=DATABASE), autocommit=True) as connection:
        for number in range(100 if world.plan.quick else 600):
            state = "ENABLE" if number % 2 == 0 else "DISABLE"
            connection.execute(f"ALTER TABLE consent_event {state} TRIGGER queue_for_proof")
            body = grant(number)
            began = time.perf_counter()
            status, _ = call(server.port, "POST", "/v1/consents", body, key=KEY)
            turns[number % 2].append(time.perf_counter() - began)
            if status != _CREATED:
                raise BenchError(f"a consent was answered {status}")
        connection.execute("ALTER TABLE consent_event ENABLE TRIGGER queue_for_proof")
    world.stop(server.name)
    return turns


def _ask(world: World, query: str) -> str:
    with psycopg.connect(world.postgres.url(role="postgres", database=DATABASE)) as connection:
        row = connection.execute(query.encode()).fetchone()
        return str(row[0] if row else "")


def _command(world: World, words: tuple[str, ...]) -> tuple[list[str], dict[str, str]]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SCEAU_")}
    line = [sys.executable, "-c", "from app.cli import main; main()", "proof", *words]
    return line, {**kept, **world.environment()}


def _run_out(world: World, *words: str) -> str:
    line, environment = _command(world, words)
    return subprocess.run(line, env=environment, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def _run(world: World, *words: str, good: tuple[int, ...] = (0,)) -> tuple[float, float]:
    """Seconds that a command takes, its start included, and the most memory that it had, in MiB."""
    line, environment = _command(world, words)
    say(f"sceau proof {words[0]}")
    began = time.perf_counter()
    running = subprocess.Popen(line, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(running.pid, 0)
    running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode not in good:
        raise BenchError(f"sceau proof {words[0]} ended with {running.returncode}")
    return time.perf_counter() - began, used.ru_maxrss / 1024
