"""`./dev bench fuzz [--minutes N] [--seed N] [--requests N]`: is any request ever answered as another would be?

Requests in every shape go over raw sockets to a real service, and each answer is compared with what a second reader of
HTTP and JSON, the rules, and the writes of the run itself say. Exit 1 on a finding, which is printed with its seed and
the shortest requests that show it again; 1 as well when a part answered too little to show anything.
"""

import argparse
import asyncio
import json
import signal
import sys
import tempfile
from pathlib import Path
from typing import Final

from app.db.embedded.cluster import APP_ROLE, DATABASE, OWNER_ROLE
from app.db.embedded.server import EmbeddedServer
from app.db.migrate import migrate
from bench.fuzz.stages import PARTS, Extent, Stage, play_part
from bench.progress import say

_SERVER: Final = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
_FEWEST: Final = 100
"""Permits, without which a part shows nothing."""


def main() -> int:
    """Run every part, and print what was seen and found."""
    asked = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what was started is stopped
    names = asked.only or list(PARTS)
    stages: list[Stage] = []
    with tempfile.TemporaryDirectory(prefix="sceau-fuzz-", dir="/var/tmp") as made:
        directory = Path(made)
        directory.chmod(0o755)
        with EmbeddedServer(directory / "postgres", settings=_SERVER) as server:
            owner, role = (server.url(role=name, database=DATABASE) for name in (OWNER_ROLE, APP_ROLE))
            migrate(owner, role)
            for name in names:
                extent = Extent(
                    f"{asked.seed}-{name}",
                    asked.requests // len(names),
                    asked.minutes * 60 / len(names),
                    asked.without or (),
                )
                stages.append(asyncio.run(play_part(name, role, directory, extent)))
                _tell_findings(stages[-1])
    _tell(stages)
    if asked.json:
        asked.json.write_text(json.dumps([_report(stage) for stage in stages], indent=2) + "\n")
    idle = [stage.name for stage in stages if stage.permits < _FEWEST and not stage.findings]
    for name in idle:
        say(f"{name}: too few permits to show anything")
    return int(bool(idle) or any(stage.findings for stage in stages))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long at most, all parts together (10)")
    parser.add_argument("--seed", type=int, default=1, help="of everything that is chosen (1)")
    parser.add_argument("--requests", type=int, default=10_000_000, help="how many at most, all parts together")
    parser.add_argument("--only", choices=PARTS, action="append", help="one part (repeatable)")
    parser.add_argument(
        "--without",
        action="append",
        help="leave out a play or a variant of heads, such as trailers; `long`: long flights (repeatable)",
    )
    parser.add_argument("--json", type=Path, help="write everything here")
    return parser.parse_args()


def _tell(stages: list[Stage]) -> None:
    columns = ("answered", "decisions", "permits", "by route", "writes", "rounds", "found")
    print(f"{'part':<28}" + "".join(f"{column:>11}" for column in columns))
    for stage in stages:
        seen = stage.seen
        numbers = (seen["answered"], stage.decisions, stage.permits, seen["by the documented route"], seen["writes"])
        print(f"{stage.name:<28}" + "".join(f"{n:>11}" for n in (*numbers, seen["rounds"], len(stage.findings))))
    for stage in stages:
        print(f"\n{stage.name}: {dict(sorted(stage.seen.items()))}, {stage.tokens} tokens checked")


def _tell_findings(stage: Stage) -> None:
    """What was found in a part, with its seed and what to send to see it again."""
    for finding, again in stage.findings:
        print(f"\nFOUND in {stage.name}, seed {stage.seed}, round {finding.round}: {finding.what}")
        print(f"  again, by what follows: {again.what}" if again.what else "  not seen again; what was sent:")
        for track in again.play:
            print(f"  a connection{', half closed at last' if track.ends else ''}:")
            for flight in track.flights:
                print(f"    {flight.data!r}" + (f" cut at {list(flight.cuts)[:40]}" if flight.cuts else ""), flush=True)


def _report(stage: Stage) -> dict[str, object]:
    found = [
        {"round": each.round, "what": each.what, "again": again.what, "sent": repr(again.play)}
        for each, again in stage.findings
    ]
    return {
        "part": stage.name,
        "seed": stage.seed,
        "seen": stage.seen,
        "decisions": stage.decisions,
        "permits": stage.permits,
        "tokens": stage.tokens,
        "found": found,
    }


if __name__ == "__main__":
    sys.exit(main())
