"""Close a user's account: the next holder of the address starts with nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.audit.trail import ActKind, Target, record_act
from app.auth.callers import Caller
from app.core.consent import ConsentEvent, EventKind
from app.core.projection import ConsentRow
from app.db.session import WriteSession
from app.ledger.entries import LedgerEntry
from app.ledger.locators import end_account
from app.operations.consents.ledgers import OpenLedger, append, open_ledger, tell
from app.operations.service.deployment import Deployment, SubjectName


@dataclass(frozen=True, slots=True)
class Closure:
    """The entry, the consents that ended with the account, and since when; no entry where there was nobody to erase."""

    id: UUID | None
    closed: tuple[UUID, ...]
    effective_at: datetime


async def close_subject(session: WriteSession, deployment: Deployment, caller: Caller, subject: SubjectName) -> Closure:
    """Append a closure: it wipes everything decided before it, for every processing registered now or later.

    All names of the person are closed. Whoever has one of them next begins with another subject_ref, and sees nothing
    of this one's past.
    """
    ledger = await open_ledger(session, deployment, subject)
    if ledger.shared:
        session.widen()  # that several people share it ends too: it may be given consents from now on
    closed = await close_ledger(session, caller, ledger)
    told = {"ended": len(closed.ended)}
    await record_act(session, ActKind.SUBJECT_CLOSED, caller.id, Target(subject_ref=closed.ledger.ref), told)
    return closed.closure


@dataclass(frozen=True, slots=True)
class ClosedLedger:
    """A ledger that ends with a closure, and the consents that ended with it."""

    ledger: OpenLedger
    ended: Sequence[ConsentRow]

    @property
    def closure(self) -> Closure:
        """What a caller is told."""
        event = self.ledger.entries[-1].event
        return Closure(event.id, tuple(row.id for row in self.ended), event.collected_at)


async def close_ledger(session: WriteSession, caller: Caller, ledger: OpenLedger) -> ClosedLedger:
    """Append a closure to an open ledger, tell receivers, and have the names of the person lead nowhere."""
    ledger, ended = await append_for_all(session, caller, ledger, EventKind.CLOSED)
    at = ledger.entries[-1].event.collected_at
    for row in ended:
        await tell(session, ledger.ref, EventKind.CLOSED, at, consent=row.id, processing=row.processing)
    await end_account(session, ledger.ref, at)
    return ClosedLedger(ledger, ended)


async def append_for_all(
    session: WriteSession, caller: Caller, ledger: OpenLedger, kind: EventKind
) -> tuple[OpenLedger, list[ConsentRow]]:
    """Append an event about every processing of the subject; the ledger after it, and the consents that it ended."""
    session.narrow()
    at = ledger.after_everything
    event = ConsentEvent(id=session.new_id(at), kind=kind, processing=None, collected_at=at, order=ledger.next_order)
    entry = LedgerEntry(subject_ref=ledger.ref, event=event, recorded_at=at, recorded_by=caller.id)
    return await append(session, ledger, entry)
