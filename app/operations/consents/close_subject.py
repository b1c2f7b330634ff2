"""Close or erase a user: the next holder of the address starts with nothing; an erased user is not found again."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.audit.trail import ActKind, Target, record_act
from app.auth.callers import Caller
from app.auth.store import forget_answers
from app.core.article import PARIS, paris_midnight
from app.core.consent import ConsentEvent, EventKind
from app.core.fold import ConsentRow
from app.db.session import ChangeKind, WriteSession, uuid7
from app.ledger.identifiers import names_of
from app.ledger.locators import (
    MovedError,
    account_of,
    begin_account,
    end_account,
    every_ref,
    hold_refs,
    located_many,
    names_held,
    sever,
)
from app.ledger.projection import LedgerEntry
from app.operations.consents.ledgers import OpenLedger, append, open_ledger, tell
from app.operations.service.deployment import Deployment, SubjectName


@dataclass(frozen=True, slots=True)
class Closure:
    """The entry, the consents that ended with the account, and since when; no entry without an account to erase."""

    id: UUID | None
    closed: tuple[UUID, ...]
    effective_at: datetime


async def close_subject(session: WriteSession, deployment: Deployment, caller: Caller, subject: SubjectName) -> Closure:
    """Append a closure: it wipes everything decided before it, for every processing registered now or later.

    All names of the person are closed. The next holder of one of them begins with another subject_ref, and sees nothing
    of this person's past.
    """
    ledger = await open_ledger(session, deployment, subject)
    if ledger.shared:
        session.widen()  # the mailbox is no longer shared either: it may be given consents from now on
    closed = await close_ledger(session, caller, ledger)
    detail = {"ended": len(closed.ended)}
    await record_act(session, ActKind.SUBJECT_CLOSED, caller.id, Target(subject_ref=closed.ledger.ref), detail)
    return closed.closure


@dataclass(frozen=True, slots=True)
class ClosedLedger:
    """A ledger that ends with a closure, and the consents that ended with it."""

    ledger: OpenLedger
    ended: Sequence[ConsentRow]

    @property
    def closure(self) -> Closure:
        """The closure, as the answer to its caller."""
        event = self.ledger.entries[-1].event
        return Closure(event.id, tuple(row.id for row in self.ended), event.collected_at)


async def close_ledger(session: WriteSession, caller: Caller, ledger: OpenLedger) -> ClosedLedger:
    """Append a closure to an open ledger, notify receivers, and make the person's names lead nowhere."""
    ledger, ended = await append_for_all(session, caller, ledger, EventKind.CLOSED)
    at = ledger.entries[-1].event.collected_at
    for row in ended:
        await tell(session, ledger.ref, EventKind.CLOSED, at, consent=row.id, processing=row.processing)
    await end_account(session, ledger.ref, at)
    return ClosedLedger(ledger, ended)


async def append_for_all(
    session: WriteSession, caller: Caller, ledger: OpenLedger, kind: EventKind
) -> tuple[OpenLedger, list[ConsentRow]]:
    """Append an event about every processing of the subject; return the ledger after it and the consents it ended."""
    session.narrow()
    at = ledger.after_everything
    event = ConsentEvent(id=uuid7(at), kind=kind, processing=None, collected_at=at, order=ledger.next_order)
    entry = LedgerEntry(subject_ref=ledger.ref, event=event, recorded_at=at, recorded_by=caller.id)
    return await append(session, ledger, entry)


async def erase_subject(session: WriteSession, deployment: Deployment, caller: Caller, subject: SubjectName) -> Closure:
    """Append a closure and an erasure, and destroy what leads from the id to the ledger and back (GDPR art. 17).

    Every name of the person is erased, with the closed accounts of each. From then on the past cannot be found by any
    of them, even with the keys. The ledger keeps what proves, under a random pseudonym. Of each name, even one of which
    nothing was recorded, remains only that it was erased, and on which day: no import brings back what was said before,
    and no export what was done under it as a parent.

    Raises:
        InvalidSubjectError: the id has a domain that IDNA refuses.

    """
    found_by = deployment.pseudonyms.found_by(subject.type, subject.id)
    # Before the look-up: a first consent that is being recorded is waited for and closed, or comes after.
    await session.look_up(names_held(found_by, waiting=True))
    refs = await _hold_all(session, found_by)
    located = located_many([found_by])
    [account] = located.read((await session.look_up(located))[located])
    live = None if account.new else account.ref
    session.narrow()
    for locator in found_by:  # also where this repeats an erasure that may not have been confirmed
        session.change(ChangeKind.SUBJECT, locator)
    if live is not None:
        closure = await _close(session, deployment, caller, subject)
    else:  # the act is about somebody only if a closed account was left to be erased
        left = [ref for ref in sorted(refs) if await names_of(session, ref)]
        about = Target(subject_ref=left[0] if left else None)
        await record_act(session, ActKind.SUBJECT_ERASED, caller.id, about, {"ended": 0})
        closure = Closure(None, (), await session.now())
    # The answer is kept as one about the account that was open, if any: nothing leads to an earlier one.
    session.committing.subjects.intersection_update({live} if live is not None else ())
    await forget_people(session, refs, found_by, await session.now())
    return closure


async def forget_people(
    session: WriteSession, refs: Collection[bytes], named: Mapping[bytes, str], at: datetime
) -> None:
    """Destroy whatever leads from an id to these ledgers, and back (GDPR art. 17), and leave the day of `at`.

    `named`: the locators of the name that was given, each with its maker. Where no ledger is, the day is all there is.
    """
    session.note("forgotten", {"subject_refs": sorted(refs), "named": list(named.items())})
    day = day_of(at)
    await sever(session, refs, day)
    if not refs:
        begin_account(session, account_of(named), day, ended_at=day)
    await forget_answers(session, refs)


def day_of(at: datetime) -> datetime:
    """Return when the day of an instant began, which is all that is kept of when somebody was erased."""
    return paris_midnight(at.astimezone(PARIS).date())


async def _hold_all(session: WriteSession, locators: Collection[bytes]) -> frozenset[bytes]:
    """Hold every account that the person's names lead or have led to, all at once: locks are taken in one order."""
    while True:
        with suppress(MovedError):
            async with session.attempt():
                refs = await every_ref(session, locators)
                await hold_refs(session, refs)
                if await every_ref(session, locators) != refs:
                    raise MovedError
                return refs


async def _close(session: WriteSession, deployment: Deployment, caller: Caller, subject: SubjectName) -> Closure:
    """Append the closure and the erasure, and notify receivers of the erasure alone: it says more."""
    ledger = await open_ledger(session, deployment, subject)
    at = ledger.after_everything
    ledger, ended = await append_for_all(session, caller, ledger, EventKind.CLOSED)
    closure = ledger.entries[-1].event
    await append_for_all(session, caller, ledger, EventKind.ERASED)
    for row in ended:
        await tell(session, ledger.ref, EventKind.ERASED, at, consent=row.id, processing=row.processing)
    detail = {"ended": len(ended)}
    await record_act(session, ActKind.SUBJECT_ERASED, caller.id, Target(subject_ref=ledger.ref), detail)
    return Closure(closure.id, tuple(row.id for row in ended), closure.collected_at)
