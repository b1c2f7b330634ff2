"""Keeps the outage file up to date while the database answers."""

import asyncio
from pathlib import Path
from typing import Final

import structlog

from app.api.http.services import Services
from app.db.database import DatabaseUnavailableError
from app.operations.service.outage_file import read_kept, write_file

_EACH_SECONDS: Final = 30.0
log = structlog.get_logger("sceau")


async def keep_outage_file(services: Services, path: Path) -> None:
    """Write the file every half minute, until cancelled. One that cannot be written keeps nothing from being answered.

    It is read from a server that is proven to be the primary: another may have missed a suspension.
    """
    while True:
        try:
            async with services.reads.read() as session:
                kept = await read_kept(session)
            await asyncio.to_thread(write_file, path, kept, services.deployment.vault)
        except DatabaseUnavailableError:
            pass  # the file of before stands
        except OSError as error:
            log.error("the outage file cannot be written", why=error.strerror)  # noqa: TRY400 - the cause says nothing more
        await asyncio.sleep(_EACH_SECONDS)
