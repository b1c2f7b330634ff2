"""How pages look like the operator's: a name that people know, and one accent colour, on which text can be read."""

import re
from dataclasses import dataclass
from typing import Final, Self

LIGHT, DARK, WHITE = "#ffffff", "#16181c", "#ffffff"
"""The paper of pages (`--paper` of the style sheet), in light and in the dark."""
ENOUGH: Final = 4.5
"""Contrast of text with what is behind it (WCAG 2.2, 1.4.3); what a control stands out by needs less (1.4.11)."""

_COLOUR: Final = re.compile(r"#[0-9a-fA-F]{6}")
_LONGEST: Final = 60
_STEPS: Final = 20
_LINEAR_BELOW: Final = 0.04045


@dataclass(frozen=True, slots=True)
class Brand:
    """The name that people know the service by; `accent`: the colour of buttons and of the line above a page."""

    name: str
    accent: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `Exemple Messagerie`, or `Exemple Messagerie, #0b5d4e`.

        Raises:
            ValueError: there is no name, or a colour that white text could not be read on.

        """
        name, comma, last = text.rpartition(",")
        accent = last.strip().lower() if comma and last.strip().startswith("#") else None
        name = (text if accent is None else name).strip()
        if not 0 < len(name) <= _LONGEST or not name.isprintable():
            raise ValueError
        if accent is not None and (_COLOUR.fullmatch(accent) is None or contrast(accent, LIGHT) < ENOUGH):
            raise ValueError
        return cls(name, accent)

    @property
    def style(self) -> str:
        """What the style sheet says besides; nothing without a colour of one's own.

        On dark paper the colour is mixed with white until it stands out there as much.
        """
        if self.accent is None:
            return ""
        mixed = (_mixed(self.accent, WHITE, step / _STEPS) for step in range(_STEPS + 1))
        dark = next(each for each in mixed if contrast(each, DARK) >= ENOUGH)
        return (
            f"\n:root {{ {_variables(self.accent, WHITE)} }}\n"
            f"@media (prefers-color-scheme: dark) {{ :root {{ {_variables(dark, DARK)} }} }}\n"
        )


def _variables(colour: str, ink: str) -> str:
    return f"--act: {colour}; --act-ink: {ink}; --accent: {colour};"


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours such as `#1a4a9c` (WCAG 2.2): 1 for the same one, 21 for black and white."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _parts(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[place : place + 2], 16) for place in (1, 3, 5))


def _luminance(colour: str) -> float:
    shares = (part / 255 for part in _parts(colour))
    linear = [each / 12.92 if each <= _LINEAR_BELOW else ((each + 0.055) / 1.055) ** 2.4 for each in shares]
    return sum(weight * each for weight, each in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def _mixed(colour: str, other: str, share: float) -> str:
    pairs = zip(_parts(colour), _parts(other), strict=True)
    return "#" + "".join(f"{round(one + (two - one) * share):02x}" for one, two in pairs)
