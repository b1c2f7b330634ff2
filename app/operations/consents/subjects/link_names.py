"""State that two names are one person's, or that they are not: withdrawals then follow from one to the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.audit.acts import ActKind, Target
from app.audit.trail import record_act
from app.auth.callers import Caller
from app.core.aliases import (
    MOST_NAMES,
    AliasBasis,
    HoldersDifferError,
    SameSubjectError,
    TooManyNamesError,
    ages_to_carry,
    refusals_to_carry,
)
from app.core.consent import ConsentEvent, EventKind
from app.core.errors import NotFoundError
from app.db.session import WriteSession
from app.ledger.aliases import Alias, accounts_of, add_alias, find_alias, remove_alias
from app.ledger.entries import LedgerEntry
from app.ledger.mailboxes import find_sharing
from app.operations.consents.append_to_ledger import OpenLedger, append, open_ledger, tell
from app.operations.consents.subjects.follow import account_of, hold_people, open_account, record_age
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
    """State that two names are one person's. What is refused under one ends under the other, as of the refusal.

    Stating it again answers what stands. No consent follows from name to name. The person's age does where it makes
    younger, and fills in one that was unknown, as if it had been stated under that name.

    Raises:
        InvalidSubjectError: an id has a domain that IDNA refuses.
        SameSubjectError: both lead to one account.
        TooManyNamesError: the person would have more names than one may.
        HoldersDifferError: one is a shared mailbox, and the other has not the same holders.

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
    await _require_same_holders(session, refs)
    now = ledgers[0].now
    alias = Alias(session.new_id(now), refs[0], refs[1], by, now, caller.id)
    # Names that are one person's by others have nothing to carry to one another.
    withdrawn = await _carry_over(session, caller, alias, ledgers[0], persons) if persons[0] != persons[1] else []
    await add_alias(session, alias)
    told = {"basis": by.value, "ended": len(withdrawn)}
    # One of the two pseudonyms only: after an erasure, nothing may lead from one name to the other.
    session.note("other", {"what": "another name was linked", "about": f"subject_ref {refs[0].hex()}"})
    await record_act(session, ActKind.SUBJECTS_LINKED, caller.id, Target(subject_ref=refs[0]), told)
    return StatedAlias(alias, tuple(withdrawn))


async def _require_same_holders(session: WriteSession, refs: Sequence[bytes]) -> None:
    """Two names of one mailbox have the same holders, or a question under the other name would ask nobody of them.

    All names that are linked to either have them already (`share_mailbox`).

    Raises:
        HoldersDifferError: one is shared and the other is not, or other people share it.

    """
    one, other = [await find_sharing(session, ref) for ref in refs]
    if (one.holders if one is not None else None) != (other.holders if other is not None else None):
        raise HoldersDifferError(field="to")


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
    session.widen()
    await remove_alias(session, alias.id)
    await record_act(session, ActKind.SUBJECTS_UNLINKED, caller.id, Target(subject_ref=refs[0]))
    return await session.now()


async def _hold_both(
    session: WriteSession, deployment: Deployment, one: SubjectName, other: SubjectName
) -> list[OpenLedger]:
    await hold_people(session, deployment, one, other)
    return [await open_ledger(session, deployment, name) for name in (one, other)]


async def _carry_over(
    session: WriteSession, caller: Caller, alias: Alias, held: OpenLedger, persons: list[list[bytes]]
) -> list[UUID]:
    """Record under each name what was refused, withdrawn and stated of an age under the others.

    Returns:
        The consents that ended.

    """
    opened = [[await open_account(session, ref, held) for ref in accounts] for accounts in persons]
    withdrawn: list[UUID] = []
    for mine, theirs in ((opened[0], opened[1]), (opened[1], opened[0])):
        said = [event for ledger in mine for event in ledger.events]
        for ledger in theirs:
            after, ended = await _carry_refusals(session, caller, alias, said, ledger)
            withdrawn += ended
            for each in mine:
                for age in ages_to_carry(each.events, after.events, held.now):
                    after = await record_age(session, caller.id, age, after, {"alias": str(alias.id)})
    return withdrawn


async def _carry_refusals(
    session: WriteSession, caller: Caller, alias: Alias, said: list[ConsentEvent], ledger: OpenLedger
) -> tuple[OpenLedger, list[UUID]]:
    """Record under one name what was refused or withdrawn under others, at its own dates, as an import would.

    Returns:
        The ledger with them, and the consents that ended.

    """
    now, after = ledger.now, ledger
    for processing, at in refusals_to_carry(said, ledger.events):
        event = ConsentEvent(session.new_id(now), EventKind.WITHDRAWN, processing, at, after.next_order)
        evidence = {"alias": str(alias.id)}
        after = after.with_entry(
            LedgerEntry(ledger.ref, event, max(now, at), caller.id, imported=at < now, evidence=evidence)
        )
    added = after.entries[len(ledger.entries) :]
    ended = [row for row in await append(session, ledger, *added) if row.decision is EventKind.GRANTED] if added else []
    for row in ended:
        # Told as of now: whoever is to erase what was derived has heard of it only now.
        await tell(session, ledger.ref, EventKind.WITHDRAWN, now, consent=row.id, processing=row.processing)
    return after, [row.id for row in ended]
