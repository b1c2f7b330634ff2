"""How long a processing keeps what it derived: an ISO 8601 duration that can be compared with another."""

import re
from dataclasses import dataclass
from typing import Final, Self

from app.core.errors import InvalidPeriodError

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
    """A duration in calendar months plus seconds, and how it was written; zero means that nothing is kept."""

    months: int
    seconds: int
    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an ISO 8601 duration such as P30D, P3Y, P1Y6M or PT12H.

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
        """The ISO 8601 form, as it was given."""
        return self.text

    def may_exceed(self, other: Self) -> bool:
        """Whether this duration is longer than the other on some calendar (months are not all of one length)."""
        if self.months == other.months:
            return self.seconds > other.seconds
        longest = self.seconds + self.months * _MEAN_MONTH + (_MONTH_SLACK if self.months else 0)
        shortest = other.seconds + other.months * _MEAN_MONTH - (_MONTH_SLACK if other.months else 0)
        return longest > shortest
