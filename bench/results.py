"""What a row of the table holds, and how it is told: as a line of a table and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from bench.figures import Spread, ratios


@dataclass(frozen=True, slots=True)
class Row:
    """One line: what was measured, the figure that its budget is about, and what stands behind it.

    `budget` is the bound ("≥ 0.70 ×"); `met` None when there is no bound, or nothing was measured.
    """

    name: str
    figure: str
    budget: str = ""
    met: bool | None = None
    detail: str = ""
    measured: dict[str, Any] = field(default_factory=dict)


def compared(
    name: str, ours: Sequence[float], theirs: Sequence[float], least: float, *, unit: str = "/s", other: str
) -> Row:
    """A row that compares throughputs, round by round, with a least ratio of medians."""
    spread = Spread.of(ratios(ours, theirs))
    mine, their = Spread.of(ours), Spread.of(theirs)
    return Row(
        name=name,
        figure=f"{spread.middle:.2f} × ({spread.least:.2f}–{spread.greatest:.2f})",
        budget=f"≥ {least:g} ×",
        met=spread.middle >= least,
        detail=f"{mine.middle:,.0f}{unit} against {their.middle:,.0f}{unit} ({other})",
        measured={"ours": list(ours), "theirs": list(theirs), "other": other, "ratio": asdict(spread)},
    )


def beside(name: str, ours: Sequence[float], theirs: Sequence[float], *, other: str) -> Row:
    """A row that compares throughputs, round by round, and has no budget."""
    row = compared(name, ours, theirs, 0, other=other)
    return replace(row, budget="", met=None)


def bounded(name: str, value: Spread, most: float, unit: str, *, detail: str = "", **measured: Any) -> Row:  # noqa: ANN401 - goes to JSON
    """A row whose figure has an upper bound."""
    return Row(
        name=name,
        figure=f"{value.middle:.2f} {unit} ({value.least:.2f}–{value.greatest:.2f})",
        budget=f"≤ {most:g} {unit}",
        met=value.middle <= most,
        detail=detail,
        measured={"value": asdict(value), **measured},
    )


def left_out(name: str, why: str) -> Row:
    """A row that was not measured, and why."""
    return Row(name=name, figure="not measured", detail=why)


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table that also reads well in a terminal."""
    head = ("What", "Measured", "Budget", "", "Behind it")
    verdict = {True: "met", False: "**missed**", None: ""}
    cells = [head, *((row.name, row.figure, row.budget, verdict[row.met], row.detail) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(head) - 1)] + [0]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells]
    lines.insert(1, " | ".join("-" * max(3, width) for width in widths))
    return "\n".join(f"| {line} |" for line in lines)
