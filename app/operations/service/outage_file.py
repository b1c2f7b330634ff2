"""What a process needs to answer exempt purposes without the database: known to it, and kept sealed in a file.

The file holds the register entries of III and the SHA-256 of each API key in force with the scopes of its caller. It
holds nothing about users: no consent, no subject. It is sealed under the master key.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
import structlog

from app.auth.callers import Authenticated
from app.auth.store import list_by_key
from app.core.processing import Processing
from app.db.database import DatabaseUnavailableError
from app.db.session import ReadSession
from app.journal.files import put_whole
from app.ledger.identifiers import Vault, VaultError
from app.register.store import load_processings
from app.snapshot.feed import Feed
from app.snapshot.last_known import LastKnown, PrimaryReads
from app.snapshot.leases import boot_seconds

LONGEST_AGE: Final = timedelta(days=1)
"""An older file is not used: it may name a key that was revoked since, or a processing that was suspended."""
_SEALED_FOR: Final = "outage file"
_READ_EVERY_SECONDS: Final = 30.0
_RETRY_SECONDS: Final = 0.1

log = structlog.get_logger("sceau")


class OutageFileError(Exception):
    """The file cannot be used; the message says why."""


class ExemptFacts(msgspec.Struct, frozen=True):
    """What the file holds, and the database's clock when that was read."""

    at: datetime
    callers: Mapping[str, Authenticated]
    processings: tuple[Processing, ...]


async def read_kept(session: ReadSession) -> ExemptFacts:
    """Read the facts that the file is to hold."""
    at = await session.instant()
    callers = {digest.hex(): authenticated for digest, authenticated in (await list_by_key(session)).items()}
    records = await load_processings(session)
    return ExemptFacts(at, callers, tuple(each.facts for each in records.values() if each.facts.is_exempt))


def write_file(path: Path, facts: ExemptFacts, vault: Vault) -> None:
    """Replace the file by this one, sealed.

    Raises:
        OSError: it cannot be written.

    """
    put_whole(path, vault.seal_apart(_SEALED_FOR, msgspec.json.encode(facts)))


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


def remember(facts: ExemptFacts, known: LastKnown, now: datetime) -> None:
    """Treat what the file holds as known, for an outage that has lasted since it was written.

    Raises:
        OutageFileError: it is too old, or of the future.

    """
    if not -timedelta(minutes=1) <= now - facts.at <= LONGEST_AGE:
        raise OutageFileError(f"it is of {facts.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC: at most a day is trusted")
    known.away()
    _take_as_known(facts, known, boot_seconds())


def _take_as_known(facts: ExemptFacts, known: LastKnown, began: float) -> None:
    """Treat as known the facts of a read; `began`: when that read began (CLOCK_BOOTTIME)."""
    for digest, authenticated in facts.callers.items():
        known.remember_caller(bytes.fromhex(digest), authenticated, began)
    for processing in facts.processings:
        known.remember_processing(processing.id, processing, began)
    known.settle()


@dataclass(frozen=True, slots=True)
class ExemptKnowledge:
    """What exempt purposes need, kept known to this process and, where `path` is given, in the outage file.

    `reads` opens sessions on the primary. `feed` is this process's own; None in strict mode.
    """

    path: Path | None
    vault: Vault
    known: LastKnown
    reads: PrimaryReads
    feed: Feed | None

    def take_from_file(self, now: datetime) -> bool:
        """Take from the file what exempt purposes need; return whether it was there and could be used."""
        if self.path is None:
            return False
        try:
            remember(read_file(self.path, self.vault), self.known, now)
        except OutageFileError as error:
            log.error("the outage file is not used", why=str(error))  # noqa: TRY400 - the message is for an operator
            return False
        return True

    async def learn(self) -> bool:
        """Read once what exempt purposes need, take it as known, and write it to the file.

        It is read from a server that is proven to be the primary: another may have missed a suspension.

        Returns:
            False where the database is away or was set back, or where something has changed since it was read.

        """
        since, began = self.known.forgettings, boot_seconds()
        try:
            async with self.reads.read() as session:
                facts = await read_kept(session)
        except DatabaseUnavailableError:
            return False
        if self.known.forgettings != since:
            return False
        self.known.is_back()
        _take_as_known(facts, self.known, began)
        if self.path is not None:
            try:
                await asyncio.to_thread(write_file, self.path, facts, self.vault)
            except OSError as error:  # it keeps nothing from being answered
                log.error("the outage file cannot be written", why=error.strerror)  # noqa: TRY400 - the cause says no more
        return True

    async def keep(self) -> None:
        """Learn every half minute, and at once on a new server of the feed, until cancelled.

        At its first beat on a server a process forgets all that it knew: if that server goes away too before any
        request came, none could be answered.
        """
        while True:
            turned = self.feed.turned if self.feed is not None else asyncio.Event()
            if await self.learn():
                with suppress(TimeoutError):
                    async with asyncio.timeout(_READ_EVERY_SECONDS):
                        await turned.wait()
            await asyncio.sleep(_RETRY_SECONDS)  # a feed may begin and end several times a second
