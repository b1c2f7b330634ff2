"""Permits of the decision log that rested on a consent to one version of a processing, or on one text.

A row names the user's own consent. Whose consents it rested on besides is sealed in it, so that a
permit which rested on such a consent of another party is not found here. Each statement reads a stretch of the log, by
the ids, which begin with the time: a log of many days is read piece by piece.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import text

from app.audit.figures import CLOCKS_APART, lowest_id
from app.audit.store import COLUMNS, LoggedDecision
from app.core.register import Struck
from app.db.session import ReadSession

# Of a joint consent in two acts the log names the second; the first may be the one that the text was shown for.
_RESTS: Final = """
EXISTS (
    SELECT FROM consent_event AS granted
    WHERE granted.id = log.consent AND granted.processing = log.processing AND granted.kind = 'granted' AND (
        granted.version = CAST(:version AS int)
        OR lower(granted.evidence ->> 'presented_text_sha256') = CAST(:text AS text)
        OR EXISTS (
            SELECT FROM consent_event AS first
            WHERE first.subject_ref = granted.subject_ref AND first.processing = granted.processing
                AND first.kind = 'granted' AND first.version = granted.version
                AND first.collected_at BETWEEN granted.collected_at - interval '30 days' AND granted.collected_at
                AND first.capacity ->> 'given_by' <> granted.capacity ->> 'given_by'
                AND lower(first.evidence ->> 'presented_text_sha256') = CAST(:text AS text))))
"""
# Times as well as ids: only the days that can have such ids are looked at.
_STRETCH: Final = """
FROM decision_log AS log WHERE log.processing = :processing AND log.permitted
    AND log.id >= :first AND log.id < :last AND log.at >= :since AND log.at < :until
"""
_PAGE: Final = text(f"""
SELECT {", ".join(f"log.{name}" for name in COLUMNS)} {_STRETCH} AND log.consent IS NOT NULL AND {_RESTS}
ORDER BY log.id DESC LIMIT :most
""")
_COUNT: Final = text(f"""
SELECT count(*) AS number, min(log.at) AS first_at {_STRETCH} AND log.consent IS NOT NULL AND {_RESTS}
""")
_SEALED: Final = text(f"SELECT count(*) {_STRETCH} AND log.relied IS NOT NULL AND NOT {_RESTS}")


FIRST_STRETCH: Final = timedelta(minutes=1)
_LONGEST_STRETCH: Final = timedelta(days=1)
_QUICK, _SLOW = 0.1, 0.4


def next_stretch(stretch: timedelta, took: float) -> timedelta:
    """How much of the log to read next, where reading so much took so many seconds: no statement is to take long."""
    if took < _QUICK:
        return min(2 * stretch, _LONGEST_STRETCH)
    return max(stretch / 4, timedelta(seconds=1)) if took > _SLOW else stretch


@dataclass(frozen=True, slots=True)
class RelyingCount:
    """How many logged permits rested on it, the first of them when; `sealed`: how many others may have.

    Those looked at consents of other people, of which the log only says under seal whose they were.
    """

    number: int = 0
    first_at: datetime | None = None
    sealed: int = 0

    def __add__(self, later: "RelyingCount") -> "RelyingCount":
        """Those of two stretches, the second of which is later."""
        first_at = later.first_at if self.first_at is None else self.first_at
        return RelyingCount(self.number + later.number, first_at, self.sealed + later.sealed)


async def list_relying(
    session: ReadSession, processing: str, struck: Struck, first: UUID, last: UUID, *, limit: int
) -> Sequence[LoggedDecision]:
    """The permits that rested on it with ids from `first` on and below `last`, newest first; `limit` at most."""
    rows = await session.execute(_PAGE, {**_values(processing, struck, first, last), "most": limit})
    return [LoggedDecision(**{name: getattr(row, name) for name in COLUMNS}) for row in rows]


async def count_relying(
    session: ReadSession, processing: str, struck: Struck, since: datetime, until: datetime
) -> RelyingCount:
    """Count the permits of an interval, which is cut by their ids: the counts of two adjacent intervals add up."""
    values = _values(processing, struck, lowest_id(since), lowest_id(until))
    row = (await session.execute(_COUNT, values)).one()
    sealed = (await session.execute(_SEALED, values)).scalar_one()
    return RelyingCount(row.number, row.first_at, sealed)


def time_of(identifier: UUID) -> datetime:
    """The time that an id of version 7 begins with (RFC 9562, 5.7)."""
    return datetime.fromtimestamp((identifier.int >> 80) / 1000, UTC)


def _values(processing: str, struck: Struck, first: UUID, last: UUID) -> dict[str, object]:
    return {
        "processing": processing,
        "version": struck.version,
        "text": struck.text,
        "first": first,
        "last": last,
        "since": time_of(first) - timedelta(seconds=CLOCKS_APART),
        "until": time_of(last) + timedelta(seconds=2 * CLOCKS_APART),
    }
