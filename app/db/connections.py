"""How every connection to PostgreSQL is opened, and connections outside the engine's pool (feed, notifier, memory)."""

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
    return {
        **conninfo_to_dict(url.replace("postgresql+psycopg://", "postgresql://", 1)),
        **line_settings(statement_seconds),
    }


def line_settings(statement_seconds: float) -> dict[str, Any]:
    """What libpq is told of every connection, beside where it leads."""
    milliseconds = max(1, int(statement_seconds * 1000))
    session = {
        "timezone": "UTC",
        "statement_timeout": milliseconds,
        "lock_timeout": milliseconds,
        "idle_in_transaction_session_timeout": 2 * milliseconds,
        "client_connection_check_interval": 1000,
    }
    return {
        "options": " ".join(f"-c {name}={value}" for name, value in session.items()),
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
