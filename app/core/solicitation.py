"""How often a person may be asked for their consent: for each processing and half-year, whatever they answered.

No text gives a number; asking again and again after an answer, or none, is no free choice (GDPR art. 7, recital 32).
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Final

from app.core.article import PARIS

MOST_ASKED: Final = 3
"""In one half-year, whoever asks; the database refuses a fourth."""
_JULY: Final = 7


def half_year(at: datetime) -> date:
    """The first day (Paris) of the half-year of an instant: that of January, or that of July."""
    day = at.astimezone(PARIS).date()
    return day.replace(month=_JULY if day.month >= _JULY else 1, day=1)


def next_half_year(at: datetime) -> datetime:
    """When the half-year of an instant is over."""
    begun = half_year(at)
    begins = begun.replace(month=_JULY) if begun.month == 1 else date(begun.year + 1, 1, 1)
    return datetime.combine(begins, time.min, PARIS).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Solicited:
    """When a person was asked in one half-year, in order; `by_person`: whether one of these was their own request."""

    at: tuple[datetime, ...] = ()
    by_person: bool = False

    def is_enough(self, said_no_at: datetime | None, *, by_person: bool) -> bool:
        """Whether they are not to be asked once more in this half-year.

        Args:
            said_no_at: when they refused or withdrew, if that is their last word: after it they are asked once.
            by_person: whether they request it themselves, which counts once.

        """
        if len(self.at) >= MOST_ASKED:
            return True
        if by_person:
            return self.by_person
        return said_no_at is not None and any(at > said_no_at for at in self.at)
