"""The keys that sign the log's checkpoints: made at first, opened to sign with, listed to verify with."""

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.db.session import ReadSession, WriteSession
from app.keyring.store import PROOF_KEYS, RECEIPT_KEYS, all_keys, keys_in_force
from app.operations.service.deployment import Deployment
from app.operations.service.signing_keys import ensure_key, opened
from app.proof.notes import Signer, signed_note
from app.proof.store import add_statement, latest_checkpoint, stated_keys
from app.proof.verifier.notes import SIGNATURE, Checkpoint, Note, VerifierKey
from app.proof.verifier.rotations import rotation_text


@dataclass(frozen=True, slots=True)
class LogKeys:
    """Who signs now, and every key by which something of this log may have been signed."""

    signer: Signer
    known: Sequence[VerifierKey]


async def name_of_log(session: ReadSession, otherwise: str) -> str:
    """The origin of the log: that of its first checkpoint for good, whatever the public address becomes."""
    signed = await latest_checkpoint(session)
    return otherwise if signed is None else Checkpoint.parse(Note.parse(signed.note).text).origin


async def verifier_keys(session: ReadSession, otherwise: str) -> list[VerifierKey]:
    """Every key that ever signed the log, the newest first; `otherwise` names a log that has no checkpoint yet."""
    origin = await name_of_log(session, otherwise)
    return [VerifierKey(origin, SIGNATURE, key.public) for key in await all_keys(session, PROOF_KEYS)]


async def log_keys(session: WriteSession, deployment: Deployment, otherwise: str) -> LogKeys:
    """The keys of the log; the first one is made if there is none.

    `otherwise` names a log that has no checkpoint yet.

    Raises:
        VaultError: the master key that wraps the newest key is not held.

    """
    await ensure_key(session, deployment, PROOF_KEYS)
    now = await session.now()
    newest = (await keys_in_force(session, PROOF_KEYS, now))[0]
    origin = await name_of_log(session, otherwise)
    signer = Signer.of(origin, Ed25519PrivateKey.from_private_bytes(opened(deployment, PROOF_KEYS, newest)))
    return LogKeys(signer, await verifier_keys(session, otherwise))


async def receipt_keys(session: ReadSession, otherwise: str) -> list[VerifierKey]:
    """Every key that ever signed receipts, the newest first."""
    name = receipts_name(await name_of_log(session, otherwise))
    return [VerifierKey(name, SIGNATURE, key.public) for key in await all_keys(session, RECEIPT_KEYS)]


def receipts_name(log: str) -> str:
    """The name under which receipts are signed, by that of the log."""
    return f"{log.removesuffix('/ledger')}/receipts"


async def state_rotation(session: WriteSession, deployment: Deployment) -> None:
    """State that the newest key of the log follows the one before, signed by both; nothing before the first head.

    Not for a key that leaked: whoever has it could sign the same for a key of theirs.

    Raises:
        VaultError: the master key that wraps one of the two is not held.

    """
    newest, *before = await all_keys(session, PROOF_KEYS)
    name = await name_of_log(session, "")
    if not before or not name:
        return
    old, new = (
        Signer.of(name, Ed25519PrivateKey.from_private_bytes(opened(deployment, PROOF_KEYS, each)))
        for each in (before[0], newest)
    )
    note = signed_note(rotation_text(old.key, new.key), [old, new])
    now = await session.now()
    await add_statement(session, session.new_id(now), "key", now, {"key": str(new.key), "rotation": note})


async def state_keys(session: WriteSession, keys: LogKeys) -> None:
    """State in the log each key of checkpoints and of receipts that is not stated yet."""
    stated = await stated_keys(session)
    now = await session.now()
    for key in map(str, (*keys.known, *await receipt_keys(session, keys.signer.key.name))):
        if key not in stated:
            await add_statement(session, session.new_id(now), "key", now, {"key": key})
