"""Notes, checkpoints and proofs as this deployment writes them (C2SP: signed-note, tlog-checkpoint, tlog-proof)."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.proof.verifier.notes import SIGNATURE, Checkpoint, Signature, VerifierKey


def log_name(public_url: str) -> str:
    """Return the name of a deployment's log: its public address without the scheme, and `/ledger`."""
    address = urlsplit(public_url)
    # A name has no plus: it ends there in a verifier key.
    return f"{address.netloc}{address.path.rstrip('/')}/ledger".replace("+", "%2B")


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key and the verifier key that goes with it."""

    key: VerifierKey
    private: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def of(cls, name: str, private: Ed25519PrivateKey) -> "Signer":
        """Return a signer of notes under a name."""
        return cls(VerifierKey(name, SIGNATURE, private.public_key().public_bytes_raw()), private)


def signed_note(text: str, signers: Sequence[Signer]) -> str:
    """Return a note with the signatures of all of these. `text` ends with a newline."""
    return f"{text}\n" + "".join(
        str(Signature(signer.key.name, signer.key.id, signer.private.sign(text.encode()))) for signer in signers
    )


def signed_checkpoint(checkpoint: Checkpoint, signers: Sequence[Signer]) -> str:
    """Return a checkpoint as a note."""
    return signed_note(checkpoint.text, signers)


def tlog_proof(index: int, proof: Sequence[bytes], checkpoint: str) -> str:
    """Return the proof that an entry stands in a log, in the text form of c2sp.org/tlog-proof.

    Args:
        index: the place of the entry, from 0.
        proof: its inclusion proof.
        checkpoint: the signed checkpoint that the proof leads to.

    """
    hashes = "".join(f"{base64.b64encode(each).decode()}\n" for each in proof)
    return f"c2sp.org/tlog-proof@v1\nindex {index}\n{hashes}\n{checkpoint}"
