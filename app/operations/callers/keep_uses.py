"""Write down when credentials were last used: every minute for all that were, never for a request."""

import asyncio
from typing import Final

from app.auth.uses import Uses, write_uses
from app.db.database import Database, DatabaseUnavailableError

_EVERY_SECONDS: Final = 60.0


async def keep_uses(database: Database, uses: Uses) -> None:
    """Write again and again, until cancelled; `flush_uses` then writes the rest."""
    while True:
        await asyncio.sleep(_EVERY_SECONDS)
        await flush_uses(database, uses)


async def flush_uses(database: Database, uses: Uses) -> None:
    """Write what was noted and is not written yet. What cannot be written now is kept for the next time."""
    noted = uses.unwritten()
    if not noted:
        return
    try:
        async with database.write() as session:
            await write_uses(session, noted)
    except DatabaseUnavailableError:
        return
    uses.written(noted)
