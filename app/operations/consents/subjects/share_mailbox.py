"""State that several people share a mailbox, and who they are: every one of them must consent (rule 18)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from app.audit.acts import ActKind, Target
from app.audit.trail import record_act
from app.auth.callers import Caller
from app.core.aliases import HolderIsMailboxError, SameSubjectError
from app.core.errors import NotFoundError
from app.db.session import WriteSession
from app.ledger.aliases import accounts_of, locators_of
from app.ledger.mailboxes import Sharing, any_holds, any_shared, end_sharing, find_sharing, state_sharing
from app.operations.consents.append_to_ledger import open_ledger
from app.operations.consents.subjects.follow import account_of, hold_people
from app.operations.service.deployment import Deployment, SubjectName
from app.snapshot.changes import ChangeKind, record_change


@dataclass(frozen=True, slots=True)
class StatedSharing:
    """The statement that stands, how many holders it names, and since when."""

    id: UUID
    holders: int
    stated_at: datetime


async def share_mailbox(
    session: WriteSession, deployment: Deployment, caller: Caller, mailbox: SubjectName, holders: Sequence[SubjectName]
) -> StatedSharing:
    """State who shares a mailbox, in the place of what was stated before; it holds under its linked names too.

    With no holder named, what rests on consent is denied. Stating the same again answers what stands.

    Raises:
        InvalidSubjectError: an id has a domain that IDNA refuses.
        SameSubjectError: the mailbox is named as its own holder.
        HolderIsMailboxError: a holder is a shared mailbox itself, or the mailbox is a holder of another.

    """
    session.narrow()
    await hold_people(session, deployment, mailbox, *holders)
    own = await open_ledger(session, deployment, mailbox)
    named = tuple(sorted({(await open_ledger(session, deployment, each)).ref for each in holders}))
    accounts = await accounts_of(session, own.ref)
    await _forget_in_memory(session, accounts)  # also where it stands already: it may not have been confirmed
    if not set(named).isdisjoint(accounts):
        raise SameSubjectError(field="holders")
    if await any_holds(session, accounts) or (named and await any_shared(session, named)):
        raise HolderIsMailboxError(field="holders")
    stands = await find_sharing(session, own.ref)
    if stands is not None and stands.holders == named:
        return StatedSharing(stands.id, len(named), stands.stated_at)
    if stands is not None and named and not (stands.holders and set(stands.holders) <= set(named)):
        session.widen()  # somebody is not asked any more, or nobody was named before
    stated = Sharing(session.new_id(own.now), own.ref, named, own.now, caller.id)
    await state_sharing(session, stated)
    for account in set(accounts) - {own.ref}:
        await state_sharing(session, replace(stated, id=session.new_id(own.now), mailbox=account))
    session.note("other", {"what": "who shares a mailbox was stated", "about": f"subject_ref {own.ref.hex()}"})
    told = {"holders": len(named)}
    await record_act(session, ActKind.MAILBOX_SHARED, caller.id, Target(subject_ref=own.ref), told)
    return StatedSharing(stated.id, len(named), stated.stated_at)


async def unshare_mailbox(
    session: WriteSession, deployment: Deployment, caller: Caller, mailbox: SubjectName
) -> datetime:
    """State that a mailbox is one person's; since when. Nothing is asked of those who held it any more.

    Raises:
        NotFoundError: nothing says that it is shared.

    """
    await hold_people(session, deployment, mailbox)
    ref = await account_of(session, deployment, mailbox)
    if ref is None or await find_sharing(session, ref) is None:
        raise NotFoundError("Nothing says that this mailbox is shared.")
    own = await open_ledger(session, deployment, mailbox)
    accounts = await accounts_of(session, own.ref)
    await _forget_in_memory(session, accounts)
    session.widen()
    for account in accounts:
        await end_sharing(session, account, own.now)
    await record_act(session, ActKind.MAILBOX_UNSHARED, caller.id, Target(subject_ref=own.ref))
    return own.now


async def _forget_in_memory(session: WriteSession, accounts: Sequence[bytes]) -> None:
    """Have replicas read these accounts anew."""
    for account in accounts:
        for locator in await locators_of(session, account):
            await record_change(session, ChangeKind.SUBJECT, locator)
