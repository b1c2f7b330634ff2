"""What the ledger amounts to, one row for each consent: the shape of the `consent` table, as a pure function.

A row says what ended a consent for good, as far as events alone tell; whether one that nothing ended is in force,
expired or superseded at an instant is for `app.core.state`. The table can be rebuilt from here and compared.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from app.core.article import FRANCE
from app.core.consent import DECISIONS, ConsentEvent, EventKind, GivenBy
from app.core.fold import halves_said
from app.core.processing import Processing
from app.core.state import ends

CONSENTS = frozenset({EventKind.GRANTED, EventKind.REFUSED})
_ONE_DAY: Final = timedelta(days=1)
"""More than a territory's calendar is behind that of Paris."""


@dataclass(frozen=True, slots=True)
class ConsentRow:
    """One consent: the event that began it, and the kind and time of the first event that ended it, if any.

    `counted_from` is an instant not after any that its year is counted from, where that may be before `collected_at`:
    the sweep looks for what may have lapsed by it. The year of a joint consent counts from its first act, and in an
    overseas territory it may still have been the day before.
    """

    id: UUID
    processing: str
    version: int
    decision: EventKind
    collected_at: datetime
    expires_at: datetime | None
    ended_by: EventKind | None
    ended_at: datetime | None
    counted_from: datetime | None = None


def project(events: Iterable[ConsentEvent], register: Mapping[str, Processing]) -> tuple[ConsentRow, ...]:
    """The consents of one subject, in the order of the latest decision.

    Args:
        events: all of the subject's events.
        register: the entries of the processings that the events name.

    """
    ordered = sorted(events, key=lambda event: event.rank)
    consents = [
        (index, event.processing)
        for index, event in enumerate(ordered)
        if event.kind in CONSENTS and event.processing is not None
    ]
    named = {name for _, name in consents}
    halves = {name: halves_said(ordered, name, ordered[-1].collected_at) for name in named}
    return tuple(_row(ordered, index, register[name], halves[name]) for index, name in consents)


def _row(ordered: Sequence[ConsentEvent], index: int, processing: Processing, halves: frozenset[int]) -> ConsentRow:
    """The row of one consent. Nothing is copied: a person may have thousands of events, each with a row of its own."""
    consent = ordered[index]
    later = (ordered[at] for at in range(index + 1, len(ordered)))
    # A grant ahead of its version ended nothing the moment it was collected.
    ended = next(
        (
            event
            for event in later
            if event.concerns(processing.id) and ends(event, consent, processing, event.collected_at, halves)
        ),
        None,
    )
    return ConsentRow(
        id=consent.id,
        processing=processing.id,
        version=consent.version or 0,
        decision=consent.kind,
        collected_at=consent.collected_at,
        expires_at=consent.expires_at,
        ended_by=ended.kind if ended is not None else None,
        ended_at=ended.collected_at if ended is not None else None,
        counted_from=_counted_from(ordered, index, processing) if consent.kind is EventKind.GRANTED else None,
    )


def _counted_from(ordered: Sequence[ConsentEvent], index: int, processing: Processing) -> datetime | None:
    """The earliest instant that the year of a grant may be counted from; None when that is its own collection.

    Never too late: two acts may come to be joint when an age is stated afterwards.
    """
    grant = ordered[index]
    earlier = (ordered[at] for at in range(index - 1, -1, -1))
    before = next((event for event in earlier if event.concerns(processing.id) and event.kind in DECISIONS), None)
    acts = [grant]
    if before is not None and {before.collection.given_by, grant.collection.given_by} == {GivenBy.SELF, GivenBy.PARENT}:
        acts = [before, grant]
    began = min(act.collected_at if act.territory == FRANCE else act.collected_at - _ONE_DAY for act in acts)
    return None if began == grant.collected_at else began
