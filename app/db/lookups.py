"""Look-ups that can travel together: many statements in one round trip, each of which sees what is committed by then.

A look-up is a value, made before there is a transaction. `WriteSession.look_up` sends several in psycopg's pipeline, in
the order in which they are given; PostgreSQL runs them one after another, so that one which follows a lock sees what
the holder before had committed.

Rows that are written go to one statement as one parameter: JSON is written in C, an array of a thousand elements is
not.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Generic, TypeVar, cast

from psycopg import AsyncConnection
from psycopg.rows import namedtuple_row
from sqlalchemy import ClauseElement, Executable
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from app.db.connections import IDENTITY


# Hand many rows to one statement as one parameter: JSON is written in C, an array of a thousand elements is not.
# In SQL: `json_to_recordset(CAST(:rows AS json)) AS given (ref text, at timestamptz, …)`, and `decode(ref, 'hex')`
# for what is binary; `decode(each, 'hex') FROM string_to_table(:refs, ',') AS each` for references alone.
def as_rows(rows: Iterable[Mapping[str, object]]) -> str:
    """Rows as a JSON array of objects; bytes become hexadecimal digits, all else that JSON does not know its text."""
    return json.dumps(list(rows), default=_text, separators=(",", ":"))


def as_refs(refs: Iterable[bytes]) -> str:
    """References as hexadecimal digits with commas between."""
    return ",".join(ref.hex() for ref in refs)


def _text(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


T = TypeVar("T")
_DIALECT: Final = PGDialect_psycopg()  # type: ignore[no-untyped-call]


class Prepared:
    """A statement, compiled once: `clause` for SQLAlchemy, and its text for psycopg with parameters by name.

    Its parameters are bound by name (`bindparam`, or `:name` in `text`), and are of types that psycopg adapts.
    """

    def __init__(self, clause: Executable) -> None:
        """Keep it; it is compiled when it is first sent."""
        self.clause = clause

    @cached_property
    def sql(self) -> str:
        """The statement as it is."""
        return str(cast("ClauseElement", self.clause).compile(dialect=_DIALECT))

    @cached_property
    def telling_server(self) -> str:
        """The statement with two columns more: `server`, the identity of the server that answers, and `found`.

        `found` is true but for the one row that stands where nothing was found. It is one statement, so that a pooler
        cannot have one server answer and another say who it is (`app.db.connections`).
        """
        rows = f"(SELECT true AS found, rows.* FROM ({self.sql}) AS rows) AS asked"  # noqa: S608 - of our own making
        return f"SELECT {IDENTITY} AS server, asked.* FROM (VALUES (1)) AS one LEFT JOIN {rows} ON true"  # noqa: S608


@dataclass(frozen=True, slots=True, eq=False)
class Lookup(Generic[T]):
    """One statement with its values, and what its rows mean."""

    statement: Prepared
    values: Mapping[str, object]
    read: Callable[[Sequence[Any]], T]


LookedUp = Mapping[Lookup[Any], Sequence[Any]]
"""The rows of some look-ups: `lookup.read(found[lookup])` is what one of them found."""


async def send(driver: AsyncConnection[Any], lookups: Sequence[Lookup[Any]]) -> LookedUp:
    """Send look-ups in one round trip.

    Raises:
        psycopg.Error: the database refused one of them, or the connection broke.

    """
    async with driver.pipeline():
        cursors = [driver.cursor(row_factory=namedtuple_row) for _ in lookups]
        for cursor, each in zip(cursors, lookups, strict=True):
            await cursor.execute(each.statement.sql, each.values)
    return {each: await cursor.fetchall() for cursor, each in zip(cursors, lookups, strict=True)}


def nothing(_: Sequence[Any]) -> None:
    """Read nothing from rows: the statement is there for what it locks."""
