"""Connections outside the engine's pool: for the feed, the notifier, and the reads of a replica's memory."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict


def connection_settings(url: str, *, statement_seconds: float) -> dict[str, Any]:
    """What libpq is told for a DSN: time-outs, keepalives, UTC.

    Args:
        url: a PostgreSQL URL; SQLAlchemy's `postgresql+psycopg://` is understood.
        statement_seconds: the longest that one statement may take.

    """
    milliseconds = max(1, int(statement_seconds * 1000))
    return {
        **conninfo_to_dict(url.replace("postgresql+psycopg://", "postgresql://", 1)),
        "options": f"-c timezone=UTC -c statement_timeout={milliseconds} -c lock_timeout={milliseconds}",
        "connect_timeout": 2,
        "application_name": "sceau",
        "keepalives_idle": 1,
        "keepalives_interval": 1,
        "keepalives_count": 2,
        "tcp_user_timeout": max(1000, milliseconds),
    }


async def connect(url: str, *, statement_seconds: float) -> psycopg.AsyncConnection[Any]:
    """An autocommit connection of one's own."""
    settings = connection_settings(url, statement_seconds=statement_seconds)
    return await psycopg.AsyncConnection.connect(autocommit=True, **settings)


@contextmanager
def hanging_up_after(connection: psycopg.AsyncConnection[Any], seconds: float) -> Iterator[None]:
    """Give what is awaited inside so long: then the connection is shut, and whoever waits for it gets an error.

    Not `asyncio.timeout`: when a wait is cancelled, psycopg asks the server to cancel the statement and waits for that,
    ten seconds where nothing answers. And not keepalives alone: a proxy may answer them for a server that does not.
    """
    timer = asyncio.get_running_loop().call_later(seconds, _hang_up, connection)
    try:
        yield
    finally:
        timer.cancel()


def _hang_up(connection: psycopg.AsyncConnection[Any]) -> None:
    if not connection.closed:
        with suppress(OSError), socket.socket(fileno=os.dup(connection.pgconn.socket)) as line:
            line.shutdown(socket.SHUT_RDWR)
