"""Bar charts as inline SVG: sizes computed here, drawn by a template, coloured by the style sheet; no script.

Bars lie, one for each row, so that labels can be read on a phone and on paper. The table beside a chart has the same
numbers: the picture adds nothing that cannot be read there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 400
"""Of the drawing, in its own units; it is scaled to the width there is."""
_LABEL: Final = 92
_NUMBER: Final = 74
_ROW: Final = 22
_BAR: Final = 14


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a bar: where it begins and how wide it is, and the class that says which series it belongs to."""

    x: float
    width: float
    series: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One row: its label, its pieces, and what stands after them, at `end`; `y` is the top, `text_y` the base line."""

    label: str
    parts: tuple[Part, ...]
    said: str
    y: int
    text_y: int
    end: float


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing of that many units in height."""

    bars: tuple[Bar, ...]
    height: int
    width: int = WIDTH
    start: int = _LABEL
    thick: int = _BAR


Row = tuple[str, Sequence[tuple[str, int]], str]
"""A label, the numbers with their series, and what is written at the end of the bar."""


def bar_chart(rows: Sequence[Row]) -> Chart:
    """A chart whose longest bar takes all the room there is; all numbers are 0 or more."""
    most = max((sum(number for _, number in numbers) for _, numbers, _ in rows), default=0) or 1
    room = WIDTH - _LABEL - _NUMBER
    bars = []
    for place, (label, numbers, said) in enumerate(rows):
        parts, at = [], float(_LABEL)
        for series, number in numbers:
            width = round(number / most * room, 2)
            if number:
                width = max(width, 1.0)  # what is there is seen
                parts.append(Part(round(at, 2), width, series))
                at += width
        top = place * _ROW + (_ROW - _BAR) // 2
        bars.append(Bar(label, tuple(parts), said, top, place * _ROW + 15, round(at + 6, 2)))
    return Chart(tuple(bars), len(rows) * _ROW + 2)
