"""The receipt of one consent: what a person keeps of it, signed, with its proof once it is in the log."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.auth.callers import Caller
from app.core.consent import ConsentEvent, EventKind
from app.core.errors import NotFoundError
from app.core.processing import Processing
from app.core.projection import CONSENTS
from app.core.state import grant_among
from app.db.identifiers import uuid7
from app.db.session import ReadSession, WriteSession
from app.keyring.ed25519 import signed_jws
from app.keyring.store import RECEIPT_KEYS, keys_in_force
from app.ledger.entries import LedgerEntry
from app.ledger.projection import load_rows
from app.ledger.store import load_entries
from app.operations.proof.consent_receipt import ConsentReceipt
from app.operations.proof.log_keys import name_of_log, receipts_name
from app.operations.proof.prove_consent import EntryProof, find_decision, prove_event, record_reading
from app.operations.service.deployment import Deployment
from app.operations.service.signing_keys import opened
from app.proof.entries import subject_in_body
from app.proof.verifier.notes import SIGNATURE, VerifierKey
from app.register.controllers import load_controllers
from app.register.store import load_processing

TYPE: Final = "sceau-consent-receipt+jwt"
"""`typ` of the JWS: a receipt is never taken for a decision, or for anything else that is signed (RFC 8725, 3.11)."""


async def make_receipt(
    session: WriteSession, deployment: Deployment, caller: Caller, identifier: UUID, *, service: str, origin: str
) -> tuple[str, Mapping[str, Any]]:
    """A receipt of a consent or a refusal: as a compact JWS, and the JSON-LD in it.

    The audit trail records who asked for it.

    Args:
        session: where it is read.
        deployment: whose key signs.
        caller: who asks.
        identifier: of the consent.
        service: the public address.
        origin: names the log where it has no checkpoint yet.

    Raises:
        NotFoundError: there is no such consent, or the caller may not ask about its processing.
        VaultError: the master key that wraps the newest key of receipts is not held.

    """
    entry = await find_decision(session, caller, identifier)
    made = await signed_receipt(session, deployment, entry, service=service, origin=origin)
    await record_reading(session, caller, entry)
    return made


async def receipt_for_the_person(
    session: ReadSession, deployment: Deployment, ref: bytes, processing: str, *, service: str, origin: str
) -> str:
    """A receipt of the last consent or refusal of somebody on a processing, as a compact JWS, for themselves.

    Raises:
        NotFoundError: they decided nothing about it.
        VaultError: the master key that wraps the newest key of receipts is not held.

    """
    decided = [
        entry
        for entry in await load_entries(session, ref)
        if entry.event.processing == processing and entry.event.kind in CONSENTS
    ]
    if not decided:
        raise NotFoundError
    jws, _ = await signed_receipt(session, deployment, decided[-1], service=service, origin=origin)
    return jws


async def signed_receipt(
    session: ReadSession, deployment: Deployment, entry: LedgerEntry, *, service: str, origin: str
) -> tuple[str, Mapping[str, Any]]:
    """The receipt of an entry: as a compact JWS, and the JSON-LD in it. Arguments and errors as of `make_receipt`."""
    proof = await prove_event(session, entry.event.id)
    receipt = await receipt_of(session, entry, proof, service)
    json_ld = receipt.json_ld()
    key = (await keys_in_force(session, RECEIPT_KEYS, receipt.made_at))[0]
    private = Ed25519PrivateKey.from_private_bytes(opened(deployment, RECEIPT_KEYS, key))
    named = VerifierKey(receipts_name(await name_of_log(session, origin)), SIGNATURE, key.public)
    claims = {
        "iss": service,
        "iat": int(receipt.made_at.timestamp()),
        "jti": str(receipt.id),
        "receipt": json_ld,
        "log": proof.json() if proof is not None else None,
    }
    return signed_jws(private, str(named), TYPE, claims), json_ld


async def receipt_of(
    session: ReadSession, entry: LedgerEntry, proof: EntryProof | None, service: str
) -> ConsentReceipt:
    """What a receipt of an entry tells.

    Raises:
        NotFoundError: the register does not have what was decided about.

    """
    event, now = entry.event, await session.now()
    processing = await load_processing(session, event.processing or "")
    version = processing.version(event.version or 0) if processing is not None else None
    if processing is None or version is None:
        raise NotFoundError
    events = [each.event for each in await load_entries(session, entry.subject_ref)]
    # Without an entry in the log the person is named by what no other receipt has: it leads nowhere.
    salt = bytes.fromhex(proof.salt) if proof is not None else hashlib.sha256(event.id.bytes).digest()
    return ConsentReceipt(
        id=uuid7(now),
        made_at=now,
        service=service,
        entry=entry,
        person=subject_in_body(salt, entry.subject_ref),
        row=(await load_rows(session, entry.subject_ref)).get(event.id),
        processing=processing,
        version=version,
        controllers=tuple((await load_controllers(session, version.controllers)).values()),
        acts=_acts(event, events, processing.facts, now),
        is_completed=_is_completed(event, events, processing.facts, now),
    )


def _acts(
    event: ConsentEvent, events: Sequence[ConsentEvent], facts: Processing, at: datetime
) -> tuple[ConsentEvent, ...]:
    """The act itself, and the one of the other side before it that makes it a joint consent, if there is one."""
    return grant_among(event, events, facts, at).acts if event.kind is EventKind.GRANTED else (event,)


def _is_completed(event: ConsentEvent, events: Sequence[ConsentEvent], facts: Processing, at: datetime) -> bool:
    """Whether the other side of a joint consent acted after this one: that gave the consent, and renewed none."""
    later = [each for each in events if each.kind is EventKind.GRANTED and each.processing == event.processing]
    return any(event.id in {act.id for act in grant_among(each, events, facts, at).acts[:-1]} for each in later)
