"""Notes that a process saw in the database, whoever made them: it knows them when their host is gone with its journal.

Their ids stand beside the journal, in a file of this host's, so that the next process knows them too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec

from app.journal.files import JournalError, KeptNote, put_whole

_FILE: Final = "seen.json"


class SeenNotes(msgspec.Struct, frozen=True):
    """Ids of the latest notes of a database in one of its epochs."""

    epoch: int = 1
    ids: frozenset[UUID] = frozenset()


@dataclass(frozen=True, slots=True)
class KnownNotes:
    """What is known outside a database of what it must hold: notes that were kept, and ids that were seen."""

    notes: Sequence[KeptNote]
    seen: Sequence[SeenNotes] = ()


def write_seen(directory: Path, seen: SeenNotes) -> None:
    """Write the file of a host, whole or not at all.

    Raises:
        JournalError: it could not be written.

    """
    try:
        put_whole(directory / _FILE, msgspec.json.encode(seen))
    except OSError as error:
        raise JournalError(f"{_FILE} cannot be written beside the journal ({error.strerror})") from None


def read_seen(directory: Path) -> SeenNotes:
    """What the file of a host says; nothing where there is none.

    Raises:
        JournalError: it cannot be read.

    """
    try:
        return msgspec.json.decode((directory / _FILE).read_bytes(), type=SeenNotes)
    except FileNotFoundError:
        return SeenNotes()
    except (OSError, msgspec.DecodeError):
        raise JournalError(f"{_FILE} beside the journal cannot be read") from None
