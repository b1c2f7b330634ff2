"""How a consent's year is counted, and how long data are kept.

L32-3 IV: the period is "fixed by decree, never more than one year"; art. D. 98-5 I CPCE (décret 2017-428): it *is*
one year. No text says how to count it: `start_of_day` is the reading that never exceeds a year on any other.
"""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from functools import lru_cache
from typing import Final, Self

from app.core.article import FRANCE, PARIS, TIME_ZONES
from app.core.errors import InvalidPeriodError


class Counting(StrEnum):
    """When in the last day a consent lapses.

    `start_of_day`: at 00:00 on the anniversary of the civil date of collection, exclusive.
    `same_instant`: at the same local time on the anniversary.
    Both are counted on the calendar of Paris and on that of the territory of collection; the earlier instant holds.
    """

    START_OF_DAY = "start_of_day"
    SAME_INSTANT = "same_instant"


_ISO_PERIOD: Final = re.compile(r"P([1-9][0-9]{0,2})([YMWD])")
_LONGEST: Final = {"Y": 1, "M": 12, "W": 52, "D": 365}


@dataclass(frozen=True, slots=True)
class ConsentPeriod:
    """How long a consent lasts: whole months, or whole days; never more than one year."""

    months: int
    days: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse an ISO 8601 duration of one unit: P1Y, P6M, P12W, P90D.

        Raises:
            InvalidPeriodError: the text is not such a duration, or it is longer than one year.

        """
        match = _ISO_PERIOD.fullmatch(text)
        if match is None or int(match[1]) > _LONGEST[match[2]]:
            raise InvalidPeriodError
        count, unit = int(match[1]), match[2]
        if unit in "YM":
            return cls(months=count * 12 if unit == "Y" else count, days=0)
        return cls(months=0, days=count * 7 if unit == "W" else count)

    def __str__(self) -> str:
        """Return the ISO 8601 form."""
        if self.months == 12:  # noqa: PLR2004 - a year
            return "P1Y"
        return f"P{self.months}M" if self.months else f"P{self.days}D"


ONE_YEAR: Final = ConsentPeriod(months=12, days=0)


@dataclass(frozen=True, slots=True)
class PeriodPolicy:
    """What a deployment decides about periods: how they are counted, and its own ceiling (at most one year)."""

    counting: Counting = Counting.START_OF_DAY
    ceiling: ConsentPeriod = ONE_YEAR

    def expiry(self, collected_at: datetime, period: ConsentPeriod, territory: str = FRANCE) -> datetime:
        """Return the first instant (UTC) at which a consent is no longer in force.

        Args:
            collected_at: the instant of collection, aware.
            period: the period of the processing; the deployment's ceiling and the year of IV bound it.
            territory: the ISO 3166-1 code of where it was collected. It can only make the period end earlier; a
                territory whose time zone is not known here is counted as Paris.

        """
        local = [collected_at.astimezone(zone) for zone in {PARIS, TIME_ZONES.get(territory, PARIS)}]
        periods = (period, self.ceiling, ONE_YEAR)
        return min(_after(each, of, self.counting) for each in local for of in periods)

    def shorter(self, period: ConsentPeriod) -> ConsentPeriod:
        """Return the shorter of a period and this deployment's ceiling, for display (a month counts 31 days)."""
        return min(period, self.ceiling, key=lambda each: each.months * 31 + each.days)


def _after(local: datetime, period: ConsentPeriod, counting: Counting) -> datetime:
    at = time.min if counting is Counting.START_OF_DAY else local.time()
    return _ends(local.date(), at, period.months, period.days, local.tzinfo)


@lru_cache(maxsize=4096)
def _ends(day: date, at: time, months: int, days: int, zone: tzinfo | None) -> datetime:
    """Return when a period counted from a civil day ends. Many consents share a day if their hour does not count."""
    day += timedelta(days=days)
    if months:
        month = day.month - 1 + months
        day = _last_possible(day.year + month // 12, month % 12 + 1, day.day)
    moment = datetime.combine(day, at, zone)
    # A local time that does not exist, or exists twice, is read as the earlier instant: never beyond the year.
    return min(moment.replace(fold=fold).astimezone(UTC) for fold in (0, 1))


def _last_possible(year: int, month: int, day: int) -> date:
    """Return the same day of that month, or the month's last day (29 February becomes the 28th)."""
    return date(year, month, min(day, monthrange(year, month)[1]))


# How long a processing keeps what it derived: an ISO 8601 duration that can be compared with another.

_ISO_DURATION: Final = re.compile(
    r"P(?=.)(?:(\d{1,3})Y)?(?:(\d{1,4})M)?(?:(\d{1,4})W)?(?:(\d{1,5})D)?"
    r"(?:T(?=.)(?:(\d{1,5})H)?(?:(\d{1,6})M)?(?:(\d{1,7})S)?)?",
    re.ASCII,
)
_DAY: Final = 86_400
_MEAN_MONTH: Final = 2_629_746
_MONTH_SLACK: Final = 3 * _DAY


@dataclass(frozen=True, slots=True)
class Retention:
    """A duration in calendar months plus seconds, and its text as written; zero means that nothing is kept."""

    months: int
    seconds: int
    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse an ISO 8601 duration such as P30D, P3Y, P1Y6M or PT12H.

        Raises:
            InvalidPeriodError: the text is not an ISO 8601 duration.

        """
        match = _ISO_DURATION.fullmatch(text)
        if match is None:
            message = "A retention is an ISO 8601 duration such as P30D, P3Y or PT12H."
            raise InvalidPeriodError(message)
        years, months, weeks, days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
        return cls(
            months=years * 12 + months,
            seconds=(weeks * 7 + days) * _DAY + hours * 3_600 + minutes * 60 + seconds,
            text=text,
        )

    def __str__(self) -> str:
        """Return the ISO 8601 form, as it was given."""
        return self.text

    def may_exceed(self, other: Self) -> bool:
        """Return whether this duration is longer than the other on some calendar, since months differ in length."""
        if self.months == other.months:
            return self.seconds > other.seconds
        longest = self.seconds + self.months * _MEAN_MONTH + (_MONTH_SLACK if self.months else 0)
        shortest = other.seconds + other.months * _MEAN_MONTH - (_MONTH_SLACK if other.months else 0)
        return longest > shortest
