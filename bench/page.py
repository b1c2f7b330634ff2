"""Writes what runs measured into docs/performance.md: `./dev bench --page FILE…`, the files being those of `--json`.

Rows with a budget only: those that miss it first, then what could not be measured. Where there are several runs, each
row says which one it comes from; the files hold the other rows.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bench.processes import ROOT

PAGE: Final = ROOT / "docs" / "performance.md"
BEGINS: Final = "<!-- written by ./dev bench --page: begin -->"
ENDS: Final = "<!-- written by ./dev bench --page: end -->"
_PLACES: Final = re.compile(r" --(?:directory|json)[ =]('[^']*'|\S+)")
"""Where a run kept its data and its figures: of that machine, and nobody else's."""
_ONE_VALUE: Final = re.compile(r" \((\S+)–\1\)")
"""The range of what was measured once."""
_RANGE: Final = re.compile(r" \(\S+–\S+\)")
"""The range of what several rounds measured: it is told where a budget is missed."""
_ASIDE: Final = re.compile(r" \([^()]*\)")
"""By which program a row was held against something: its name says against what."""
_NOT_MEASURED: Final = "not measured"
_VERDICTS: Final = {True: ", met", False: ", **missed**", None: ""}


def write(files: Sequence[Path]) -> None:
    """Replace what stands between the two marks of the page.

    Raises:
        ValueError: the page lacks a mark.

    """
    runs = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8"), told(runs)), encoding="utf-8")


def replaced(page: str, text: str) -> str:
    """The page with this text between its marks.

    Raises:
        ValueError: it lacks one.

    """
    before, begins, rest = page.partition(BEGINS)
    _, ends, after = rest.partition(ENDS)
    if not begins or not ends:
        raise ValueError(f"{PAGE.name} lacks {BEGINS} or {ENDS}")
    return f"{before}{begins}\n{text}\n{ends}{after}"


def told(runs: Sequence[dict[str, Any]]) -> str:
    """What the runs were, and every row with a budget; of a row that several measured, the last one's."""
    rows = {
        row["name"]: (number, row)
        for number, run in enumerate(runs, 1)
        for row in run["rows"]
        if row["met"] is not None or row["figure"] == _NOT_MEASURED
    }
    head = ["What", "Measured", "Budget", "Behind a miss", "Run"][: 5 if len(runs) > 1 else 4]
    cells = [
        [*_cells(row), str(number)][: len(head)]
        for number, row in sorted(rows.values(), key=lambda each: _rank(each[1]))
    ]
    table = [head, ["-" * 3] * len(head), *cells]
    lines = [f"|{'|'.join(each.replace('|', '/') for each in line)}|" for line in table]
    places = [_place(run["machine"]) for run in runs]
    told_again = ["the same" if place == places[0] else place for place in places[1:]]
    runs_told = [
        _run(number, run, where)
        for number, (run, where) in enumerate(zip(runs, [*places[:1], *told_again], strict=True), 1)
    ]
    return "\n".join([*runs_told, "", *lines])


def _cells(row: dict[str, Any]) -> list[str]:
    """What is told of a row: name, figure, budget with the verdict, and first of what stands behind a miss."""
    figure = (_RANGE if row["met"] else _ONE_VALUE).sub("", row["figure"])
    budget = f"{row['budget']}{_VERDICTS[row['met']]}"
    behind = "" if row["met"] else _ASIDE.sub("", row["detail"]).partition(";")[0]
    return [row["name"], figure, budget.removeprefix(", "), behind]


def _rank(row: dict[str, Any]) -> int:
    """Misses, what was not measured, what was met; in each the order of the run."""
    if row["figure"] == _NOT_MEASURED:
        return 1
    return 2 if row["met"] else 0


def _place(machine: dict[str, Any]) -> str:
    where = f"{machine['cores']} cores, {machine['processor']}, {machine['memory']}; Python {machine['python']}"
    return f"{where}, uvicorn {machine['uvicorn']}, PostgreSQL {machine['postgresql']}"


def _run(number: int, run: dict[str, Any], where: str) -> str:
    loads = run["load_average"]
    load = f"load average {loads['at the start']:.1f} at the start, {max(loads.values()):.1f} at most"
    consents = f"{run['facts']['consents']:,} consents"
    command = _PLACES.sub("", run["command"])
    return f"{number}. `{command}`, {run['at']}, at {run['machine']['sceau']}: {where}; {consents}; {load}."
