"""Instants as people say them in Paris, where L32-3's year is counted."""

from datetime import datetime, time, timedelta
from typing import Final

from app.core.article import PARIS
from app.pages.languages import Language

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
