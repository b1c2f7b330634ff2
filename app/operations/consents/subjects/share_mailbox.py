"""State that several people share a mailbox: it has no user who could consent for it, and so it has no consents."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.audit.trail import ActKind, Target, record_act
from app.auth.callers import Caller
from app.core.errors import NotFoundError
from app.db.session import WriteSession
from app.ledger.vault_store import names_of
from app.operations.consents.ledgers import new_account, open_ledgers, write_account
from app.operations.consents.subjects.close_subject import close_ledger
from app.operations.service.deployment import Deployment, SubjectName
from app.snapshot.tables import ChangeKind, record_change


@dataclass(frozen=True, slots=True)
class StatedSharing:
    """Since when it stands, and the consents that ended by it."""

    at: datetime
    ended: tuple[UUID, ...] = ()


async def share_mailbox(
    session: WriteSession, deployment: Deployment, caller: Caller, mailbox: SubjectName
) -> StatedSharing:
    """Close the account that the id has, with all of its names, and begin one that is given no consent.

    Stating it again answers what stands.

    Raises:
        InvalidSubjectError: the id has a domain that IDNA refuses.

    """
    session.narrow()
    opened = await open_ledgers(session, deployment, [mailbox])
    ledger, is_new = opened.of(mailbox), opened.account(mailbox).new
    for locator in ledger.locators:  # also where it stands already: it may not have been confirmed
        await record_change(session, ChangeKind.SUBJECT, locator)
    if ledger.shared:
        return StatedSharing((await names_of(session, ledger.ref))[0].kept_at)
    closed = None if is_new else await close_ledger(session, caller, ledger)
    at = ledger.now if closed is None else closed.closure.effective_at
    account = new_account(deployment, mailbox, shared=True)
    write_account(session, deployment, mailbox, account, at)
    session.note("other", {"what": "a mailbox was said to be shared", "about": f"subject_ref {ledger.ref.hex()}"})
    ended = () if closed is None else closed.closure.closed
    await record_act(session, ActKind.MAILBOX_SHARED, caller.id, Target(subject_ref=account.ref), {"ended": len(ended)})
    return StatedSharing(at, ended)


async def unshare_mailbox(
    session: WriteSession, deployment: Deployment, caller: Caller, mailbox: SubjectName
) -> StatedSharing:
    """State that a mailbox is one person's: its account is closed, so that nothing comes back, and nobody decided yet.

    Raises:
        NotFoundError: nothing says that it is shared.

    """
    session.widen()  # it may be given consents from now on
    opened = await open_ledgers(session, deployment, [mailbox])
    ledger = opened.of(mailbox)
    if not ledger.shared:
        raise NotFoundError("Nothing says that this mailbox is shared.")
    closed = await close_ledger(session, caller, ledger)
    await record_act(session, ActKind.MAILBOX_UNSHARED, caller.id, Target(subject_ref=ledger.ref))
    return StatedSharing(closed.closure.effective_at)
