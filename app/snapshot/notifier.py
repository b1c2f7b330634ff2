"""Wakes the feeds of other replicas after a commit: a NOTIFY on a connection of its own, coalesced.

Never in the write's own transaction: there a NOTIFY takes a lock that makes all commits of the database queue.
Losing one costs a heartbeat, nothing else.
"""

import asyncio
from typing import Any, Final
from uuid import UUID

import psycopg

from app.db.connections import connect, hanging_up_after
from app.snapshot.acknowledgement import CHANGE_CHANNEL

_COALESCED_SECONDS: Final = 0.002
_RETRY_SECONDS: Final = 0.5
_STATEMENT_SECONDS: Final = 2.0
_NOTIFY: Final = "SELECT pg_notify(%s, sender) FROM unnest(%s::text[]) AS sender"


class Notifier:
    """Sends at most one NOTIFY every few milliseconds, however often it is poked."""

    def __init__(self, url: str) -> None:
        """Prepare; nothing is connected yet."""
        self._url = url
        self._poked = asyncio.Event()
        self._senders: set[str] = set()

    def poke(self, sender: UUID | None) -> None:
        """Something was committed that replicas want to know.

        Args:
            sender: the incarnation that is to be told when they know it; None where their rows are to say so.

        """
        self._senders.add("" if sender is None else sender.hex)
        self._poked.set()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            try:
                async with await connect(self._url, statement_seconds=_STATEMENT_SECONDS) as connection:
                    with hanging_up_after(connection, _STATEMENT_SECONDS):
                        await connection.execute("SET synchronous_commit = off")
                    await self._send(connection)
            except (psycopg.Error, OSError):
                await asyncio.sleep(_RETRY_SECONDS)

    async def _send(self, connection: psycopg.AsyncConnection[Any]) -> None:
        while True:
            await self._poked.wait()
            self._poked.clear()
            senders, self._senders = self._senders, set()
            with hanging_up_after(connection, _STATEMENT_SECONDS):
                await connection.execute(_NOTIFY, [CHANGE_CHANNEL, list(senders)])
            await asyncio.sleep(_COALESCED_SECONDS)
