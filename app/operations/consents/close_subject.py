"""Close or erase a user: the next holder of the address starts with nothing; an erased user is not found again."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.audit.trail import ActKind, Target, record_act
from app.auth.callers import Caller
from app.auth.store import forget_answers
from app.core.article import PARIS, paris_midnight
from app.core.consent import ConsentEvent, EventKind
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
from app.operations.consents.ledgers import OpenLedger, append, open_ledger
from app.operations.service.deployment import Deployment, SubjectName


@dataclass(frozen=True, slots=True)
class Closure:
    """The entry, the consents that ended with the account, and since when; no entry where no account was closed."""

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
    closure = await close_ledger(session, caller, ledger)
    detail = {"ended": len(closure.closed)}
    await record_act(session, ActKind.SUBJECT_CLOSED, caller.id, Target(subject_ref=ledger.ref), detail)
    return closure


async def close_ledger(session: WriteSession, caller: Caller, ledger: OpenLedger, *, erased: bool = False) -> Closure:
    """Append a closure to an open ledger, and make the person's names lead nowhere.

    `erased`: an erasure follows the closure, and receivers are notified of it alone: it says more. The names are left
    to `forget_people`.
    """
    session.narrow()
    closure = _for_all(caller, ledger, EventKind.CLOSED)
    entries = [closure]
    if erased:
        entries.append(_for_all(caller, ledger.with_entries(closure), EventKind.ERASED))
    else:
        await end_account(session, ledger.ref, closure.recorded_at)
    _, ended = await append(session, ledger, *entries)
    return Closure(closure.event.id, tuple(consent.id for consent in ended), closure.recorded_at)


def _for_all(caller: Caller, ledger: OpenLedger, kind: EventKind) -> LedgerEntry:
    """Return an entry about every processing of the person, dated after everything in the ledger."""
    at = ledger.after_everything
    event = ConsentEvent(id=uuid7(at), kind=kind, processing=None, collected_at=at, order=ledger.next_order)
    return LedgerEntry(subject_ref=ledger.ref, event=event, recorded_at=at, recorded_by=caller.id)


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
        closure = await close_ledger(session, caller, await open_ledger(session, deployment, subject), erased=True)
        about, ended = Target(subject_ref=live), len(closure.closed)
    else:  # the act is about somebody only if a closed account was left to be erased
        left = [ref for ref in sorted(refs) if await names_of(session, ref)]
        closure = Closure(None, (), await session.now())
        about, ended = Target(subject_ref=left[0] if left else None), 0
    await record_act(session, ActKind.SUBJECT_ERASED, caller.id, about, {"ended": ended})
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
