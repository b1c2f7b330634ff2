"""One connection for inspection, opened as the service opens its own, but to a standby too: that is a finding."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg

from app.db.connections import connection_settings, owner_settings

InspectedConnection = psycopg.Connection[Any]
REFUSES: Final = "unsupported startup parameter"
"""What PgBouncer says of a connection that asks for something that it is not told to ignore."""
_STATEMENT_SECONDS: Final = 10.0
_CONNECT_SECONDS: Final = 2


class InspectionError(Exception):
    """The database could not be looked at; the message is the class of the error, and holds nothing of the DSN.

    `refuses_options`: a pooler refused the connection because of what it asked for.
    """

    def __init__(self, cause: psycopg.Error) -> None:
        """Name the cause."""
        super().__init__(type(cause).__name__)
        self.refuses_options = REFUSES in str(cause)


@contextmanager
def service_session(url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection that asks for what the service asks for.

    Raises:
        InspectionError: it cannot be opened, or the block met an error of the database.

    """
    settings = {**connection_settings(url, statement_seconds=_STATEMENT_SECONDS), "target_session_attrs": "any"}
    try:
        with psycopg.connect(autocommit=True, **settings) as connection:
            yield connection
    except psycopg.Error as error:
        raise InspectionError(error) from None


@contextmanager
def owner_session(url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection as migrations open it.

    Raises:
        InspectionError: it cannot be opened, or the block met an error of the database.

    """
    settings = {**owner_settings(url, connect_seconds=_CONNECT_SECONDS), "target_session_attrs": "any"}
    try:
        with psycopg.connect(autocommit=True, **settings) as connection:
            yield connection
    except psycopg.Error as error:
        raise InspectionError(error) from None
