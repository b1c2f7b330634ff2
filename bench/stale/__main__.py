"""`./dev bench stale [--minutes N] [--only PART]`: whether a replica ever permits what an answered withdrawal forbids.

Real workers on a primary and its synchronous standby, with every fault of docs/freshness.md; then the same callers and
the same check with mechanisms switched off. Exit 1 on a stale permit, on too few races, on a way to answer that nobody
was answered by, on a fault that a run of twenty minutes never met, or on a control that was not caught.
"""

import argparse
import asyncio
import json
import platform
import random
import signal
import sys
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from bench.progress import say
from bench.stale import stages
from bench.stale.history import WITHDRAWN, Verdict
from bench.stale.pooler import PROGRAM
from bench.stale.servers import Servers
from bench.stale.stages import Place, Stage
from tests.freshness.mutants import IN_A_WORKER

_PARTS: Final = {"faults": (stages.faulty, 8), "pooled": (stages.pooled, 1), "strict": (stages.strict, 1)}
"""The parts that prove, and how a run's time is shared out among them."""
_WHOLE_MINUTES: Final = 20
_WITHDRAWALS: Final = 10_000
_PERMITS: Final = 1_000
"""What a run of twenty minutes or more must have met (issue of this proof); a shorter one in proportion."""


def main() -> int:
    """Run, print the table, write everything as JSON."""
    asked = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what was started is stopped
    with tempfile.TemporaryDirectory(prefix="sceau-stale-") as made:
        directory = Path(made)
        directory.chmod(0o755)
        with Servers(directory / "servers") as server:
            place = Place(server, directory, random.Random(asked.seed))
            began = datetime.now(UTC)
            proofs, controls = asyncio.run(_run(place, asked))
    total = Verdict()
    for stage in proofs:
        total.add(stage.verdict)
    wanted = Wanted.of(asked.minutes)
    _tell(proofs, controls, total, wanted)
    if asked.json:
        report = _report(began, proofs, controls, total)
        asked.json.write_text(json.dumps(report, indent=2, default=str) + "\n")
    wrong = _wrong(proofs, controls, total, wanted)
    if asked.minutes >= _WHOLE_MINUTES:
        wrong += [f"{stage.name}: never happened: {what}" for stage in proofs for what in stage.never_happened()]
    for line in wrong:
        say(line)
    return int(bool(wrong))


@dataclass(frozen=True, slots=True)
class Wanted:
    """How many withdrawals a decision must have raced, and how many permits must have been asked for on their way."""

    withdrawals: int
    permits: int

    @classmethod
    def of(cls, minutes: float) -> Self:
        """For a run of so many minutes."""
        share = min(1.0, minutes / _WHOLE_MINUTES)
        return cls(round(_WITHDRAWALS * share), round(_PERMITS * share))


def _wrong(proofs: list[Stage], controls: list[Stage], total: Verdict, wanted: Wanted) -> list[str]:
    """Why the run proves nothing, or the opposite of what it should: a line for each reason."""
    lines = [f"{len(total.stale)} stale permits"] if total.stale else []
    if not total.proves_something(withdrawals=wanted.withdrawals, permits=wanted.permits):
        lines.append("too few races to prove anything")
    lines += [f"{stage.name}: nobody was answered {', '.join(ways)}" for stage in proofs if (ways := stage.not_taken())]
    lines += [f"control not caught: {stage.name}" for stage in controls if not stage.verdict.stale]
    return lines


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench stale", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20, help="how long, the controls left aside (20)")
    parser.add_argument("--seed", type=int, default=1, help="of what callers and faults choose")
    parser.add_argument("--json", type=Path, help="write everything here")
    parser.add_argument("--no-controls", action="store_true", help="leave out the mechanisms switched off")
    parser.add_argument("--only", choices=_PARTS, action="append", help="one part, and no controls (repeatable)")
    asked = parser.parse_args()
    if PROGRAM is None and (asked.minutes >= _WHOLE_MINUTES or "pooled" in (asked.only or ())):
        parser.error("PgBouncer is not installed (apt-get install pgbouncer): a run without it proves less")
    return asked


async def _run(place: Place, asked: argparse.Namespace) -> tuple[list[Stage], list[Stage]]:
    """The parts that prove, and the controls."""
    parts = [part for name, part in _PARTS.items() if not asked.only or name in asked.only]
    share = asked.minutes * 60 / sum(each for _, each in parts)
    proofs = [stage for play, each in parts if (stage := await play(place, share * each)) is not None]
    controls = not (asked.no_controls or asked.only)
    return proofs, [await stages.control(place, mutant) for mutant in IN_A_WORKER] if controls else []


def _tell(proofs: list[Stage], controls: list[Stage], total: Verdict, wanted: Wanted) -> None:
    print(f"{'part':<28}{'decisions':>11}{'permits':>9}{'narrowing':>11}{'raced':>8}{'permits*':>10}{'stale':>7}")
    for stage in [*proofs, Stage("total", total)]:
        found, every = stage.verdict, stage.verdict.every_kind()
        print(
            f"{stage.name:<28}{found.decisions:>11}{found.permits:>9}{every.written:>11}{every.raced:>8}"
            f"{every.permits:>10}{len(found.stale):>7}"
        )
    print(f"\n{'narrowing writes by kind':<28}{'written':>31}{'raced':>8}{'permits*':>10}")
    for kind, each in sorted(total.by_kind.items()):
        print(f"  {kind:<26}{each.written:>31}{each.raced:>8}{each.permits:>10}")
    print("* asked while a narrowing write on the same thing was under way")
    found_here = total.kind(WITHDRAWN)
    print(f"wanted of a run of this length: {wanted.withdrawals:,} withdrawals raced, {wanted.permits:,} permits*;")
    print(f"found: {found_here.raced:,} and {found_here.permits:,}")
    for title, counts in (
        ("how decisions were answered", {stage.name: stage.ways for stage in proofs}),
        ("faults that happened", {stage.name: stage.happened for stage in proofs}),
        ("answers that held no decision, by status", {stage.name: stage.refused for stage in proofs}),
    ):
        for name, numbers in counts.items():
            print(f"\n{title}: {name}")
            for what, number in sorted(numbers.items()):
                print(f"  {what:<52}{number:>8}")
    print("\nswitched off, in whole workers (tests/freshness has a control for each mechanism)")
    for stage in controls:
        caught = f"caught, {len(stage.verdict.stale)} stale permits" if stage.verdict.stale else "NOT CAUGHT"
        print(f"  {stage.name:<60}{caught} in {stage.verdict.decisions} decisions")
    for stale in total.stale[:10]:
        print(stale)


def _report(began: datetime, proofs: list[Stage], controls: list[Stage], total: Verdict) -> dict[str, Any]:
    return {
        "command": f"./dev bench stale {' '.join(sys.argv[1:])}",
        "began": began.isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, Python {platform.python_version()}, Linux {platform.release()}",
        "total": asdict(total),
        "proofs": [asdict(stage) for stage in proofs],
        "controls": [
            {"name": stage.name, "stale": len(stage.verdict.stale), "decisions": stage.verdict.decisions}
            for stage in controls
        ],
    }


if __name__ == "__main__":
    sys.exit(main())
