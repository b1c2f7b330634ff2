"""The one way to record what people decide: in ledgers that are open, each decision as if it were alone.

A press on the page, a row of an import, a batch and a single request are all recorded here.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from app.audit.trail import ActKind, record_act
from app.auth.callers import Caller
from app.core.consent import AgeBand, EventKind, State
from app.core.errors import InvalidEvidenceError
from app.db.session import WriteSession
from app.ledger.link_store import keep_text
from app.ledger.projection import LedgerEntry
from app.ledger.vault import KeptName, names_of
from app.operations.consents.grant import Collected, ConsentView, Known, covers, document_of, grant, view_of
from app.operations.consents.ledgers import OpenLedger, OpenLedgers, append, tell
from app.operations.consents.withdrawal import RecordedWithdrawal, Withdrawal, recorded, withdrawal
from app.operations.service.deployment import Deployment, SubjectName, parent_reference

Said = Collected | Withdrawal
Done = ConsentView | RecordedWithdrawal


@dataclass(frozen=True, slots=True)
class Recorded:
    """The entry that was recorded, and what its caller is answered."""

    entry: LedgerEntry
    done: Done


def named_in(said: Iterable[Said]) -> dict[SubjectName, set[bytes]]:
    """Return the subjects of some decisions, each with the documents (SHA-256) that are to stand for their grants."""
    named: dict[SubjectName, set[bytes]] = {}
    for each in said:
        documents = named.setdefault(each.subject, set())
        if isinstance(each, Collected) and (document := document_of(each)) is not None:
            documents.add(document)
    return named


async def record(
    session: WriteSession, deployment: Deployment, caller: Caller, said: Said, opened: OpenLedgers
) -> Recorded:
    """Record one decision in the ledger of its subject, which was opened with its processing.

    Every check runs before anything is staged: a decision that is refused leaves nothing behind, and leaves the others
    of the transaction alone.

    Raises:
        DomainError: it is refused (`grant`, `withdrawal`; InvalidEvidenceError: its document stands for another
            person).

    """
    ledger = opened.of(said.subject)
    stated = said.received_at if isinstance(said, Withdrawal) else said.collected_at
    is_old = stated is not None and stated < ledger.now - deployment.max_backdating
    if is_old:
        deployment = await opened.as_decided()
    if isinstance(said, Withdrawal):
        recording = withdrawal(said, ledger, deployment, caller)
        session.narrow()
    else:
        own = await _own_names(session, deployment, said, ledger)
        known = Known(own, await opened.unfound_until() if is_old else None)
        recording = grant(said, ledger, deployment, caller, known)
        if recording.document is not None and not opened.claim(recording.document, ledger.ref):
            message = "This document stands for another person's consent already."
            raise InvalidEvidenceError(message, field="evidence.document_sha256")
    if recording.widens:
        session.widen()
    for text in recording.texts:
        await keep_text(session, text, ledger.now)
    entry = recording.entry
    grown, ended = await append(session, ledger, entry)
    opened.grown(said.subject, grown)
    at = entry.event.collected_at
    if isinstance(said, Withdrawal):
        granted = [row for row in ended if row.decision is EventKind.GRANTED]
        told = [] if said.quiet else [(row.id, row.processing) for row in granted]
        done: Done = recorded(entry, ledger, granted)
    else:
        told = [] if said.quiet else [(entry.event.id, said.processing)]
        done = view_of(entry, grown, deployment)
        minor = (said.capacity or {}).get("age_band") not in {None, AgeBand.ADULT.value}
        if minor or done.state is not State.IN_FORCE or not covers(grown, entry, ended, deployment):
            # A refusal, a grant that covers less than the one before it, or an age that others may fall with.
            session.narrow()
    for consent, processing in told:
        await tell(session, ledger.ref, entry.event.kind, at, consent=consent, processing=processing)
    return Recorded(entry, done)


async def record_import(session: WriteSession, caller: Caller) -> None:
    """Record that this caller imports, once a day (UTC): the ledger itself marks each entry that was imported."""
    now = await session.now()
    await record_act(session, ActKind.CONSENTS_IMPORTED, caller.id, once=f"{now:%Y-%m-%d}")


async def _own_names(
    session: WriteSession, deployment: Deployment, said: Collected, ledger: OpenLedger
) -> frozenset[str]:
    """Return the references that the person's names would have as a parent (hex); none unless a parent is named."""
    if not {"parent", "parent_ref"} & (said.capacity or {}).keys():
        return frozenset()
    return await own_references(session, deployment, ledger, said.subject)


async def own_references(
    session: WriteSession, deployment: Deployment, ledger: OpenLedger, also: SubjectName | KeptName
) -> frozenset[str]:
    """Return the references that a person's names would have as a parent (hex); `also`: a name maybe not kept yet."""
    kept = [*await names_of(session, ledger.ref), *([also] if isinstance(also, KeptName) else [])]
    names = [SubjectName(each.type, deployment.vault.open(each.sealed)) for each in kept]
    names += [also] if isinstance(also, SubjectName) else []
    return frozenset(parent_reference(deployment, each).hex() for each in names)
