"""Brings notes into the journal that a process left in the database: it died, or the journal could not be written."""

import asyncio
from datetime import timedelta
from typing import Final

import structlog

from app.api.http.services import Services
from app.db.database import DatabaseUnavailableError
from app.journal.lines import JournalError

_EACH_SECONDS: Final = 1.0
_LEFT: Final = timedelta(seconds=10)
"""A note that waits for longer was left by its process, which else keeps it before it answers, and says so here."""
log = structlog.get_logger("sceau.journal")


async def keep_journal(services: Services) -> None:
    """Look every second, until cancelled; also say what this process has kept itself, and note a new epoch."""
    failed = False
    while True:
        await asyncio.sleep(_EACH_SECONDS)
        try:
            await services.journal.mark_kept(services.database)
            await services.journal.keep_waiting(services.database, left_for=_LEFT)
            await services.journal.note_epoch()
        except DatabaseUnavailableError:
            continue  # others say so
        except JournalError as error:
            if not failed:
                log.error("notes wait in the database", why=str(error))  # noqa: TRY400 - the message is for an operator
            failed = True
        else:
            failed = False
