"""Count every consent for the dashboard: numbers only, in groups that stand and lapse together.

What a consent is at an instant depends, in a few cases, on the subject's other events (`app.core.state`): evidence that
may be unlawful, a child's age stated earlier or an age that must be stated, a grant collected before its version came
into force or in a territory with a calendar of its own, a text that was invalidated. Subjects with any such event are
left out of the groups and handed over one by one, for the core itself to judge.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text

from app.core.consent import ConsentEvent, EventKind
from app.db.session import ReadSession
from app.ledger.store import load_events
from app.ledger.tables import DOUBTFUL


@dataclass(frozen=True, slots=True)
class ConsentGroup:
    """Consents alike in all that their state rests on; `collected_at` and `expires_at` are one's, good for all.

    Collected on one civil day in Paris, and all before or all after this moment's local time: they lapse together.
    """

    processing: str
    version: int
    decision: EventKind
    ended_by: EventKind | None
    collected_at: datetime
    expires_at: datetime | None
    number: int

    def example(self) -> ConsentEvent:
        """One of them, as the core judges it."""
        return ConsentEvent(
            UUID(int=0), self.decision, self.processing, self.collected_at, 1, self.version, expires_at=self.expires_at
        )


# Those of whom one event may make a state depend on another. Never too few: the core then says what is so.
_DOUBTED: Final = f"""
SELECT subject_ref FROM consent_event WHERE {DOUBTFUL}
UNION
SELECT consent.subject_ref FROM consent JOIN processing_version
    ON processing_version.processing = consent.processing AND number = version
WHERE decision = 'granted' AND collected_at < effective_from
UNION
SELECT subject_ref FROM consent
    WHERE processing IN (SELECT processing FROM processing_version WHERE age_statement_required)
UNION
SELECT subject_ref FROM consent_event WHERE kind = 'granted' AND (processing, lower(evidence->>'presented_text_sha256'))
    IN (SELECT processing, encode(text_sha256, 'hex') FROM processing_invalidation WHERE text_sha256 IS NOT NULL)
"""  # noqa: S608 - a constant
_GROUPS: Final = text(f"""
WITH doubted AS MATERIALIZED ({_DOUBTED}), local AS (
    SELECT processing, version, decision, ended_by, collected_at, expires_at,
        ended_by IS NULL AND decision = 'granted' AS open,
        collected_at AT TIME ZONE 'Europe/Paris' AS at, expires_at AT TIME ZONE 'Europe/Paris' AS until
    FROM consent WHERE NOT EXISTS (SELECT FROM doubted WHERE doubted.subject_ref = consent.subject_ref)
)
SELECT processing, version, decision, ended_by, min(collected_at) AS collected_at, min(expires_at) AS expires_at,
    count(*) AS number
FROM local
GROUP BY processing, version, decision, ended_by, CASE WHEN open THEN at::date END, CASE WHEN open THEN until::date END,
    CASE WHEN open THEN at::time <= (CAST(:now AS timestamptz) AT TIME ZONE 'Europe/Paris')::time END
""")  # noqa: S608 - constants
_DOUBTED_ONES: Final = text(_DOUBTED)
_AT_ONCE: Final = 2_000


async def count_groups(session: ReadSession, now: datetime) -> list[ConsentGroup]:
    """Every consent but those of doubted subjects, in groups; one pass over the table, for a job and not for a page."""
    return [
        ConsentGroup(
            processing=row.processing,
            version=row.version,
            decision=EventKind(row.decision),
            ended_by=EventKind(row.ended_by) if row.ended_by is not None else None,
            collected_at=row.collected_at,
            expires_at=row.expires_at,
            number=row.number,
        )
        for row in await session.execute(_GROUPS, {"now": now})
    ]


@dataclass(frozen=True, slots=True)
class EventsOfAProcessing:
    """How many events of a kind were recorded about a processing; `processing` "" stands for every one."""

    processing: str
    kind: EventKind
    number: int


_EVENTS: Final = text("""
SELECT coalesce(processing, '') AS processing, kind, count(*) AS number FROM consent_event
WHERE recorded_at >= :since AND recorded_at < :until GROUP BY 1, 2 ORDER BY 1, 2
""")
_LAPSING: Final = text("""
SELECT processing, count(*) AS number FROM consent
WHERE decision = 'granted' AND ended_by IS NULL AND expires_at >= :since AND expires_at < :until GROUP BY 1 ORDER BY 1
""")


async def count_events(session: ReadSession, since: datetime, until: datetime) -> list[EventsOfAProcessing]:
    """How many events were recorded between two instants; one pass over the ledger."""
    found = await session.execute(_EVENTS, {"since": since, "until": until})
    return [EventsOfAProcessing(row.processing, EventKind(row.kind), row.number) for row in found]


async def count_lapsing(session: ReadSession, since: datetime, until: datetime) -> dict[str, int]:
    """How many consents that nothing ended will expire between two instants, by processing."""
    found = await session.execute(_LAPSING, {"since": since, "until": until})
    return {row.processing: row.number for row in found}


async def doubted_histories(session: ReadSession) -> AsyncIterator[Sequence[ConsentEvent]]:
    """The events of each doubted subject, some thousands of subjects read at once."""
    found = list((await session.execute(_DOUBTED_ONES)).scalars())
    for start in range(0, len(found), _AT_ONCE):
        for events in (await load_events(session, found[start : start + _AT_ONCE])).values():
            yield events
