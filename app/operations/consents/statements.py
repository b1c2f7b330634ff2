"""What all statements have in common: when each counts, what is kept of who decided, and the entry of the ledger.

A person's age is stated alone here, on no processing (LIL art. 45); what they decide is recorded in `recorder`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from app.audit.trail import ActKind, record_act
from app.auth.callers import Caller, Scope
from app.core.article import PARIS, paris_midnight
from app.core.consent import (
    AgeBand,
    CheckedHow,
    ConsentEvent,
    EventKind,
    State,
    StatedBy,
    age_known,
    makes_older,
    makes_younger,
)
from app.core.errors import AgeDateError, CollectionTimeError, InvalidEvidenceError
from app.core.fold import is_joint
from app.core.register import RegisterApproval
from app.db.session import WriteSession, uuid7
from app.events.outbox import DomainEvent, put_in_outbox
from app.ledger.identifiers import names_of
from app.ledger.projection import LedgerEntry, collection_of, without_age
from app.operations.consents.ledgers import OpenLedger, append, open_ledgers
from app.operations.service.deployment import Deployment, SubjectName, parent_reference

# When a statement counts. The database's clock times what is recorded live; an import keeps its own past date.

_AT_ONCE: Final = timedelta(seconds=10)
"""How long after its collection a grant may arrive on the day of an erasure."""


@dataclass(frozen=True, slots=True)
class CollectionTime:
    """The instant that counts, and whether it was imported rather than recorded live."""

    at: datetime
    imported: bool


def time_of_grant(
    ledger: OpenLedger, deployment: Deployment, caller: Caller, stated: datetime | None
) -> CollectionTime:
    """Return when a grant counts as collected.

    Raises:
        CollectionTimeError: the stated time lies in the future; or further back than `max_backdating`, while the caller
            may not import or two persons decide; or before an earlier account of the same id was closed.

    """
    if stated is None:
        return CollectionTime(ledger.now, imported=False)
    if stated > ledger.now:
        raise CollectionTimeError("A grant cannot be collected in the future.", field="collected_at")
    imported_time = _within(ledger, deployment, caller, stated)
    if imported_time is not None and deployment.approval is RegisterApproval.TWO:
        message = "Older consents come in by an import, which a second person approves: POST /v1/imports."
        raise CollectionTimeError(message, field="collected_at")
    _refuse_before_closure(ledger, stated, "collected_at", imported=imported_time is not None)
    return imported_time or CollectionTime(stated, imported=False)


def time_of_narrowing(
    ledger: OpenLedger, deployment: Deployment, caller: Caller, stated: datetime | None, *, field: str
) -> CollectionTime:
    """Return when a refusal or withdrawal counts as made: after everything recorded, however the caller dates it.

    Only a caller that may import, and states a time further back than `max_backdating`, records one at its own past
    date; where two persons decide, only an import does.

    Raises:
        CollectionTimeError: the stated time lies in the future by more than a clock's error (`max_backdating`), or it
            is to be imported and lies before an earlier account of the same id was closed.

    """
    live = CollectionTime(ledger.after_everything, imported=False)
    if stated is None:
        return live
    if stated > ledger.now + deployment.max_backdating:
        raise CollectionTimeError("This time lies in the future.", field=field)
    if Scope.CONSENTS_IMPORT not in caller.scopes or deployment.approval is RegisterApproval.TWO:
        return live
    imported_time = _within(ledger, deployment, caller, stated)
    if imported_time is not None:
        _refuse_before_closure(ledger, stated, field, imported=True, narrows=True)
    return imported_time or live


def time_of_history(
    ledger: OpenLedger, caller: Caller, stated: datetime | None, *, field: str, narrows: bool
) -> CollectionTime:
    """Return when a row of an import counts as collected: always at its own date; `narrows`: it is a no.

    Raises:
        ScopeMissingError: the caller may not import.
        CollectionTimeError: it has no date, one that lies in the future, or one from before an earlier account of the
            same id was closed.

    """
    caller.require(Scope.CONSENTS_IMPORT)
    if stated is None:
        raise CollectionTimeError("A row of an import says when it was collected.", field=field)
    if stated > ledger.now:
        raise CollectionTimeError("This time lies in the future.", field=field)
    _refuse_before_closure(ledger, stated, field, imported=True, narrows=narrows)
    return CollectionTime(stated, imported=True)


def _refuse_before_closure(
    ledger: OpenLedger, stated: datetime, field: str, *, imported: bool, narrows: bool = False
) -> None:
    """Refuse what was collected before an earlier account of this id was closed: another person held the id then.

    A no counts if that account was this person's too, closed when its name was stated to be theirs. An import is
    refused for the whole day of the closure: it cannot say which came first. Of an erasure only the day is kept: on
    that day a grant is taken only within `_AT_ONCE` of its collection, since a late repetition looks the same.
    """
    closed = ledger.another_until if narrows else ledger.closed_until
    if closed is None:
        return
    day = closed.astimezone(PARIS).date()
    erased = closed == paris_midnight(day) and stated < ledger.now - _AT_ONCE
    same_day = (imported or erased) and stated.astimezone(PARIS).date() <= day
    if stated <= closed or same_day:
        raise CollectionTimeError(
            "An account of this id was closed after that time: this belongs to whoever had the id before.", field=field
        )


def _within(ledger: OpenLedger, deployment: Deployment, caller: Caller, stated: datetime) -> CollectionTime | None:
    """Return the stated time as an import if it is further back than live calls may state; else None."""
    if stated >= ledger.now - deployment.max_backdating:
        return None
    if Scope.CONSENTS_IMPORT not in caller.scopes:
        minutes = int(deployment.max_backdating.total_seconds() // 60)
        raise CollectionTimeError(
            f"A grant may say that it was collected up to {minutes} minutes ago; "
            f"older ones need the scope {Scope.CONSENTS_IMPORT.value}.",
            field="collected_at",
        )
    return CollectionTime(stated, imported=True)


# What is kept of who decided.


def refuse_own_parent(parent: str | None, own: Collection[str], field: str) -> None:
    """Refuse a child as its own parent, by any of its names.

    Args:
        parent: the parent's reference (hex), if one is named.
        own: the references that the person's names would have as a parent (hex).
        field: the field at fault.

    Raises:
        InvalidEvidenceError: the parent is the person.

    """
    if parent in own:
        raise InvalidEvidenceError("This is the person whose consent it is.", field=field)


async def own_references(
    session: WriteSession, deployment: Deployment, ledger: OpenLedger, also: SubjectName | None = None
) -> frozenset[str]:
    """Return the references that a person's names would have as a parent (hex); `also`: a name maybe not kept yet."""
    names = [SubjectName(each.type, deployment.vault.open(each.sealed)) for each in await names_of(session, ledger.ref)]
    names += [also] if also is not None else []
    return frozenset(parent_reference(deployment, each).hex() for each in names)


def without_parent_id(deployment: Deployment, capacity: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return the capacity with a parent's reference in place of the parent's id, which is not kept."""
    if capacity is None or "parent" not in capacity:
        return capacity
    remaining = {name: value for name, value in capacity.items() if name != "parent"}
    parent = capacity["parent"]
    return {**remaining, "parent_ref": parent_reference(deployment, SubjectName(parent["type"], parent["id"])).hex()}


def capacity_of(
    ledger: OpenLedger,
    deployment: Deployment,
    caller: Caller,
    capacity: Mapping[str, Any] | None,
    at: datetime,
    *,
    is_grant: bool,
) -> tuple[Mapping[str, Any] | None, bool]:
    """Return what is recorded of who decided and of their age, and whether it may permit more than was permitted.

    A grant may permit more, and so may an age that makes the person older: another consent may have waited for it. Such
    an age is left out where the caller is limited to some processings, since it would count for all, unless nothing was
    known. It is left out of a refusal or withdrawal where the database is known to be set back: the caller that states
    it may have been revoked since the backup.

    Args:
        ledger: the person's.
        deployment: whose keys make a parent's reference.
        caller: who says it.
        capacity: as received.
        at: when it was decided.
        is_grant: whether it is a grant.

    """
    recorded = without_parent_id(deployment, capacity)
    is_older = makes_older(collection_of(None, recorded, text_known=True), ledger.events, at)
    is_beyond_it = caller.processings is not None and age_known(ledger.events, at) is not None
    if is_older and (is_beyond_it or (ledger.set_back and not is_grant)):
        return without_age(recorded), is_grant
    return recorded, is_grant or is_older


# The entry of the ledger.


def entry_of(
    ledger: OpenLedger,
    caller: Caller,
    when: CollectionTime,
    *,
    kind: EventKind,
    processing: str | None,
    stated_at: datetime | None,
    evidence: Mapping[str, Any] | None,
    capacity: Mapping[str, Any] | None,
    text_known: bool = True,
) -> LedgerEntry:
    """Return what the entries of all statements have in common.

    Args:
        ledger: the person's, held by the transaction.
        caller: the caller that states it.
        when: when it counts.
        kind: what is stated.
        processing: the one that it is about; None for all.
        stated_at: the time that the caller gave.
        evidence: as stated.
        capacity: what is kept of who decided and of their age.
        text_known: whether the register holds the text that was shown.

    """
    recorded_at = max(ledger.now, when.at)
    event = ConsentEvent(
        id=uuid7(recorded_at),
        kind=kind,
        processing=processing,
        collected_at=when.at,
        order=ledger.next_order,
        collection=collection_of(evidence, capacity, text_known=text_known),
    )
    return LedgerEntry(
        subject_ref=ledger.ref,
        event=event,
        recorded_at=recorded_at,
        recorded_by=caller.id,
        imported=when.imported,
        stated_at=stated_at,
        evidence=evidence,
        capacity=capacity,
    )


async def record_import(session: WriteSession, caller: Caller) -> None:
    """Record that this caller imports, once a day (UTC): the ledger itself marks each entry that was imported."""
    now = await session.now()
    await record_act(session, ActKind.CONSENTS_IMPORTED, caller.id, once=f"{now:%Y-%m-%d}")


# What the operator learns of a person's age.

_FIFTEEN_YEARS: Final = 15 * 366


@dataclass(frozen=True, slots=True)
class StatedAge:
    """Whose age was stated, the band, who stated it, how it was checked, and when (`at` None: now).

    `under_15_until`: only with `under_15`, the civil date (Paris) on which the person turns 15.
    """

    subject: SubjectName
    age_band: AgeBand
    stated_by: StatedBy
    checked_how: CheckedHow
    at: datetime | None = None
    under_15_until: date | None = None


async def state_age(session: WriteSession, deployment: Deployment, caller: Caller, stated: StatedAge) -> LedgerEntry:
    """Append the age. One that makes the person younger is confirmed like a withdrawal: consents may fall with it.

    Raises:
        CollectionTimeError: `at` lies in the future.
        AgeDateError: `under_15_until` is not within the next fifteen years, or the person is not said to be under 15.

    """
    opened = await open_ledgers(session, deployment, [stated.subject])
    opened.begin(stated.subject)
    ledger = opened.of(stated.subject)
    if stated.at is not None and stated.at < ledger.now - deployment.max_backdating:
        deployment = await opened.as_decided()
    when = time_of_narrowing(ledger, deployment, caller, stated.at, field="at")
    _check_until(stated, when.at)
    entry = _entry_of_age(caller, ledger, stated, when)
    collection = entry.event.collection
    # Also for a repetition, which makes the person no younger: the first attempt may not have been confirmed.
    if stated.age_band is not AgeBand.ADULT or makes_younger(collection, ledger.events, when.at):
        session.narrow()
    if makes_older(collection, ledger.events, when.at):
        session.widen()
    grown, _ = await append(session, ledger, entry)
    if when.imported:
        await record_import(session, caller)
    await _ask_for_confirmation(session, ledger, grown)
    return entry


def _check_until(stated: StatedAge, at: datetime) -> None:
    """Refuse a day of turning 15 that comes without the band `under_15`, or is not within the next fifteen years."""
    until = stated.under_15_until
    if until is None:
        return
    days_ahead = (until - at.astimezone(PARIS).date()).days
    if stated.age_band is not AgeBand.UNDER_15 or not 0 < days_ahead <= _FIFTEEN_YEARS:
        raise AgeDateError(field="under_15_until")


def _entry_of_age(caller: Caller, ledger: OpenLedger, stated: StatedAge, when: CollectionTime) -> LedgerEntry:
    capacity = {"age_band": stated.age_band.value}
    if stated.under_15_until is not None:
        capacity["under_15_until"] = stated.under_15_until.isoformat()
    return entry_of(
        ledger,
        caller,
        when,
        kind=EventKind.AGE_STATED,
        processing=None,
        stated_at=stated.at,
        evidence={"stated_by": stated.stated_by.value, "checked_how": stated.checked_how.value},
        capacity=capacity,
    )


async def _ask_for_confirmation(session: WriteSession, ledger: OpenLedger, grown: OpenLedger) -> None:
    """Put a message in the outbox for each joint consent in force of a person who is 15 or more now and decides alone.

    The consent stands until it ends; whether to ask the person to confirm it is for the operator (facts of LIL
    art. 45). This happens once: when the band known before was under 15 and the new one is not.
    """
    stated = grown.entries[-1].event
    before, after = (age_known(each.events, stated.collected_at) for each in (ledger, grown))
    if before is not AgeBand.UNDER_15 or after is AgeBand.UNDER_15:
        return
    messages = []
    for identifier, record in grown.register.items():
        if record is None:
            continue
        standing = grown.standing(identifier)
        grant = standing.grant
        if grant is not None and is_joint(grant) and standing.state_of(grant.event) is State.IN_FORCE:
            data = {"consent": str(grant.event.id), "processing": identifier}
            messages.append(DomainEvent(ledger.ref, "confirmation_due", standing.at, data))
    await put_in_outbox(session, *messages)
