"""Dates as the consent page says them; left out of the page that is kept as evidence, the same for everyone."""

from dataclasses import dataclass
from datetime import datetime

from app.core.page.passages import FILLED
from app.pages import dates
from app.pages.languages import Language


@dataclass(frozen=True, slots=True)
class Times:
    """Says dates in a language; `blank` puts a sign in the place of each."""

    language: Language
    blank: bool = False

    def day(self, instant: datetime) -> str:
        """A day in Paris."""
        return FILLED if self.blank else dates.day(instant, self.language)

    def moment(self, instant: datetime) -> str:
        """A day and the minute, in Paris."""
        return FILLED if self.blank else dates.moment(instant, self.language)

    def until(self, end: datetime) -> str:
        """Up to when something lasts that is over at `end`."""
        return FILLED if self.blank else dates.until(end, self.language)
