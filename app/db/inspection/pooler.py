"""Whether a pooler such as PgBouncer stands before a server, and how it lends its connections.

A pooler tells a client a process id of its own making; the server tells the process that really answers.
"""

from contextlib import suppress
from enum import StrEnum
from typing import Any, Final

import psycopg

from app.db.inspection.sessions import service_session

_WHO: Final = "SELECT pg_backend_pid()"
_ASKED: Final = "SELECT current_setting('statement_timeout') <> '0', current_setting('TimeZone')"


class Pooling(StrEnum):
    """How a server is reached, as `POOL_MODE` of PgBouncer is called."""

    DIRECT = "direct"
    SESSION = "session"
    TRANSACTION = "transaction"
    STATEMENT = "statement"


def is_pooled(connection: psycopg.Connection[Any]) -> bool:
    """Whether another process answers than the one that the connection was told at its start."""
    return _backend(connection) != connection.info.backend_pid


def pooling(url: str) -> Pooling:
    """How the server of a DSN is reached.

    Raises:
        InspectionError: it cannot be.

    """
    with service_session(url) as first:
        if not is_pooled(first):
            return Pooling.DIRECT
        try:
            with first.transaction():
                first.execute(_WHO)
        except psycopg.Error:
            return Pooling.STATEMENT
        # A connection of the server that the first client is not using goes to the next one: not in session mode.
        mine = {_backend(first) for _ in range(3)}
        with service_session(url) as second:
            theirs = {_backend(second) for _ in range(3)}
    return Pooling.TRANSACTION if mine & theirs else Pooling.SESSION


def keeps_prepared(url: str) -> bool:
    """Whether a prepared statement is known on the next connection of the server too (`max_prepared_statements`).

    Raises:
        InspectionError: the server cannot be reached.

    """
    with service_session(url) as first, service_session(url) as other:
        first.execute(_WHO, prepare=True)
        with suppress(psycopg.Error), other.transaction():
            other.execute(_WHO, prepare=False)  # it holds the connection on which the statement was prepared
            try:
                first.execute(_WHO, prepare=True)
            except psycopg.Error:
                return False
        return True


def settings_in_force(connection: psycopg.Connection[Any]) -> bool:
    """Whether statements have a time-out and the time zone is UTC: a pooler drops what a connection asks for."""
    row = connection.execute(_ASKED).fetchone()
    return row is not None and bool(row[0]) and row[1] in {"UTC", "Etc/UTC"}


def _backend(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute(_WHO, prepare=False).fetchone()
    return 0 if row is None else int(row[0])
