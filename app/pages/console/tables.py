"""Tables and bar charts of the console: what their cells hold, and sizes of the drawing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

WIDTH: Final = 400
"""The width of a drawing, in its own units; it is scaled to the width that the page has."""
_ROW: Final = 22
_BAR: Final = 14
_CHART_NUMBER: Final = 74


@dataclass(frozen=True, slots=True)
class Cell:
    """The text of a cell, a second line, a class of the style sheet, and the address to which the cell links."""

    text: str
    more: str = ""
    css: str = ""
    href: str = ""


Column = tuple[str, bool]
"""A heading, and whether numbers stand below it."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table; the first cell of each row is its heading."""

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]


Row = tuple[str, int, str, str]
"""A label, its number, the number as it is written, and the series that it belongs to."""


def bar_chart(title: str, rows: Sequence[Row], *, label: int = 92) -> dict[str, Any]:
    """A chart whose longest bar takes all the room there is; numbers are 0 or more, `label` is the room for labels.

    Of each bar, `x` and `width` are of its piece, drawn if it has a width; its number stands at `end`; `y` is its top,
    `text_y` the base line of its texts. The table beside the chart has the same numbers.
    """
    most = max((number for _, number, _, _ in rows), default=0) or 1
    room = WIDTH - label - _CHART_NUMBER
    bars = []
    for place, (name, number, text, series) in enumerate(rows):
        width = max(round(number / most * room, 2), 1.0) if number else 0.0  # a number above 0 is always visible
        drawn = {"x": float(label), "width": width, "series": series, "end": round(label + width + 6, 2)}
        top, base = place * _ROW + (_ROW - _BAR) // 2, place * _ROW + 15
        bars.append({**drawn, "label": name, "said": text, "y": top, "text_y": base})
    size = {"width": WIDTH, "height": len(rows) * _ROW + 2, "start": label, "thick": _BAR}
    return {**size, "title": title, "bars": bars}
