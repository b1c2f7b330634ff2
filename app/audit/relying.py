"""Permits of the decision log that rested on a consent to one version of a processing, or on one text.

A row names the user's own consent. Whose consents it rested on besides is sealed in it (`app.audit.basis`), so that a
permit which rested on such a consent of another party, or of a holder of a shared mailbox, is not found here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text

from app.audit.store import COLUMNS, LoggedDecision
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
_PERMITS: Final = "FROM decision_log AS log WHERE log.processing = :processing AND log.permitted"
_PAGE: Final = text(f"""
SELECT {", ".join(f"log.{name}" for name in COLUMNS)} {_PERMITS} AND log.consent IS NOT NULL
    AND (CAST(:before AS uuid) IS NULL OR log.id < CAST(:before AS uuid)) AND {_RESTS}
ORDER BY log.id DESC LIMIT :most
""")
_COUNT: Final = text(f"""
SELECT count(*) FILTER (WHERE rests) AS number, min(at) FILTER (WHERE rests) AS first_at,
    count(*) FILTER (WHERE NOT rests AND relied IS NOT NULL) AS sealed
FROM (SELECT log.at, log.relied, log.consent IS NOT NULL AND {_RESTS} AS rests {_PERMITS}) AS permits
""")  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class RelyingCount:
    """How many logged permits rested on it, the first of them when; `sealed`: how many others may have.

    Those looked at consents of other people, of which the log only says under seal whose they were.
    """

    number: int
    first_at: datetime | None
    sealed: int


async def list_relying(  # noqa: PLR0917 - what is listed, and which page of it
    session: ReadSession, processing: str, version: int | None, shown: str | None, before: UUID | None, limit: int
) -> Sequence[LoggedDecision]:
    """The next permits that rested on a version, or on the text of that SHA-256 (hex), newest first."""
    values = {"processing": processing, "version": version, "text": shown, "before": before, "most": limit}
    rows = await session.execute(_PAGE, values)
    return [LoggedDecision(**{name: getattr(row, name) for name in COLUMNS}) for row in rows]


async def count_relying(session: ReadSession, processing: str, version: int | None, shown: str | None) -> RelyingCount:
    """Count them: one pass over the permits of a processing that are in the log."""
    values = {"processing": processing, "version": version, "text": shown}
    row = (await session.execute(_COUNT, values)).one()
    return RelyingCount(row.number, row.first_at, row.sealed)
