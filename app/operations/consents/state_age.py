"""Record what the operator learns of a person's age: a fact of the person, on no processing (LIL art. 45)."""

from dataclasses import dataclass
from datetime import datetime

from app.auth.callers import Caller
from app.core.consent import AgeBand, ConsentEvent, EventKind
from app.core.fold import makes_younger
from app.db.session import WriteSession
from app.ledger.entries import LedgerEntry, collection_of
from app.operations.consents.append_to_ledger import append, open_ledger
from app.operations.consents.collection_time import record_import, time_of_narrowing
from app.operations.service.deployment import Deployment, SubjectName


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
    ledger = await open_ledger(session, deployment, stated.subject)
    when = time_of_narrowing(ledger, deployment, caller, stated.at, field="at")
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
    entry = LedgerEntry(
        subject_ref=ledger.ref,
        event=event,
        recorded_at=recorded_at,
        recorded_by=caller.id,
        imported=when.imported,
        stated_at=stated.at,
        evidence={"stated_by": stated.stated_by, "checked_how": stated.checked_how},
        capacity=capacity,
    )
    if makes_younger(stated.age_band, ledger.events, when.at):
        session.narrow()
    await append(session, ledger, entry)
    if when.imported:
        await record_import(session, caller, ledger.now)
    return entry
