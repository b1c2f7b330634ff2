"""`sceau` without a mechanism, named by UNPROVEN: what a control runs, to show that its test can fail."""

import os
from contextlib import asynccontextmanager

from app.cli import main
from app.db.connections import HeardConnection
from app.db.database import Database, ReadPool
from app.snapshot.last_known import PrimaryReads


def _nothing(_self, _given):
    """Do nothing."""


def _any_server() -> None:
    """Believe whichever server answers a read."""

    async def fetch(self, _server, statement, values):
        async with self._pool.connection() as connection:
            rows = await (await connection.execute(statement.telling_server, values)).fetchall()
        return [row for row in rows if row.found]

    @asynccontextmanager
    async def read_from(self, _server, **_):
        async with self.read() as session:
            yield session

    for owner, name, stand_in in (
        (ReadPool, "follow", _nothing),
        (Database, "follow", _nothing),
        (ReadPool, "_fetch", fetch),
        (Database, "read_from", read_from),
    ):
        setattr(owner, name, stand_in)


def _no_proof() -> None:
    """Read whatever the DSN leads to while no lease is held."""

    @asynccontextmanager
    async def read(self):
        async with self._database.read() as session:
            yield session

    setattr(PrimaryReads, "read", read)  # noqa: B010 - a method is not to be assigned to, says mypy


def _deaf() -> None:
    """Hear no warning of the server."""
    setattr(HeardConnection, "_hear", _nothing)  # noqa: B010 - as above


{"any server": _any_server, "no proof": _no_proof, "deaf": _deaf}[os.environ["UNPROVEN"]]()
main()
