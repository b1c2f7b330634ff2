"""Record decisions in ledgers that were opened together, each as if it were alone."""

from dataclasses import dataclass

from app.auth.callers import Caller
from app.core.errors import DomainError
from app.db.session import PartRefusedError, WriteSession
from app.operations.consents.open_ledgers import OpenLedgers
from app.operations.consents.record_consent import Collected, RecordedConsent, record_in
from app.operations.consents.withdraw_consent import RecordedWithdrawal, Withdrawal, withdraw_in
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

    No savepoint is needed: `record_in` and `withdraw_in` raise before they stage anything.
    """
    done: Done
    try:
        caller.require_processing(said.processing)
        ledger = opened.of(said.subject)
        if isinstance(said, Collected):
            done = await record_in(session, deployment, caller, said, ledger)
            entry = done.entry
        else:
            entry, done = await withdraw_in(session, deployment, caller, said, ledger)
    except (DomainError, PartRefusedError) as error:
        return Recorded(refused=error)
    opened.recorded(said.subject, entry)
    return Recorded(done, None, frozenset((ledger.ref,)), entry.imported)
