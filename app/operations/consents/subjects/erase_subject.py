"""Erase a user: close the account and sever the id from the ledger, which keeps the proof, not of whom."""

from app.audit.acts import ActKind, Target
from app.audit.trail import record_act
from app.auth.callers import Caller
from app.core.consent import EventKind
from app.db.session import WriteSession
from app.ledger.aliases import forget_aliases
from app.ledger.locators import find_ref, refs_behind, sever
from app.ledger.vault_store import destroy_ids
from app.operations.consents.append_to_ledger import open_ledger, tell
from app.operations.consents.subjects.close_subject import Closure, append_for_all
from app.operations.consents.subjects.follow import follow, hold_people
from app.operations.service.deployment import Deployment, SubjectName


async def erase_subject(session: WriteSession, deployment: Deployment, caller: Caller, subject: SubjectName) -> Closure:
    """Append a closure and an erasure, and destroy what leads from the id to the ledger and back (GDPR art. 17).

    Nobody finds the past by the id after this, whoever holds the keys; closed accounts of the same id go with it. The
    ledger keeps what proves, under a random pseudonym. The person's other names are closed with it, and each is erased
    when it is named itself. Erasing somebody of whom nothing is recorded leaves nothing.

    Raises:
        InvalidSubjectError: the id has a domain that IDNA refuses.

    """
    locators = deployment.pseudonyms.locators(subject.type, subject.id)
    live = await find_ref(session, locators[0])
    closure = await _close_and_erase(session, deployment, caller, subject) if live is not None else None
    refs = await refs_behind(session, locators)
    await destroy_ids(session, refs)
    await sever(session, refs)
    await forget_aliases(session, refs)
    if closure is not None:
        return closure
    await record_act(session, ActKind.SUBJECT_ERASED, caller.id, Target(), {"ended": 0})
    return Closure(None, (), await session.now())


async def _close_and_erase(
    session: WriteSession, deployment: Deployment, caller: Caller, subject: SubjectName
) -> Closure:
    await hold_people(session, deployment, subject)
    ledger = await open_ledger(session, deployment, subject)
    at = ledger.after_everything
    ledger, ended = await append_for_all(session, caller, ledger, EventKind.CLOSED)
    closure = ledger.events[-1].id
    elsewhere = await follow(session, ledger, ledger.entries[-1])
    await append_for_all(session, caller, ledger, EventKind.ERASED)
    for row in ended:
        await tell(session, ledger.ref, EventKind.ERASED, at, consent=row.id, processing=row.processing)
    told = {"ended": len(ended)}
    await record_act(session, ActKind.SUBJECT_ERASED, caller.id, Target(subject_ref=ledger.ref), told)
    return Closure(closure, tuple(row.id for row in [*ended, *elsewhere]), at)
