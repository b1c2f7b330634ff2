"""What people read about a decision (one sentence for each reason), about the register's facts, and about durations."""

from collections.abc import Sequence
from typing import Final

from app.core.decision import Reason
from app.core.period import ConsentPeriod, Retention
from app.core.processing import Status
from app.words import Catalogue, Texts, listed

REASON_FOR_USER: Final = Catalogue("reason_user")
"""By reason, and `not_begun` for a processing that is proposed."""

PURPOSE_WORDS: Final = Catalogue("purpose")
ELEMENT_WORDS: Final = Catalogue("element")
STATUS_WORDS: Final = Catalogue("status")


def reason_for_user(reason: Reason, status: Status | None = None) -> Texts:
    """Return the sentence of a reason in each language.

    Args:
        reason: the reason of the decision.
        status: the processing's status at the instant judged, if known: a proposal is neither suspended nor over.

    """
    if reason is Reason.PROCESSING_SUSPENDED and status is Status.PROPOSED:
        return REASON_FOR_USER["not_begun"]
    return REASON_FOR_USER[reason]


# Durations as people say them, in French and English: `P1Y` is "1 an", `P30D` is "30 days".

_YEAR: Final = 12
_UNITS: Final = ("year", "month", "day", "hour", "minute", "second")
_WORDS: Final = Catalogue("duration")


def period_in_words(period: ConsentPeriod, language: str) -> str:
    """Return a consent period in words, in `fr` or `en`."""
    return _in_words((period.months // _YEAR, period.months % _YEAR, period.days), language)


def retention_in_words(retention: Retention, language: str) -> str | None:
    """Return a retention in words, in `fr` or `en`; None when nothing is kept."""
    seconds = retention.seconds
    parts = (
        *(retention.months // _YEAR, retention.months % _YEAR, seconds // 86_400),
        *(seconds // 3_600 % 24, seconds // 60 % 60, seconds % 60),
    )
    return _in_words(parts, language) or None


def _in_words(counts: Sequence[int], language: str) -> str:
    units = zip(counts, _UNITS, strict=False)
    said = [
        f"{count} {_WORDS[f'{unit}_one' if count == 1 else f'{unit}_many'][language]}" for count, unit in units if count
    ]
    return listed(said, language)
