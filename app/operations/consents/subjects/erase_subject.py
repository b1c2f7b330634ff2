"""Erase a user: close the account and sever the id from the ledger, which keeps the proof, not of whom."""

from collections.abc import Sequence

from app.audit.acts import ActKind, Target
from app.audit.trail import record_act
from app.auth.callers import Caller
from app.auth.idempotency import forget_answers
from app.core.consent import EventKind
from app.db.session import WriteSession
from app.ledger.aliases import forget_aliases
from app.ledger.locators import hold_names, refs_behind, sever
from app.ledger.mailboxes import forget_sharing
from app.ledger.vault_store import destroy_ids
from app.operations.consents.append_to_ledger import open_ledger, tell
from app.operations.consents.subjects.close_subject import Closure, append_for_all
from app.operations.consents.subjects.follow import account_of, follow, hold_people
from app.operations.service.deployment import Deployment, SubjectName
from app.snapshot.changes import ChangeKind, record_change


async def erase_subject(session: WriteSession, deployment: Deployment, caller: Caller, subject: SubjectName) -> Closure:
    """Append a closure and an erasure, and destroy what leads from the id to the ledger and back (GDPR art. 17).

    Nobody finds the past by the id after this, whoever holds the keys; closed accounts of the same id go with it. The
    ledger keeps what proves, under a random pseudonym. The person's other names are closed with it, and each is erased
    when it is named itself. Erasing somebody of whom nothing is recorded leaves nothing.

    Raises:
        InvalidSubjectError: the id has a domain that IDNA refuses.

    """
    locators = deployment.pseudonyms.locators(subject.type, subject.id)
    # Before it is looked for: a first consent that is recorded meanwhile is waited for, and closed, or comes after.
    await hold_names(session, locators)
    live = await account_of(session, deployment, subject)
    closure = await _close_and_erase(session, deployment, caller, subject) if live is not None else None
    await _confirm_for_all(session, locators)
    await _sever_all(session, locators)
    if closure is not None:
        return closure
    await record_act(session, ActKind.SUBJECT_ERASED, caller.id, Target(), {"ended": 0})
    return Closure(None, (), await session.now())


async def _sever_all(session: WriteSession, locators: Sequence[bytes]) -> None:
    """Destroy what leads from the id to any account, closed ones included, and back."""
    # Again until nothing is found: rows that were being rewritten for another key are new ones once they are free.
    while refs := await refs_behind(session, locators):
        await destroy_ids(session, refs)
        await sever(session, refs)
        await forget_aliases(session, refs)
        await forget_sharing(session, refs)
        await forget_answers(session, refs)


async def _confirm_for_all(session: WriteSession, locators: Sequence[bytes]) -> None:
    """Have replicas forget the id, also where this repeats an erasure that may not have been confirmed."""
    session.narrow()
    for locator in locators:
        await record_change(session, ChangeKind.SUBJECT, locator)


async def _close_and_erase(
    session: WriteSession, deployment: Deployment, caller: Caller, subject: SubjectName
) -> Closure:
    await hold_people(session, deployment, subject)
    ledger = await open_ledger(session, deployment, subject)
    at = ledger.after_everything
    ledger, ended = await append_for_all(session, caller, ledger, EventKind.CLOSED)
    closure = ledger.events[-1].id
    await follow(session, ledger, ledger.entries[-1])
    # The answer names what ended under this name alone, and is kept as about it alone: nothing may lead from one name
    # to another now.
    session.committing.subjects.intersection_update({ledger.ref})
    await append_for_all(session, caller, ledger, EventKind.ERASED)
    for row in ended:
        await tell(session, ledger.ref, EventKind.ERASED, at, consent=row.id, processing=row.processing)
    told = {"ended": len(ended)}
    await record_act(session, ActKind.SUBJECT_ERASED, caller.id, Target(subject_ref=ledger.ref), told)
    return Closure(closure, tuple(row.id for row in ended), at)
