"""Record what the operator learns of a person's age: a fact of the person, on no processing (LIL art. 45)."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from app.auth.callers import Caller
from app.core.article import PARIS
from app.core.consent import (
    AgeBand,
    CheckedHow,
    EventKind,
    State,
    StatedBy,
    age_known,
    makes_older,
    makes_younger,
)
from app.core.errors import AgeDateError
from app.core.fold import is_joint
from app.db.session import WriteSession
from app.events.outbox import DomainEvent, put_in_outbox
from app.ledger.projection import LedgerEntry
from app.operations.consents.ledgers import CollectionTime, OpenLedger, append, open_ledgers, time_of_narrowing
from app.operations.consents.recorder import entry_of, record_import
from app.operations.service.deployment import Deployment, SubjectName

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
    entry = _entry(caller, ledger, stated, when)
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


def _entry(caller: Caller, ledger: OpenLedger, stated: StatedAge, when: CollectionTime) -> LedgerEntry:
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
