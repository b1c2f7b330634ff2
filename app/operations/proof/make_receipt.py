"""What a person or its provider gets about one consent: its proof in the log, and a signed receipt with that proof."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.auth.callers import Caller
from app.core.consent import EventKind
from app.core.errors import NotFoundError
from app.core.projection import project
from app.db.identifiers import uuid7
from app.db.session import ReadSession
from app.keyring.ed25519 import signed_jws
from app.keyring.store import RECEIPT_KEYS, keys_in_force
from app.ledger.entries import LedgerEntry
from app.ledger.store import find_entry, load_entries
from app.operations.proof.log_keys import name_of_log, receipts_name
from app.operations.service.deployment import Deployment
from app.operations.service.signing_keys import opened
from app.proof import store
from app.proof.entries import body_of, subject_in_body
from app.proof.notes import tlog_proof
from app.proof.receipts import TYPE, ConsentReceipt, ToldConsent, ToldController, ToldProcessing
from app.proof.tiles import subtree_of, tiles_needed
from app.proof.tree import inclusion_proof
from app.proof.verifier.notes import SIGNATURE, VerifierKey
from app.register.controllers import load_controllers
from app.register.store import load_processing

_DECISIONS = (EventKind.GRANTED, EventKind.REFUSED)


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


async def prove_event(session: ReadSession, identifier: UUID) -> EntryProof | None:
    """The proof of an event of the ledger; None while it is not in the log, or once its salt was destroyed."""
    name = ("consent_event", str(identifier))
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


async def prove_consent(session: ReadSession, caller: Caller, identifier: UUID) -> EntryProof | None:
    """The proof of a consent or a refusal that a caller may see; None while it is not in the log.

    Raises:
        NotFoundError: there is no such consent, or the caller may not ask about its processing.

    """
    await _decision(session, caller, identifier)
    return await prove_event(session, identifier)


async def make_receipt(
    session: ReadSession, deployment: Deployment, caller: Caller, identifier: UUID, *, service: str, origin: str
) -> tuple[str, Mapping[str, Any]]:
    """A receipt of a consent or a refusal: as a compact JWS, and the JSON-LD in it.

    Args:
        session: where it is read.
        deployment: whose key signs.
        caller: who asks.
        identifier: of the consent.
        service: the public address.
        origin: names the log where it has no checkpoint yet.

    Raises:
        NotFoundError: there is no such consent, or the caller may not ask about its processing.

    """
    entry = await _decision(session, caller, identifier)
    proof = await prove_event(session, identifier)
    now = await session.now()
    told, processing = await _told(session, entry, proof), await _processing(session, entry)
    receipt = ConsentReceipt(uuid7(now), now, service, told, processing)
    json_ld = receipt.json_ld()
    key = (await keys_in_force(session, RECEIPT_KEYS, now))[0]
    private = Ed25519PrivateKey.from_private_bytes(opened(deployment, RECEIPT_KEYS, key))
    named = VerifierKey(receipts_name(await name_of_log(session, origin)), SIGNATURE, key.public)
    claims = {
        "iss": service,
        "iat": int(now.timestamp()),
        "jti": str(receipt.id),
        "receipt": json_ld,
        "log": proof.json() if proof is not None else None,
    }
    return signed_jws(private, str(named), TYPE, claims), json_ld


async def _decision(session: ReadSession, caller: Caller, identifier: UUID) -> LedgerEntry:
    entry = await find_entry(session, identifier)
    if entry is None or entry.event.kind not in _DECISIONS or not caller.may_ask_about(entry.event.processing or ""):
        raise NotFoundError
    return entry


async def _told(session: ReadSession, entry: LedgerEntry, proof: EntryProof | None) -> ToldConsent:
    event, identifier = entry.event, entry.event.processing or ""
    record = await load_processing(session, identifier)
    events = [each.event for each in await load_entries(session, entry.subject_ref)]
    concerning = [each for each in events if each.concerns(identifier)]
    register = {identifier: record.facts} if record is not None else {}
    row = next((each for each in project(concerning, register) if each.id == event.id), None)
    # Without an entry in the log the person is named by what no other receipt has: it leads nowhere.
    salt = bytes.fromhex(proof.salt) if proof is not None else hashlib.sha256(event.id.bytes).digest()
    return ToldConsent(
        event.id,
        event.kind,
        event.collected_at,
        entry.recorded_at,
        event.expires_at,
        event.collection.given_by,
        entry.evidence or {},
        subject_in_body(salt, entry.subject_ref),
        row.ended_by if row is not None else None,
        row.ended_at if row is not None else None,
    )


async def _processing(session: ReadSession, entry: LedgerEntry) -> ToldProcessing:
    identifier, number = entry.event.processing or "", entry.event.version
    record = await load_processing(session, identifier)
    versions = record.versions if record is not None else ()
    version = next((each for each in versions if each.facts.number == number), None)
    if record is None or version is None:
        raise NotFoundError
    controllers = await load_controllers(session, version.controllers)
    language = str((entry.evidence or {}).get("language") or "fr").split("-")[0]
    return ToldProcessing(
        id=identifier,
        version=version.facts.number,
        name=version.name.get(language) or next(iter(version.name.values()), identifier),
        purpose=record.facts.purpose,
        service=version.facts.service,
        elements=sorted(version.facts.elements),
        recipients=sorted(version.facts.data_recipients),
        retention=str(version.facts.retention) if version.facts.retention is not None else None,
        storage_location=version.particulars.storage_location,
        automated=version.facts.automated,
        controllers=[
            ToldController(
                each.id,
                each.legal_name,
                each.kind,
                each.identifier,
                each.versions[-1].postal_address,
                each.versions[-1].contact,
                each.versions[-1].country,
            )
            for each in controllers.values()
        ],
        contact=version.contact,
    )
