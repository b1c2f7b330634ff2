"""Record decisions in ledgers that were opened together, each as if it were alone."""

from dataclasses import dataclass

from app.auth.callers import Caller
from app.core.errors import DomainError
from app.db.session import PartRefusedError, WriteSession
from app.ledger.entries import LedgerEntry
from app.operations.consents.open_ledgers import OpenLedgers
from app.operations.consents.record_consent import Collected, RecordedConsent, record_consent, record_in
from app.operations.consents.withdraw_consent import RecordedWithdrawal, Withdrawal, withdraw_consent, withdraw_in
from app.operations.service.deployment import Deployment

Said = Collected | Withdrawal
Done = RecordedConsent | RecordedWithdrawal


@dataclass(frozen=True, slots=True)
class Recorded:
    """What came of one: what was recorded, or why it was not. `subjects`: those whose ledgers were written in."""

    done: Done | None = None
    refused: Exception | None = None
    subjects: frozenset[bytes] = frozenset()
    imported: bool = False


async def record_one(
    session: WriteSession, deployment: Deployment, caller: Caller, said: Said, opened: OpenLedgers
) -> Recorded:
    """Record one decision: a refusal of it leaves nothing, and leaves the others.

    For a person with one name no savepoint is needed: `record_in` and `withdraw_in` raise before they stage anything.
    For a person with several names the operation that looks at all of them runs, in a savepoint.
    """
    try:
        caller.require_processing(said.processing)
        if opened.has_other_names(said.subject):
            return await _with_other_names(session, deployment, caller, said)
        return await _alone(session, deployment, caller, said, opened)
    except (DomainError, PartRefusedError) as error:
        return Recorded(refused=error)


async def _alone(
    session: WriteSession, deployment: Deployment, caller: Caller, said: Said, opened: OpenLedgers
) -> Recorded:
    ledger = opened.of(said.subject)
    done: Done
    entry: LedgerEntry
    if isinstance(said, Collected):
        done = await record_in(session, deployment, caller, said, ledger)
        entry = done.entry
    else:
        entry, done = await withdraw_in(session, deployment, caller, said, ledger)
    await opened.recorded(said.subject, entry)
    return Recorded(done, None, frozenset((ledger.ref,)), entry.imported)


async def _with_other_names(session: WriteSession, deployment: Deployment, caller: Caller, said: Said) -> Recorded:
    async with session.attempt():
        done: Done
        if isinstance(said, Collected):
            done = await record_consent(session, deployment, caller, said)
        else:
            done = await withdraw_consent(session, deployment, caller, said)
        return Recorded(done, None, frozenset(session.committing.subjects))
