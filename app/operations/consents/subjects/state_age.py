"""Record what the operator learns of a person's age: a fact of the person, on no processing (LIL art. 45)."""

from dataclasses import dataclass
from datetime import datetime

from app.auth.callers import Caller
from app.core.consent import AgeBand, ConsentEvent, EventKind, State
from app.core.fold import age_known, fold, makes_older, makes_younger
from app.core.grant import is_joint
from app.core.state import consent_state
from app.db.session import WriteSession
from app.events.many import Message, put_many
from app.ledger.entries import LedgerEntry, collection_of
from app.operations.consents.append_to_ledger import OpenLedger, append, open_ledger
from app.operations.consents.collection_time import CollectionTime, record_import, time_of_narrowing
from app.operations.consents.subjects.follow import follow, hold_people
from app.operations.decisions.evaluate_requests import present
from app.operations.service.deployment import Deployment, SubjectName
from app.register.store import load_processings


@dataclass(frozen=True, slots=True)
class StatedAge:
    """Whose age, which band, who stated it, how that was checked, and when; `at` None is now."""

    subject: SubjectName
    age_band: AgeBand
    stated_by: str
    checked_how: str
    at: datetime | None = None


async def state_age(session: WriteSession, deployment: Deployment, caller: Caller, stated: StatedAge) -> LedgerEntry:
    """Append the age. One that makes the person younger is confirmed like a withdrawal: consents may fall with it.

    Raises:
        CollectionTimeError: `at` lies in the future.

    """
    await hold_people(session, deployment, stated.subject)
    ledger = await open_ledger(session, deployment, stated.subject)
    when = time_of_narrowing(ledger, deployment, caller, stated.at, field="at")
    entry = _entry(session, caller, ledger, stated, when)
    # Of a repetition too, which makes nobody younger: its first time may not have been confirmed.
    if stated.age_band is not AgeBand.ADULT or makes_younger(stated.age_band, ledger.events, when.at):
        session.narrow()
    if makes_older(stated.age_band, ledger.events, when.at):
        session.widen()
    await append(session, ledger, entry)
    await follow(session, ledger, entry)
    if when.imported:
        await record_import(session, caller, ledger.now)
    await _ask_for_confirmation(session, deployment, ledger, entry.event)
    return entry


def _entry(
    session: WriteSession, caller: Caller, ledger: OpenLedger, stated: StatedAge, when: CollectionTime
) -> LedgerEntry:
    capacity = {"age_band": stated.age_band.value}
    recorded_at = max(ledger.now, when.at)
    event = ConsentEvent(
        id=session.new_id(recorded_at),
        kind=EventKind.AGE_STATED,
        processing=None,
        collected_at=when.at,
        order=ledger.next_order,
        collection=collection_of(None, capacity, text_known=True),
    )
    return LedgerEntry(
        subject_ref=ledger.ref,
        event=event,
        recorded_at=recorded_at,
        recorded_by=caller.id,
        imported=when.imported,
        stated_at=stated.at,
        evidence={"stated_by": stated.stated_by, "checked_how": stated.checked_how},
        capacity=capacity,
    )


async def _ask_for_confirmation(
    session: WriteSession, deployment: Deployment, ledger: OpenLedger, stated: ConsentEvent
) -> None:
    """Tell receivers, once, of each joint consent in force whose person is a child no more: they decide alone now.

    The consent stands until it ends; that it is worth a confirmation by the person is for the operator (facts of LIL
    art. 45). Told when the band last known was under 15 and the new one is not.
    """
    before = age_known(ledger.events, stated.collected_at)
    if before is not AgeBand.UNDER_15 or stated.collection.age_band is AgeBand.UNDER_15:
        return
    events = [*ledger.events, stated]
    records = await load_processings(session, {each.processing for each in events if each.processing is not None})
    messages = []
    for identifier, record in records.items():
        at = present(ledger.now, {ledger.ref: events}, record)
        grant = fold(events, record.facts, at).grant
        if grant is None or not is_joint(grant):
            continue
        if consent_state(grant.event, events, record.facts, at, deployment.policy) is State.IN_FORCE:
            data = {"consent": str(grant.event.id), "processing": identifier}
            messages.append(Message(session.new_id(at), ledger.ref, "confirmation_due", at, data))
    await put_many(session, messages)
