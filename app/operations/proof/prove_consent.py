"""What a person or its provider gets about one consent: its entry in the log, and the proof that it stands there."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.audit.trail import ActKind, Target, TargetKind, record_act
from app.auth.callers import Caller
from app.core.errors import NotFoundError
from app.core.projection import CONSENTS
from app.db.session import ReadSession, WriteSession
from app.ledger.entries import LedgerEntry
from app.ledger.store import find_entry
from app.proof import store
from app.proof.entries import body_of
from app.proof.notes import tlog_proof
from app.proof.tree import inclusion_proof, subtree_of, tiles_needed


@dataclass(frozen=True, slots=True)
class EntryProof:
    """An entry of the log, what opens it, and the proof that it stands there (c2sp.org/tlog-proof)."""

    entry: str
    salt: str
    body: str
    proof: str

    def json(self) -> dict[str, str]:
        """As it stands in a receipt and on the wire."""
        return {"entry": self.entry, "salt": self.salt, "body": self.body, "proof": self.proof}


async def prove_consent(session: WriteSession, caller: Caller, identifier: UUID) -> EntryProof | None:
    """The proof of a consent or a refusal; None while it is not in the log. The audit trail records who read it.

    Raises:
        NotFoundError: there is no such consent, or the caller may not ask about its processing.

    """
    entry = await find_decision(session, caller, identifier)
    proof = await prove_event(session, identifier)
    if proof is not None:
        await record_reading(session, caller, entry)
    return proof


async def prove_event(session: ReadSession, identifier: UUID) -> EntryProof | None:
    """The proof of an event of the ledger; None while it is not in the log, or once its salt was destroyed."""
    return await prove_entry(session, "consent_event", str(identifier))


async def prove_entry(session: ReadSession, kind: str, identifier: str) -> EntryProof | None:
    """The proof of a row of a kind that triggers queue; None while it is not in the log, or once its salt is gone."""
    name = (kind, identifier)
    entry = await store.entry_named(session, *name)
    if entry is None or entry.salt is None:
        return None
    head = await store.latest_checkpoint(session, at_least=entry.position + 1)
    record = (await store.records(session, [name])).get(name)
    if head is None or record is None:
        return None

    def work(subtree: Any) -> list[bytes]:  # noqa: ANN401 - of two kinds: one that reads, one that only notes
        return inclusion_proof(entry.position, head.size, subtree)

    held = await store.tiles(session, tiles_needed(work))
    proof = work(subtree_of(lambda level, index: held[level, index]))
    body = body_of(record, entry.salt).decode()
    return EntryProof(entry.content.decode(), entry.salt.hex(), body, tlog_proof(entry.position, proof, head.note))


async def find_decision(session: ReadSession, caller: Caller, identifier: UUID) -> LedgerEntry:
    """A consent or a refusal that a caller may see.

    Raises:
        NotFoundError: there is no such consent, or the caller may not ask about its processing.

    """
    entry = await find_entry(session, identifier)
    if entry is None or entry.event.kind not in CONSENTS or not caller.may_ask_about(entry.event.processing or ""):
        raise NotFoundError
    return entry


async def record_reading(session: WriteSession, caller: Caller, entry: LedgerEntry) -> None:
    """Record that a caller read an entry of somebody's history."""
    target = Target(TargetKind.CONSENT, str(entry.event.id), entry.subject_ref)
    await record_act(
        session, ActKind.CONSENT_HISTORY_READ, caller.id, target, {"processing": entry.event.processing or ""}
    )
