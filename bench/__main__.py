"""`./dev bench`: measure every row of the table of budgets in one run, side by side.

Progress goes to standard error, the table to standard output, and everything that was measured to a JSON file.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from app.db.embedded import DATABASE
from bench import machine
from bench.processes import ROOT
from bench.progress import say
from bench.results import Row, left_out, table
from bench.rows import logs, memory, missed, renewal, times, warm, writes
from bench.world import POSTGRES, Plan, World, opened
from bench.wrk import BenchError, install_wrk

_ROWS: Final[dict[str, Callable[[World], list[Row]]]] = {
    "warm": warm.measure,
    "miss": missed.against_select,
    "tail": times.half_rate,
    "logged-tail": times.logged_rate,
    "size": missed.by_size,
    "withdrawals": times.withdrawals,
    "memory": memory.measure,
    "distinct": memory.distinct,
    "log": logs.measure,
    "writes": writes.curve,
    "storm": times.storm,
    "sweep": renewal.measure,
}


def main() -> int:
    """Run what was asked for."""
    asked = _arguments()
    plan = Plan(
        rounds=asked.rounds or (1 if asked.quick else 5),
        seconds=asked.seconds or (1 if asked.quick else 4),
        consents=asked.consents or (40_000 if asked.quick else 10_000_000 if asked.full else 1_000_000),
        quick=asked.quick,
        directory=asked.directory,
    )
    try:
        install_wrk()
        with opened(plan) as world:
            rows, loads = _measure(world, asked.only or list(_ROWS))
            about = machine.describe(world.postgres.url(role="postgres", database=DATABASE))
            facts = dict(world.facts)
    except BenchError as error:
        say(str(error))
        return 1
    return _tell(rows, about, facts, loads, asked.json)


def _measure(world: World, names: list[str]) -> tuple[list[Row], dict[str, float]]:
    """The rows, and the load average after each group."""
    rows: list[Row] = []
    loads = {"at the start": machine.load_average()}
    for number, name in enumerate(names, 1):
        say(f"measuring {name} ({number} of {len(names)}); load average {machine.load_average():.1f}")
        try:
            rows += _ROWS[name](world)
        except BenchError as error:
            say(f"{name}: {error}")
            rows.append(left_out(name, str(error)))
        except KeyboardInterrupt:
            say("interrupted: what was measured so far is told")
            rows += [left_out(each, "interrupted") for each in names[number - 1 :]]
            return rows, loads
        loads[name] = machine.load_average()
    return rows, loads


def _tell(rows: list[Row], about: dict[str, str], facts: dict[str, object], loads: dict[str, float], file: Path) -> int:
    command = shlex.join(["./dev", "bench", *sys.argv[1:]])
    told = {
        "command": command,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": about,
        "postgresql_settings": POSTGRES,
        "load_average": loads,
        "facts": facts,
        "rows": [asdict(row) for row in rows],
    }
    file.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"`{command}`, {told['at']}\n")
    print("; ".join(f"{name} {value}" for name, value in about.items()))
    print("load average: " + ", ".join(f"{name} {value:.1f}" for name, value in loads.items()))
    print(f"{facts['consents']:,} consents, loaded in {facts['load_seconds']:.0f} s\n")
    print(table(rows))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round on 40,000 consents: does it run at all?")
    parser.add_argument("--full", action="store_true", help="on ten million consents (about 20 GB of disk)")
    parser.add_argument("--only", action="append", choices=list(_ROWS), metavar="ROW", help=f"{', '.join(_ROWS)}")
    parser.add_argument("--consents", type=int, help="how many consents are in the database (1,000,000)")
    parser.add_argument("--rounds", type=int, help="interleaved rounds (5)")
    parser.add_argument("--seconds", type=float, help="length of a burst (4)")
    parser.add_argument("--directory", type=Path, help="keep the database there, and use it again")
    parser.add_argument("--json", type=Path, default=ROOT / ".venv" / "bench.json", help="where the JSON goes")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
