"""What the ledger amounts to, one row for each consent: the shape of the `consent` table, as a pure function.

A row says what ended a consent for good, as far as events alone tell; whether one that nothing ended is in force,
expired or superseded at an instant is for `app.core.state`. The table can be rebuilt from here and compared.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.core.consent import ConsentEvent, EventKind
from app.core.processing import Processing
from app.core.state import ends

CONSENTS = frozenset({EventKind.GRANTED, EventKind.REFUSED})


@dataclass(frozen=True, slots=True)
class ConsentRow:
    """One consent: the event that began it, and the kind and time of the first event that ended it, if any."""

    id: UUID
    processing: str
    version: int
    decision: EventKind
    collected_at: datetime
    expires_at: datetime | None
    ended_by: EventKind | None
    ended_at: datetime | None


def project(events: Iterable[ConsentEvent], register: Mapping[str, Processing]) -> tuple[ConsentRow, ...]:
    """The consents of one subject, in the order of the latest decision.

    Args:
        events: all of the subject's events.
        register: the entries of the processings that the events name.

    """
    ordered = sorted(events, key=lambda event: event.rank)
    return tuple(
        _row(event, ordered[index + 1 :], register[event.processing])
        for index, event in enumerate(ordered)
        if event.kind in CONSENTS and event.processing is not None
    )


def _row(consent: ConsentEvent, later: Iterable[ConsentEvent], processing: Processing) -> ConsentRow:
    ended = next((event for event in later if event.concerns(processing.id) and _ended_then(event, consent, processing)), None)
    return ConsentRow(
        id=consent.id,
        processing=processing.id,
        version=consent.version or 0,
        decision=consent.kind,
        collected_at=consent.collected_at,
        expires_at=consent.expires_at,
        ended_by=ended.kind if ended is not None else None,
        ended_at=ended.collected_at if ended is not None else None,
    )


def _ended_then(event: ConsentEvent, consent: ConsentEvent, processing: Processing) -> bool:
    """Whether an event ended a consent the moment it was collected (a grant ahead of its version ends nothing yet)."""
    return ends(event, consent, processing, event.collected_at)
