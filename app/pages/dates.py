"""Instants as people say them in Paris, where L32-3's year is counted."""

from datetime import datetime, time, timedelta
from typing import Final

from app.core.article import PARIS
from app.pages.words import Language

_MONTHS: Final = {
    Language.FR: (
        *("janvier", "février", "mars", "avril", "mai", "juin"),
        *("juillet", "août", "septembre", "octobre", "novembre", "décembre"),
    ),
    Language.EN: (
        *("January", "February", "March", "April", "May", "June"),
        *("July", "August", "September", "October", "November", "December"),
    ),
}


def day(instant: datetime, language: Language) -> str:
    """The civil date in Paris: `1er mars 2027`, `1 March 2027`."""
    local = instant.astimezone(PARIS)
    number = "1er" if local.day == 1 and language is Language.FR else str(local.day)
    return f"{number} {_MONTHS[language][local.month - 1]} {local.year}"


def moment(instant: datetime, language: Language) -> str:
    """The date and the minute in Paris: `1er mars 2027 à 14 h 05`, `1 March 2027 at 14:05 (Paris time)`."""
    local = instant.astimezone(PARIS)
    if language is Language.FR:
        return f"{day(instant, language)} à {local.hour} h {local.minute:02} (heure de Paris)"
    return f"{day(instant, language)} at {local:%H:%M} (Paris time)"


def until(end: datetime, language: Language) -> str:
    """Up to when something lasts that is over at `end`: the last whole day where it ends at midnight in Paris."""
    local = end.astimezone(PARIS)
    if local.time() != time.min:
        return moment(end, language)
    last = day(end - timedelta(seconds=1), language)
    return f"{last} inclus" if language is Language.FR else f"{last} inclusive"


def month(text: str, language: Language, *, short: bool = False) -> str:
    """A month such as `2027-03`: `mars 2027`, `March 2027`; short: `mars 27`, `Mar 27`."""
    year, number = text.split("-")
    name = _MONTHS[language][int(number) - 1]
    if not short:
        return f"{name} {year}"
    return f"{_SHORT[language][int(number) - 1]} {year[2:]}"


_SHORT: Final = {
    Language.FR: ("janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc."),
    Language.EN: tuple(name[:3] for name in _MONTHS[Language.EN]),
}


def integer(number: int, language: Language) -> str:
    """A number with its thousands apart: `12 345` with a narrow no-break space, `12,345`."""
    grouped = f"{number:,}"
    return grouped.replace(",", "\N{NARROW NO-BREAK SPACE}") if language is Language.FR else grouped


def percent(share: float, language: Language) -> str:
    """A share of 1 in percent: `1 %`, `1%`; `0,5 %`, `0.5%`."""
    text = f"{share * 100:.3g}"
    return f"{text.replace('.', ',')}\N{NO-BREAK SPACE}%" if language is Language.FR else f"{text}%"


def seconds(length: timedelta, language: Language) -> str:
    """A duration in seconds to three figures: `0,25 s`, `0.25 s`."""
    number = length.total_seconds()
    text = f"{number:.2f}" if abs(number) < 10 else f"{number:.0f}"  # noqa: PLR2004 - figures, not a bound
    return f"{text.replace('.', ',') if language is Language.FR else text}\N{NO-BREAK SPACE}s"
