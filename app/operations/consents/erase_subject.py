"""Erase a user: close the account and destroy the key of its id. The ledger keeps the proof, not of whom."""

from app.audit.acts import ActKind, Target
from app.audit.trail import record_act
from app.auth.callers import Caller
from app.core.consent import EventKind
from app.db.session import WriteSession
from app.ledger.vault_store import destroy_id
from app.operations.consents.append_to_ledger import open_ledger, tell
from app.operations.consents.close_subject import Closure, append_for_all
from app.operations.service.deployment import Deployment, SubjectName


async def erase_subject(session: WriteSession, deployment: Deployment, caller: Caller, subject: SubjectName) -> Closure:
    """Append a closure and an erasure, and destroy what would tell whose ledger it is (GDPR art. 17).

    The pseudonym stays: it is what proves, and it still answers a question about the same id.
    """
    ledger = await open_ledger(session, deployment, subject)
    at = ledger.after_everything
    ledger, ended = await append_for_all(session, caller, ledger, EventKind.CLOSED)
    await append_for_all(session, caller, ledger, EventKind.ERASED)
    await destroy_id(session, ledger.ref)
    for row in ended:
        await tell(session, ledger.ref, EventKind.ERASED, at, consent=row.id, processing=row.processing)
    told = {"ended": len(ended)}
    await record_act(session, ActKind.SUBJECT_ERASED, caller.id, Target(subject_ref=ledger.ref), told)
    return Closure(tuple(row.id for row in ended), at)
