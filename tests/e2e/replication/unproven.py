"""`sceau` without a mechanism, named by UNPROVEN: what a control runs, to show that its test can fail."""

import os
from contextlib import asynccontextmanager

from app.cli import main
from app.db.connections import HeardConnection
from app.db.database import Database
from app.db.read_pool import ReadPool
from app.snapshot.primary_reads import PrimaryReads


def _any_server() -> None:
    """Believe whichever server answers a read."""

    async def fetch(self, _server, statement, values):
        async with self._pool.connection() as connection:
            rows = await (await connection.execute(statement.text, values)).fetchall()
        return [row for row in rows if row.found]

    @asynccontextmanager
    async def read_from(self, _server):
        async with self.read() as session:
            yield session

    ReadPool.follow = Database.follow = lambda _self, _accepts: None
    ReadPool._fetch = fetch
    Database.read_from = read_from


def _no_proof() -> None:
    """Read whatever the DSN leads to while no lease is held."""

    @asynccontextmanager
    async def read(self):
        async with self._database.read() as session:
            yield session

    PrimaryReads.read = read


def _deaf() -> None:
    """Hear no warning of the server."""
    HeardConnection._hear = lambda _self, _notice: None


{"any server": _any_server, "no proof": _no_proof, "deaf": _deaf}[os.environ["UNPROVEN"]]()
main()
