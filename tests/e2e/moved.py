"""The service with a moved clock: `python -m tests.e2e.moved DATA PORT MOVED`.

The same application as `sceau serve` on an embedded server; its clock is the database's, plus the seconds that the file
MOVED holds. Production code knows nothing of it.
"""

import sys
from datetime import datetime, timedelta
from pathlib import Path

import uvicorn
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.session import DatabaseClock
from app.main import create_app
from app.serving import local_deployment
from app.settings import Settings


class MovedClock(DatabaseClock):
    """The database's clock, moved."""

    def __init__(self, moved: Path) -> None:
        """Move it by what a file holds, read each time."""
        self._moved = moved

    async def now(self, connection: AsyncConnection) -> datetime:
        """The database's present, moved."""
        return await super().now(connection) + timedelta(seconds=int(self._moved.read_text()))


def main() -> None:
    """Serve until SIGTERM."""
    data, port, moved = sys.argv[1:]
    with local_deployment(Path(data), join=False):
        app = create_app(Settings.load(), clock=MovedClock(Path(moved)))
        uvicorn.run(app, host="127.0.0.1", port=int(port), access_log=False, log_config=None, server_header=False)


if __name__ == "__main__":
    main()
