"""Record again what the journal notes and a restored database lacks: each fact once, at its own date."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Final
from uuid import uuid5

import msgspec

from app.auth.store import end_keys, find_key, let_expire, load_caller, mark_revoked
from app.core.consent import DECISIONS, ConsentEvent, EventKind, makes_younger
from app.core.processing import Status, StatusChange
from app.db.session import ChangeKind, PartRefusedError, WriteSession
from app.journal.store import CallerNote, ForgottenNote, KeptNote, KeyNote, NoteKind, OtherNote, StatusNote
from app.ledger.identifiers import keys_in_use, names_of
from app.ledger.locators import end_account, ended_since, hold_refs, is_subject, led_to, locators_of
from app.ledger.projection import LedgerEntry, age_alone, collection_of, without_age
from app.ledger.store import load_entries
from app.operations.consents.close_subject import day_of, forget_people
from app.operations.consents.ledgers import OpenLedger, append
from app.register.store import (
    InvalidationRecord,
    add_invalidation,
    add_status_change,
    load_processings,
    lock_processing,
)

_ENDS_ACCOUNT: Final = frozenset({EventKind.CLOSED, EventKind.ERASED})


async def playable(
    session: WriteSession, entry: LedgerEntry, ref: bytes, events: Sequence[ConsentEvent]
) -> LedgerEntry | None:
    """Return the part of a noted entry that may be recorded in a ledger with these events; None for nothing.

    That ledger may not be the entry's own: the person may have another pseudonym since, or it is another person's.
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
    # A version that was recorded later is another one, to which the person has not agreed.
    version = record.version(event.version or 0) if record is not None else None
    knows_version = version is not None and version.recorded_at <= entry.recorded_at
    follows = _follows_grant(event, events)
    if not knows_version and follows:
        # What was agreed to is lost with the version. It may have been less than the grant that it replaced.
        younger = _makes_younger(event, events)
        return _in_its_place(entry, EventKind.WITHDRAWN, event.processing, with_age=younger)
    # In the ledger of another pseudonym it may only narrow: that person may be the next holder of the address.
    return entry if knows_version and (is_own or follows) else _age_alone(entry, events)


def used_after(event: ConsentEvent, events: Sequence[ConsentEvent]) -> bool:
    """Return whether anything but the sweep's events stands in a ledger after an event."""
    return any(each.collected_at > event.collected_at and not each.is_derived for each in events)


def _follows_grant(event: ConsentEvent, events: Sequence[ConsentEvent]) -> bool:
    """Return whether the last decision or closure on its processing before an event is a grant, which it narrows."""
    before = [
        earlier
        for earlier in events
        if earlier.collected_at < event.collected_at
        and earlier.concerns(event.processing or "")
        and (earlier.kind in DECISIONS or earlier.kind in _ENDS_ACCOUNT)
    ]
    return bool(before) and max(before, key=lambda each: each.rank).kind is EventKind.GRANTED


def _without_age(entry: LedgerEntry, events: Sequence[ConsentEvent]) -> LedgerEntry:
    """Return an entry for the ledger of another pseudonym: without its age, unless that makes the person younger.

    The age would be taken for that of the next holder of the address, whose consent would then count without a
    statement of their own age.
    """
    event = entry.event
    if event.collection.age_band is None or _makes_younger(event, events):
        return entry
    ageless = replace(event, collection=replace(event.collection, age_band=None))
    return replace(entry, event=ageless, capacity=without_age(entry.capacity))


def _age_alone(entry: LedgerEntry, events: Sequence[ConsentEvent]) -> LedgerEntry | None:
    """Return only the age that an entry states, without its decision; None unless it makes the person younger."""
    younger = _makes_younger(entry.event, events)
    return _in_its_place(entry, EventKind.AGE_STATED, None, with_age=True) if younger else None


def _makes_younger(event: ConsentEvent, events: Sequence[ConsentEvent]) -> bool:
    return event.collection.age_band is not None and makes_younger(event.collection, events, event.collected_at)


def _in_its_place(entry: LedgerEntry, kind: EventKind, processing: str | None, *, with_age: bool) -> LedgerEntry:
    """Return another event of the same time, with an id derived from the entry's, which may yet be replayed itself."""
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


_BY_HAND: Final = {
    NoteKind.LEDGER: "an account was erased and used again, or has another pseudonym key, or the entry is refused",
    NoteKind.FORGOTTEN: "an account was erased, and used again since",
}


class ReplayOutcome(StrEnum):
    """What became of one note."""

    REPLAYED = "replayed"
    PARTLY = "replayed in part, for the rest is about something that the database does not know"
    HELD = "held already"
    NOBODY = "about somebody or something that the database does not know: it permits nothing of that"
    BY_HAND = "to be done again by hand"


class _LedgerNote(msgspec.Struct, frozen=True):
    entry: LedgerEntry
    locators: tuple[bytes, ...] = ()
    keys: tuple[str, ...] = ()


class _InvalidationNote(msgspec.Struct, frozen=True):
    processing: str
    number: int
    record: InvalidationRecord


async def replay_note(session: WriteSession, kept: KeptNote, *, epoch: int) -> ReplayOutcome:
    """Record one fact, in its own transaction or among others. A second time changes nothing.

    `epoch` is the database's. When it began, what earlier epochs left to be done by hand had been dealt with.
    """
    outcome = await _replayed(session, kept)
    return ReplayOutcome.HELD if outcome is ReplayOutcome.BY_HAND and kept.epoch < epoch else outcome


async def _replayed(session: WriteSession, kept: KeptNote) -> ReplayOutcome:
    kind = NoteKind(kept.note.kind)
    if kind is NoteKind.EPOCH:
        return ReplayOutcome.HELD
    if kind is NoteKind.OTHER:
        return ReplayOutcome.BY_HAND
    try:
        async with session.attempt():
            return await _REPLAY[kind](session, kept)
    except PartRefusedError:  # an entry that the database refuses keeps no other from being recorded
        return ReplayOutcome.BY_HAND


def told_by_hand(kept: KeptNote) -> str:
    """Return in words what must be done again by hand; a person is named by pseudonym, as lists of consents show it."""
    kind, body = NoteKind(kept.note.kind), kept.note.body
    if kind is NoteKind.OTHER:
        note = msgspec.json.decode(body, type=OtherNote)
        what, about = note.what, note.about
    else:
        what, about = _BY_HAND.get(kind, "something was recorded"), kind.value
        if kind is NoteKind.LEDGER:
            about = f"subject_ref {msgspec.json.decode(body, type=_LedgerNote).entry.subject_ref.hex()}"
        elif kind is NoteKind.FORGOTTEN:
            refs = msgspec.json.decode(body, type=ForgottenNote).subject_refs
            about = ", ".join(f"subject_ref {ref.hex()}" for ref in refs)
    return f"{kept.at:%Y-%m-%d %H:%M} UTC: {what} ({about})"


async def _entry(session: WriteSession, kept: KeptNote) -> ReplayOutcome:
    ledger_note = msgspec.json.decode(kept.note.body, type=_LedgerNote)
    ref, event = await _whose(session, ledger_note), ledger_note.entry.event
    if ref is None:
        # Only a key in use shows that no person known here is meant.
        keys_known = not ledger_note.keys or set(ledger_note.keys) & set(await keys_in_use(session))
        return ReplayOutcome.NOBODY if keys_known else ReplayOutcome.BY_HAND
    await hold_refs(session, [ref])
    entries = await load_entries(session, ref)
    recorded = {each.event.id: each.event.kind for each in entries}
    if event.id in recorded:
        is_left = event.kind is EventKind.ERASED and recorded[event.id] is not EventKind.ERASED
        return ReplayOutcome.BY_HAND if is_left else ReplayOutcome.HELD
    wanted = await playable(session, ledger_note.entry, ref, [each.event for each in entries])
    if wanted is None:
        return ReplayOutcome.NOBODY
    if wanted.event.id in recorded:
        return ReplayOutcome.HELD
    await _append(session, replace(wanted, subject_ref=ref), entries)
    if wanted.event.kind is EventKind.CLOSED and not used_after(event, [each.event for each in entries]):
        await end_account(session, ref, event.collected_at)
    if wanted.event.kind is EventKind.ERASED:
        await forget_people(session, [ref], {}, kept.at)
    if event.kind is EventKind.ERASED and wanted.event.kind is not EventKind.ERASED:
        return ReplayOutcome.BY_HAND
    return ReplayOutcome.REPLAYED if wanted.event.id == event.id else ReplayOutcome.PARTLY


async def _append(session: WriteSession, entry: LedgerEntry, entries: Sequence[LedgerEntry]) -> None:
    """Append an entry to the ledger that holds these."""
    ref, event = entry.subject_ref, entry.event
    named = {each.processing for each in (event, *(past.event for past in entries)) if each.processing is not None}
    register = await load_processings(session, named)
    locators, now = await locators_of(session, ref), await session.now()
    ledger = OpenLedger(ref, locators, None, entries, now, register, committed=len(entries))
    await append(session, ledger, replace(entry, event=replace(event, order=ledger.next_order)))
    session.narrow()


async def _whose(session: WriteSession, ledger_note: _LedgerNote) -> bytes | None:
    """Return the ref of an entry's ledger: its own, or the one that the person has since the restore, if any."""
    if await is_subject(session, ledger_note.entry.subject_ref):
        return ledger_note.entry.subject_ref
    # The closure noted with an erasure has just been replayed: the id is still kept.
    account = await led_to(session, ledger_note.locators, ended=ledger_note.entry.event.kind is EventKind.ERASED)
    return account[0] if account is not None and await names_of(session, account[0]) else None


async def _forgotten(session: WriteSession, kept: KeptNote) -> ReplayOutcome:
    noted = msgspec.json.decode(kept.note.body, type=ForgottenNote)
    named, refs = dict(noted.named), [ref for ref in noted.subject_refs if await names_of(session, ref)]
    if not refs and await ended_since(session, named, day_of(kept.at)):
        return ReplayOutcome.HELD
    await hold_refs(session, refs)
    entries = [each for ref in refs for each in await load_entries(session, ref)]
    if any(each.recorded_at > kept.at and not each.event.is_derived for each in entries):
        return ReplayOutcome.BY_HAND
    await forget_people(session, refs, named, kept.at)
    session.narrow()
    return ReplayOutcome.REPLAYED


async def _status(session: WriteSession, kept: KeptNote) -> ReplayOutcome:
    noted = msgspec.json.decode(kept.note.body, type=StatusNote)
    record = await lock_processing(session, noted.processing)
    if record is None:
        return ReplayOutcome.NOBODY
    done = [change for change in record.status_changes if change.at >= noted.at]
    is_retired = any(change.status is Status.RETIRED for change in record.status_changes)
    if is_retired or any(change.status == noted.status for change in done):
        return ReplayOutcome.HELD
    latest = max((change.at for change in record.changes), default=noted.at)
    at = noted.at if latest < noted.at else record.next_instant(await session.now())
    await add_status_change(session, noted.processing, StatusChange(at, Status(noted.status)), by=noted.by)
    await _narrow(session, noted.processing)
    return ReplayOutcome.REPLAYED


async def _invalidation(session: WriteSession, kept: KeptNote) -> ReplayOutcome:
    noted = msgspec.json.decode(kept.note.body, type=_InvalidationNote)
    record = await lock_processing(session, noted.processing)
    if record is None:
        return ReplayOutcome.NOBODY
    if any(each.strikes(noted.record.struck.version or 0, noted.record.struck.text) for each in record.invalidations):
        return ReplayOutcome.HELD
    at = record.next_instant(await session.now())
    await add_invalidation(session, noted.processing, replace(noted.record, at=at))
    await _narrow(session, noted.processing)
    return ReplayOutcome.REPLAYED


async def _caller(session: WriteSession, kept: KeptNote) -> ReplayOutcome:
    noted = msgspec.json.decode(kept.note.body, type=CallerNote)
    caller = await load_caller(session, noted.caller)
    if caller is None:
        return ReplayOutcome.NOBODY
    if caller.revoked_at is not None:
        return ReplayOutcome.HELD
    await mark_revoked(session, noted.caller, at=noted.at, by=None)
    session.narrow()
    session.change(ChangeKind.CALLER, noted.caller.bytes)
    return ReplayOutcome.REPLAYED


async def _key(session: WriteSession, kept: KeptNote) -> ReplayOutcome:
    noted = msgspec.json.decode(kept.note.body, type=KeyNote)
    key = await find_key(session, noted.key)
    if key is None:
        return ReplayOutcome.NOBODY
    expires_in_time = not noted.revoked and key.expires_at is not None and key.expires_at <= noted.at
    if key.revoked_at is not None or expires_in_time:
        return ReplayOutcome.HELD
    if noted.revoked:
        await end_keys(session, [key.id], at=noted.at, by=None)
    else:
        await let_expire(session, [key.id], noted.at)
    session.narrow()
    session.change(ChangeKind.CALLER, key.caller.bytes)
    return ReplayOutcome.REPLAYED


async def _narrow(session: WriteSession, processing: str) -> None:
    session.narrow()
    session.change(ChangeKind.PROCESSING, processing.encode())


_REPLAY: Final[Mapping[NoteKind, Callable[[WriteSession, KeptNote], Awaitable[ReplayOutcome]]]] = {
    NoteKind.LEDGER: _entry,
    NoteKind.FORGOTTEN: _forgotten,
    NoteKind.STATUS: _status,
    NoteKind.INVALIDATION: _invalidation,
    NoteKind.CALLER: _caller,
    NoteKind.KEY: _key,
}
