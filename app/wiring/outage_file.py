"""Keeps what exempt purposes need known for an outage, and in the outage file, while the database answers."""

import asyncio
from pathlib import Path
from typing import Final
from uuid import UUID

import structlog

from app.api.http.services import Services
from app.db.database import DatabaseUnavailableError
from app.operations.service.outage_file import ExemptFacts, learn, read_kept, write_file

_EACH_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 0.1
log = structlog.get_logger("sceau")


async def keep_exempt_known(services: Services) -> None:
    """Read every half minute, and at once when the feed has found another server, until cancelled.

    At its first beat on a server a process forgets all that it knew: if that server goes away too before anybody has
    asked, nobody would be answered.
    """
    while True:
        incarnation = _incarnation(services)
        if not await learn_exempt(services):
            await asyncio.sleep(_LOOK_SECONDS)
            continue
        for _ in range(round(_EACH_SECONDS / _LOOK_SECONDS)):
            if _incarnation(services) != incarnation:
                break
            await asyncio.sleep(_LOOK_SECONDS)


async def learn_exempt(services: Services) -> bool:
    """Read once what exempt purposes need, take it as known, and write it to the outage file.

    It is read from a server that is proven to be the primary: another may have missed a suspension.

    Returns:
        False where the database is away or was set back, or where something has changed since it was read.

    """
    since = services.known.forgettings
    try:
        async with services.reads.read() as session:
            kept = await read_kept(session)
    except DatabaseUnavailableError:
        return False
    if services.known.forgettings != since:
        return False
    services.known.is_back()
    learn(kept, services.known, since)
    if services.outage_file is not None:
        await _write(services, services.outage_file, kept)
    return True


def _incarnation(services: Services) -> UUID | None:
    """That of the feed, once it has beaten; None without one."""
    feed = services.memory.replica.feed if services.memory is not None else None
    return feed.incarnation if feed is not None and feed.server is not None else None


async def _write(services: Services, path: Path, kept: ExemptFacts) -> None:
    """Write the file; one that cannot be written keeps nothing from being answered."""
    try:
        await asyncio.to_thread(write_file, path, kept, services.deployment.vault)
    except OSError as error:
        log.error("the outage file cannot be written", why=error.strerror)  # noqa: TRY400 - the cause says nothing more
