"""State that two names are one person's, or that they are not: withdrawals then follow from one to the other."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.audit.acts import ActKind, Target
from app.audit.trail import record_act
from app.auth.callers import Caller
from app.core.aliases import (
    MOST_NAMES,
    AliasBasis,
    SameSubjectError,
    TooManyNamesError,
    age_to_carry,
    noes_to_carry,
    processings_ended,
)
from app.core.consent import ConsentEvent, EventKind
from app.core.errors import NotFoundError
from app.db.session import WriteSession
from app.ledger.aliases import Alias, accounts_of, add_alias, find_alias, remove_alias
from app.ledger.entries import LedgerEntry
from app.operations.consents.append_to_ledger import OpenLedger, append, open_ledger
from app.operations.consents.subjects.follow import account_of, carry_age, hold_people, open_account, tell_of
from app.operations.service.deployment import Deployment, SubjectName
from app.snapshot.changes import ChangeKind, record_change


@dataclass(frozen=True, slots=True)
class StatedAlias:
    """The row, and the consents that ended because the other name had said no since."""

    alias: Alias
    withdrawn: tuple[UUID, ...]


async def link_names(  # noqa: PLR0917 - two names and what is said of them
    session: WriteSession, deployment: Deployment, caller: Caller, one: SubjectName, other: SubjectName, by: AliasBasis
) -> StatedAlias:
    """State that two names are one person's. What was refused under one since it was consented to under the other ends.

    Stating it again answers what stands. Nothing is ever permitted by it.

    Raises:
        InvalidSubjectError: an id has a domain that IDNA refuses.
        SameSubjectError: both lead to one account.
        TooManyNamesError: the person would have more names than one may.

    """
    session.narrow()
    ledgers = await _hold_both(session, deployment, one, other)
    # Also where nothing is ended: the first time may have ended something, and not have been confirmed.
    for locator in {each for ledger in ledgers for each in ledger.locators}:
        await record_change(session, ChangeKind.SUBJECT, locator)
    refs = [ledger.ref for ledger in ledgers]
    if refs[0] == refs[1]:
        raise SameSubjectError(field="to")
    known = await find_alias(session, *refs)
    if known is not None:
        return StatedAlias(known, ())
    persons = [await accounts_of(session, ref) for ref in refs]
    if len({each for accounts in persons for each in accounts}) > MOST_NAMES:
        raise TooManyNamesError(field="to")
    now = ledgers[0].now
    alias = Alias(session.new_id(now), refs[0], refs[1], by, now, caller.id)
    withdrawn = await _end_what_was_refused(session, caller, alias, ledgers[0], persons)
    await add_alias(session, alias)
    told = {"basis": by.value, "ended": len(withdrawn)}
    # One of the two pseudonyms only: after an erasure, nothing may lead from one name to the other.
    await record_act(session, ActKind.SUBJECTS_LINKED, caller.id, Target(subject_ref=refs[0]), told)
    return StatedAlias(alias, tuple(withdrawn))


async def unlink_names(
    session: WriteSession, deployment: Deployment, caller: Caller, one: SubjectName, other: SubjectName
) -> datetime:
    """Take two names for two persons again; since when. What ended meanwhile stays ended.

    Raises:
        NotFoundError: nothing says that they are one person's.

    """
    refs = [await account_of(session, deployment, name) for name in (one, other)]
    alias = None if None in refs else await find_alias(session, *(ref for ref in refs if ref is not None))
    if alias is None:
        raise NotFoundError("Nothing says that these two names are one person's.")
    await hold_people(session, deployment, one, other)
    await remove_alias(session, alias.id)
    await record_act(session, ActKind.SUBJECTS_UNLINKED, caller.id, Target(subject_ref=refs[0]))
    return await session.now()


async def _hold_both(
    session: WriteSession, deployment: Deployment, one: SubjectName, other: SubjectName
) -> list[OpenLedger]:
    await hold_people(session, deployment, one, other)
    return [await open_ledger(session, deployment, name) for name in (one, other)]


async def _end_what_was_refused(
    session: WriteSession, caller: Caller, alias: Alias, held: OpenLedger, persons: list[list[bytes]]
) -> list[UUID]:
    """Withdraw, under each name of one person, what was refused or withdrawn later under a name of the other."""
    opened = [[await open_account(session, ref, held) for ref in accounts] for accounts in persons]
    withdrawn: list[UUID] = []
    for mine, theirs in ((opened[0], opened[1]), (opened[1], opened[0])):
        for ledger in theirs:
            ended = {each for said in mine for each in processings_ended(said.events, ledger.events)}
            for processing in sorted(ended):
                withdrawn += await _withdraw(session, caller, alias, ledger, processing)
            for said in mine:
                await _carry(session, caller, alias, said, ledger)
    return withdrawn


async def _carry(session: WriteSession, caller: Caller, alias: Alias, said: OpenLedger, ledger: OpenLedger) -> None:
    """Record under one name the noes of another, at their own dates, and its age where that is the younger."""
    evidence = {"alias": str(alias.id)}
    for processing, at in noes_to_carry(said.events, ledger.events):
        current = await open_account(session, ledger.ref, ledger)
        event = ConsentEvent(session.new_id(ledger.now), EventKind.WITHDRAWN, processing, at, current.next_order)
        recorded_at = max(ledger.now, at)
        entry = LedgerEntry(current.ref, event, recorded_at, caller.id, imported=True, evidence=evidence)
        await append(session, current, entry)
    band = age_to_carry(said.events, ledger.events, ledger.now)
    if band is not None:
        await carry_age(session, caller.id, band, await open_account(session, ledger.ref, ledger), evidence)


async def _withdraw(
    session: WriteSession, caller: Caller, alias: Alias, ledger: OpenLedger, processing: str
) -> list[UUID]:
    current = await open_account(session, ledger.ref, ledger)  # with what was appended for another processing
    at = current.after_everything
    event = ConsentEvent(session.new_id(at), EventKind.WITHDRAWN, processing, at, current.next_order)
    entry = LedgerEntry(current.ref, event, at, caller.id, evidence={"alias": str(alias.id)})
    ended = [row for row in await append(session, current, entry) if row.decision is EventKind.GRANTED]
    return await tell_of(session, current.ref, EventKind.WITHDRAWN, ended, entry)
