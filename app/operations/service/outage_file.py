"""What a process needs to answer exempt purposes when it starts without the database, kept sealed in a file.

The file holds the register entries of III and the SHA-256 of each API key in force with the scopes of its caller. It
holds nothing about users: no consent, no subject. It is sealed under the master key.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from app.auth.callers import Authenticated
from app.auth.store import list_by_key
from app.core.processing import Processing
from app.db.session import ReadSession
from app.journal.files import put_whole
from app.ledger.identifiers import Vault, VaultError
from app.register.store import load_processings
from app.snapshot.last_known import LastKnown
from app.snapshot.leases import boot_seconds

LONGEST_AGE: Final = timedelta(days=1)
"""An older file is not used: it may name a key that was revoked since, or a processing that was suspended."""
_SEALED_FOR: Final = "outage file"


class OutageFileError(Exception):
    """The file cannot be used; the message says why."""


class ExemptFacts(msgspec.Struct, frozen=True):
    """What the file holds, and the database's clock when that was read."""

    at: datetime
    callers: Mapping[str, Authenticated]
    processings: tuple[Processing, ...]


async def read_kept(session: ReadSession) -> ExemptFacts:
    """Read what the file is to hold."""
    at = await session.instant()
    callers = {digest.hex(): found for digest, found in (await list_by_key(session)).items()}
    records = await load_processings(session)
    return ExemptFacts(at, callers, tuple(each.facts for each in records.values() if each.facts.is_exempt))


def write_file(path: Path, kept: ExemptFacts, vault: Vault) -> None:
    """Replace the file by this one, sealed.

    Raises:
        OSError: it cannot be written.

    """
    put_whole(path, vault.seal_apart(_SEALED_FOR, msgspec.json.encode(kept)))


def read_file(path: Path, vault: Vault) -> ExemptFacts:
    """Return what the file holds.

    Raises:
        OutageFileError: there is none, or it cannot be opened or read.

    """
    try:
        return msgspec.json.decode(vault.open_apart(_SEALED_FOR, path.read_bytes()), type=ExemptFacts)
    except OSError as error:
        raise OutageFileError(f"it cannot be read ({error.strerror})") from None
    except (VaultError, IndexError):
        raise OutageFileError("it was altered, or sealed under a master key that is not held") from None
    except msgspec.DecodeError:
        raise OutageFileError("another version of Sceau wrote it") from None


def remember(kept: ExemptFacts, known: LastKnown, now: datetime) -> None:
    """Treat what the file holds as known, for an outage that has lasted since it was written.

    Raises:
        OutageFileError: it is too old, or of the future.

    """
    if not -timedelta(minutes=1) <= now - kept.at <= LONGEST_AGE:
        raise OutageFileError(f"it is of {kept.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC: at most a day is trusted")
    known.away()
    learn(kept, known, boot_seconds())


def learn(kept: ExemptFacts, known: LastKnown, began: float) -> None:
    """Treat as known what a read found that began at that time (CLOCK_BOOTTIME)."""
    for digest, found in kept.callers.items():
        known.remember_caller(bytes.fromhex(digest), found, began)
    for processing in kept.processings:
        known.remember_processing(processing.id, processing, began)
    known.settle()
