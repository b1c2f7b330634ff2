"""Instants and numbers as people say them, the instants in Paris, where L32-3's year is counted."""

from datetime import date, datetime, time, timedelta
from typing import Final

from babel.dates import format_date
from babel.numbers import format_decimal

from app.core.article import PARIS
from app.words import Catalogue, Language

_WORDS: Final = Catalogue("date")


def day(instant: datetime, language: Language) -> str:
    """The civil date in Paris: `1er mars 2027`, `1 March 2027`."""
    local = instant.astimezone(PARIS)
    number = _WORDS["first"][language] if local.day == 1 else str(local.day)
    return f"{number} {format_date(local, 'MMMM y', language)}"


def moment(instant: datetime, language: Language) -> str:
    """The date and the minute in Paris: `1er mars 2027 à 14 h 05`, `1 March 2027 at 14:05 (Paris time)`."""
    local = instant.astimezone(PARIS)
    hour = str(local.hour) if language is Language.FR else f"{local.hour:02}"
    return _WORDS["moment"][language].format(day=day(instant, language), hour=hour, minute=f"{local.minute:02}")


def until(end: datetime, language: Language) -> str:
    """Up to when something lasts that is over at `end`: the last whole day where it ends at midnight in Paris."""
    if end.astimezone(PARIS).time() != time.min:
        return moment(end, language)
    return _WORDS["whole_day"][language].format(day=day(end - timedelta(seconds=1), language))


def month(text: str, language: Language, *, short: bool = False) -> str:
    """A month such as `2027-03`: `mars 2027`, `March 2027`; short: `mars 27`, `Mar 27`."""
    return format_date(date.fromisoformat(f"{text}-01"), "MMM yy" if short else "MMMM y", language)


def integer(number: int, language: Language) -> str:
    """A number with its thousands apart: `12 345` with a narrow no-break space, `12,345`."""
    return format_decimal(number, locale=language)


def percent(share: float, language: Language) -> str:
    """A share of 1 in percent, to three figures: `1 %`, `1%`; `0,5 %`, `0.5%`."""
    number = format_decimal(f"{share * 100:.3g}", locale=language, decimal_quantization=False)
    return _WORDS["percent"][language].format(number=number)


def seconds(length: timedelta, language: Language) -> str:
    """A duration in seconds to three figures: `0,25 s`, `0.25 s`."""
    number = length.total_seconds()
    pattern = "0.00" if abs(number) < 10 else "0"  # noqa: PLR2004 - figures, not a bound
    return f"{format_decimal(number, pattern, locale=language)}\N{NO-BREAK SPACE}s"
