"""Which part of a noted entry a replay may record in a ledger: what permits only where the same person agreed to it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from uuid import uuid5

from app.core.age import makes_younger
from app.core.consent import DECISIONS, ConsentEvent, EventKind
from app.db.session import WriteSession
from app.ledger.entries import LedgerEntry, age_alone, collection_of, without_age
from app.register.store import lock_processing

_ENDS_ACCOUNT: Final = frozenset({EventKind.CLOSED, EventKind.ERASED})
_BY_ITSELF: Final = frozenset({EventKind.EXPIRED, EventKind.SUPERSEDED})
"""What the sweep records of somebody who says nothing."""


async def playable(
    session: WriteSession, entry: LedgerEntry, ref: bytes, events: Sequence[ConsentEvent]
) -> LedgerEntry | None:
    """The part of a noted entry that may be recorded in a ledger with these events; None for nothing.

    That ledger may be another one than the entry's own: the person has another pseudonym, or is another person.
    """
    event = entry.event
    if event.kind in _ENDS_ACCOUNT:
        if used_after(event, events):
            # The account was used again since: what was said before ends, ages too, and what was said since stands.
            return replace(entry, event=replace(event, kind=EventKind.CLOSED))
        return entry
    record = await lock_processing(session, event.processing) if event.processing is not None else None
    if event.processing is not None and record is None:
        return _age_alone(entry, events)
    is_own = entry.subject_ref == ref
    if event.kind is not EventKind.GRANTED:
        return entry if is_own else _without_age(entry, events)
    # A version that was recorded later is another one, to which nobody has agreed.
    version = record.version(event.version or 0) if record is not None else None
    knows_version = version is not None and version.recorded_at <= entry.recorded_at
    follows = _follows_grant(event, events)
    if not knows_version and follows:
        return _withdrawn(entry, events)
    # In the ledger of another pseudonym it may only narrow: that person may be the next holder of the address.
    return entry if knows_version and (is_own or follows) else _age_alone(entry, events)


def used_after(event: ConsentEvent, events: Sequence[ConsentEvent]) -> bool:
    """Whether somebody said something in a ledger after an event."""
    return any(each.collected_at > event.collected_at and each.kind not in _BY_ITSELF for each in events)


def _follows_grant(event: ConsentEvent, events: Sequence[ConsentEvent]) -> bool:
    """Whether the last that was decided on its processing before an event is a grant, which it then narrows."""
    before = [
        each
        for each in events
        if each.collected_at < event.collected_at
        and each.concerns(event.processing or "")
        and (each.kind in DECISIONS or each.kind in _ENDS_ACCOUNT)
    ]
    return bool(before) and max(before, key=lambda each: each.rank).kind is EventKind.GRANTED


def _without_age(entry: LedgerEntry, events: Sequence[ConsentEvent]) -> LedgerEntry:
    """An entry for the ledger of another pseudonym: without an age that makes nobody younger.

    It would be known of the next holder of the address, whose consent then counts where no age was stated.
    """
    event = entry.event
    if event.collection.age_band is None or _makes_younger(event, events):
        return entry
    ageless = replace(event, collection=replace(event.collection, age_band=None))
    return replace(entry, event=ageless, capacity=without_age(entry.capacity))


def _withdrawn(entry: LedgerEntry, events: Sequence[ConsentEvent]) -> LedgerEntry:
    """A grant to a version that is lost, as the end of the grant before it, which it took the place of.

    What was agreed to is not known any more. It may have been less than before.
    """
    younger = _makes_younger(entry.event, events)
    return _in_its_place(entry, EventKind.WITHDRAWN, entry.event.processing, with_age=younger)


def _age_alone(entry: LedgerEntry, events: Sequence[ConsentEvent]) -> LedgerEntry | None:
    """An age that an entry tells, where it makes the person younger, without what was decided with it."""
    younger = _makes_younger(entry.event, events)
    return _in_its_place(entry, EventKind.AGE_STATED, None, with_age=True) if younger else None


def _makes_younger(event: ConsentEvent, events: Sequence[ConsentEvent]) -> bool:
    return event.collection.age_band is not None and makes_younger(event.collection, events, event.collected_at)


def _in_its_place(entry: LedgerEntry, kind: EventKind, processing: str | None, *, with_age: bool) -> LedgerEntry:
    """Another event of the same time, under an id of its own, the same each time: the entry may be played later."""
    event = entry.event
    evidence, capacity = age_alone(entry.evidence, entry.capacity) if with_age else (None, None)
    other = ConsentEvent(
        uuid5(event.id, kind.value),
        kind,
        processing,
        event.collected_at,
        event.order,
        collection=collection_of(evidence, capacity, text_known=True),
    )
    return replace(entry, event=other, evidence=evidence, capacity=capacity, counting=None)
