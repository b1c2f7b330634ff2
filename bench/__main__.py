"""`./dev bench`: measure every row of the table of budgets in one run, side by side.

Progress goes to standard error, the table to standard output, and everything that was measured to a JSON file, which is
written after each group of rows: a run that is cut off has told what it had.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from app.db.embedded.cluster import DATABASE
from bench import machine, page
from bench.processes import ROOT
from bench.progress import say
from bench.results import Row, left_out, table
from bench.rows import (
    console,
    edge,
    heads,
    imports,
    logs,
    memory,
    missed,
    outage,
    proof,
    renewal,
    segments,
    times,
    warm,
    write_rates,
    writes,
)
from bench.world import POSTGRES, Plan, World, opened
from bench.wrk import BenchError, install_wrk

_ROWS: Final[dict[str, Callable[[World], list[Row]]]] = {
    "warm": warm.measure,
    "edge": edge.measure,
    "heads": heads.measure,
    "miss": missed.against_select,
    "tail": times.half_rate,
    "logged-tail": times.logged_rate,
    "size": missed.by_size,
    "withdrawals": times.withdrawals,
    "memory": memory.measure,
    "distinct": memory.distinct,
    "log": logs.measure,
    "segments": segments.measure,
    "writes": writes.curve,
    "rates": write_rates.rates,
    "storm": times.storm,
    "import": imports.imports,
    "console": console.measure,
    "proof": proof.measure,
    "outage": outage.measure,
    "sweep": renewal.measure,
}


_LONG: Final = ("distinct", "sweep")
"""What `--brief` leaves out."""


def main() -> int:
    """Run what was asked for."""
    asked = _arguments()
    if asked.page:
        page.write(asked.page)
        return 0
    plan = Plan(
        rounds=asked.rounds or (1 if asked.quick else 5),
        seconds=asked.seconds or (1 if asked.quick else 3 if asked.brief else 4),
        consents=asked.consents or (40_000 if asked.quick else 10_000_000 if asked.full else 1_000_000),
        quick=asked.quick,
        directory=asked.directory,
    )
    names = asked.only or [name for name in _ROWS if not (asked.brief and name in _LONG)]
    try:
        install_wrk()
        with opened(plan) as world:
            about = machine.describe(world.postgres.url(role="postgres", database=DATABASE))
            run = Run(about, world.facts, asked.json, {"at the start": machine.load_average()})
            _measure(world, names, run)
    except BenchError as error:
        say(str(error))
        return 1
    run.tell()
    return 0


def _measure(world: World, names: list[str], run: "Run") -> None:
    """The rows, and the load average after each group."""
    for number, name in enumerate(names, 1):
        say(f"measuring {name} ({number} of {len(names)}); load average {machine.load_average():.1f}")
        try:
            run.rows += _ROWS[name](world)
        except BenchError as error:
            say(f"{name}: {error}")
            run.rows.append(left_out(name, str(error)))
        except KeyboardInterrupt:
            say("interrupted: what was measured so far is told")
            run.rows += [left_out(each, "interrupted") for each in names[number - 1 :]]
            return
        run.loads[name] = machine.load_average()
        run.write()


@dataclass(slots=True)
class Run:
    """What a run has found so far, on what machine, and where it is written."""

    about: dict[str, str]
    facts: dict[str, object]
    file: Path
    loads: dict[str, float]
    rows: list[Row] = field(default_factory=list)
    command: str = field(default_factory=lambda: shlex.join(["./dev", "bench", *sys.argv[1:]]))
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    def write(self) -> None:
        """Everything, as JSON."""
        told = {
            "command": self.command,
            "at": self.at,
            "machine": self.about,
            "postgresql_settings": POSTGRES,
            "load_average": self.loads,
            "facts": self.facts,
            "rows": [asdict(row) for row in self.rows],
        }
        self.file.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    def tell(self) -> None:
        """As JSON, and as a table on standard output."""
        self.write()
        print(f"`{self.command}`, {self.at}\n")
        print("; ".join(f"{name} {value}" for name, value in self.about.items()))
        print("load average: " + ", ".join(f"{name} {value:.1f}" for name, value in self.loads.items()))
        print(f"{self.facts['consents']:,} consents, loaded in {self.facts['load_seconds']:.0f} s\n")
        print(table(self.rows))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round on 40,000 consents: does it run at all?")
    parser.add_argument("--full", action="store_true", help="on ten million consents (about 20 GB of disk)")
    parser.add_argument("--brief", action="store_true", help=f"all but {' and '.join(_LONG)}, in bursts of 3 s")
    parser.add_argument(
        "--page", nargs="+", type=Path, metavar="JSON", help="write docs/performance.md from such files"
    )
    parser.add_argument("--only", action="append", choices=list(_ROWS), metavar="ROW", help=f"{', '.join(_ROWS)}")
    parser.add_argument("--consents", type=int, help="how many consents are in the database (1,000,000)")
    parser.add_argument("--rounds", type=int, help="interleaved rounds (5)")
    parser.add_argument("--seconds", type=float, help="length of a burst (4)")
    parser.add_argument("--directory", type=Path, help="keep the database there, and use it again")
    parser.add_argument("--json", type=Path, default=ROOT / ".venv" / "bench.json", help="where the JSON goes")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
