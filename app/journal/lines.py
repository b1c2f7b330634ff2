"""Lines of the journal: sealed, with the epoch of the database that they were written to.

One line is a JSON object: `id` (a random UUID, which a database that holds what the note is about has too), `epoch`
(an integer), `at` (RFC 3339, when it was written) and `sealed` (base64: the note, encrypted under the master key). A
note may stand in several lines of the same id. A note is JSON too: its `kind`, and a `body` that depends on it.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from app.ledger.vault import Vault, VaultError

SEALED_FOR: Final = "journal"


class JournalError(Exception):
    """The journal cannot be read or written; the message is one line that says why."""


class JournalNote(msgspec.Struct, frozen=True):
    """One write that forbids: what kind of fact it recorded, and that fact as JSON."""

    kind: str
    body: msgspec.Raw

    def ends(self, credential: UUID, now: datetime) -> bool:
        """Whether it says that this caller, or this key, was revoked, or that its time has ended by now."""
        if self.kind not in {"caller", "key"}:
            return False
        said = msgspec.json.decode(self.body, type=_Ended)
        return credential in {said.caller, said.key} and (said.revoked or said.at <= now)


class _Ended(msgspec.Struct, frozen=True):
    """A caller that was revoked, or a key that was or has an end (`app.journal.store`)."""

    at: datetime
    caller: UUID | None = None
    key: UUID | None = None
    revoked: bool = True


class KeptNote(msgspec.Struct, frozen=True):
    """A note, with its id and the epoch and the time at which it was made."""

    id: UUID
    epoch: int
    at: datetime
    note: JournalNote


class _Line(msgspec.Struct, frozen=True):
    id: UUID
    epoch: int
    at: datetime
    sealed: bytes


def note_of(kind: str, fact: object) -> JournalNote:
    """A fact as a note: a dataclass or a structure of plain values, times, UUIDs and bytes."""
    return JournalNote(kind, msgspec.Raw(msgspec.json.encode(fact)))


def line_of(kept: KeptNote, vault: Vault) -> bytes:
    """The line that keeps a note, with its newline."""
    sealed = vault.seal_apart(SEALED_FOR, msgspec.json.encode(kept.note))
    return msgspec.json.encode(_Line(kept.id, kept.epoch, kept.at, sealed)) + b"\n"


def read_line(line: bytes, vault: Vault) -> KeptNote:
    """What a line keeps.

    Raises:
        JournalError: it is no line of a journal, or was sealed under another master key, or altered.

    """
    try:
        read = msgspec.json.decode(line, type=_Line)
        note = msgspec.json.decode(vault.open_apart(SEALED_FOR, read.sealed), type=JournalNote)
    except (VaultError, IndexError):
        raise JournalError("a line of the journal was altered, or sealed under a master key that is not held") from None
    except msgspec.DecodeError:
        raise JournalError("the journal has a line that is none") from None
    return KeptNote(read.id, read.epoch, read.at, note)


Clock = Callable[[], datetime]
"""This host's clock, aware (UTC)."""
