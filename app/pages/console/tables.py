"""Tables and bar charts of the console: what their cells hold, and sizes of the drawing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

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


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a bar: where it begins and how wide it is, and the class that says which series it belongs to."""

    x: float
    width: float
    series: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One row: its label, its piece, and what stands after it, at `end`; `y` is the top, `text_y` the base line."""

    label: str
    parts: tuple[Part, ...]
    said: str
    y: int
    text_y: int
    end: float


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing with a title; `height` is in its own units. The table beside it has the same numbers."""

    title: str
    bars: tuple[Bar, ...]
    height: int
    start: int
    width: int = WIDTH
    thick: int = _BAR


Row = tuple[str, int, str, str]
"""A label, its number, the number as it is written, and the series that it belongs to."""


def bar_chart(title: str, rows: Sequence[Row], *, label: int = 92) -> Chart:
    """A chart whose longest bar takes all the room there is; numbers are 0 or more, `label` is the room for labels."""
    most = max((number for _, number, _, _ in rows), default=0) or 1
    room = WIDTH - label - _CHART_NUMBER
    bars = []
    for place, (name, number, said, series) in enumerate(rows):
        width = max(round(number / most * room, 2), 1.0) if number else 0.0  # a number above 0 is always visible
        parts = (Part(float(label), width, series),) if number else ()
        top = place * _ROW + (_ROW - _BAR) // 2
        bars.append(Bar(name, parts, said, top, place * _ROW + 15, round(label + width + 6, 2)))
    return Chart(title, tuple(bars), len(rows) * _ROW + 2, label)
