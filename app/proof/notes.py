"""Notes, checkpoints and proofs as this deployment writes them (C2SP: signed-note, tlog-checkpoint, tlog-proof)."""

import base64
import fcntl
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.core.errors import RefusalError
from app.proof.verifier.notes import SIGNATURE, Checkpoint, Note, NoteError, Signature, VerifierKey


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
        str(Signature(each.key.name, each.key.id, each.private.sign(text.encode()))) for each in signers
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


_NAME: Final = "checkpoint"
_USED: Final = "used"
"""The file that says that a checkpoint was once kept here: without it, the directory is new."""


class HeadsUnreadableError(RefusalError):
    """The directory or the last checkpoint in it cannot be read or written; the message is one line."""


@dataclass(frozen=True, slots=True)
class KeptHeads:
    """A directory with the last checkpoint. `directory` None: nothing is kept or compared."""

    directory: Path | None

    def last(self) -> str | None:
        """Return the last checkpoint that was kept; None where none is kept, or the directory was never used.

        Raises:
            HeadsUnreadableError: there was one, and it is gone or cannot be read.

        """
        if self.directory is None:
            return None
        try:
            return (self.directory / _NAME).read_text(encoding="utf-8")
        except FileNotFoundError:
            if (self.directory / _USED).exists():
                raise HeadsUnreadableError(f"{self.directory}: the last checkpoint is gone") from None
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise HeadsUnreadableError(f"{self.directory}: the last checkpoint cannot be read") from error

    def epoch(self) -> int:
        """Return the epoch of the last checkpoint; 1 where none is kept or it cannot be read, which others report."""
        try:
            kept = self.last()
            return 1 if kept is None else Checkpoint.parse(Note.parse(kept).text).epoch
        except (HeadsUnreadableError, NoteError):
            return 1

    def keep(self, note: str) -> None:
        """Replace the last checkpoint, wholly or not at all; one with fewer entries changes nothing.

        Raises:
            HeadsUnreadableError: it cannot be written.

        """
        if self.directory is None:
            return
        try:
            with (self.directory / _USED).open("a") as turn:
                fcntl.flock(turn, fcntl.LOCK_EX)  # two processes may have appended one after the other
                kept = self.last_in_place()
                if kept is None or _size(kept) <= _size(note):
                    self._write(note)
        except OSError as error:
            raise HeadsUnreadableError(f"{self.directory}: the checkpoint cannot be written") from error

    def last_in_place(self) -> str | None:
        """Return the checkpoint that is there now."""
        path = (self.directory or Path()) / _NAME
        return path.read_text(encoding="utf-8") if path.exists() else None

    def _write(self, note: str) -> None:
        directory = self.directory or Path()
        part = directory / f".{_NAME}.part"
        with part.open("w", encoding="utf-8") as file:
            file.write(note)
            file.flush()
            os.fsync(file.fileno())
        part.replace(directory / _NAME)
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _size(note: str) -> int:
    return Checkpoint.parse(Note.parse(note).text).size
