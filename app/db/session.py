"""What an operation works with: a connection for reading, or a transaction for writing; and identifiers of its rows.

The two are different types, so an operation says in its signature which one it needs. Neither commits: `Database.write`
does, at the edge.
"""

import itertools
import json
import os
import secrets
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Generic, LiteralString, TypeVar
from typing import cast as as_type
from uuid import UUID

import msgspec
import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import namedtuple_row
from sqlalchemy import CursorResult, Executable, Row, Table, Text, cast, func, select
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.connections import IDENTITY, HeardConnection

if TYPE_CHECKING:
    from sqlalchemy import ClauseElement


Kept = TypeVar("Kept")
_NATIVE: Final = (bytes, datetime, UUID)
"""What psycopg takes as it is."""


# Many rows are passed to one statement as one parameter: JSON is encoded in C, an array of a thousand elements is not.
# In SQL: `insertion`, or `json_to_recordset(CAST(:rows AS json)) AS given (ref bytea, at timestamptz, …)`;
# `decode(each, 'hex') FROM string_to_table(:refs, ',') AS each` for references alone.
def as_rows(rows: Iterable[Mapping[str, object]]) -> str:
    """Return rows as a JSON array of objects. Values that JSON lacks become the text that PostgreSQL reads."""
    return json.dumps(list(rows), default=_text, separators=(",", ":"))


def insertion(table: Table, *, without: Collection[str] = ()) -> str:
    """Return the SQL that inserts the rows of `%(rows)s` into a table.

    Each row gives a value to every column except those named `without`, which get the table's defaults.
    """
    columns = ", ".join(column.name for column in table.columns if column.name not in without)
    rows = f"json_populate_recordset(NULL::{table.name}, CAST(%(rows)s AS json))"
    return f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM {rows}"  # noqa: S608 - names of our own tables


def as_refs(refs: Iterable[bytes]) -> str:
    """Return references as hexadecimal digits separated by commas."""
    return ",".join(ref.hex() for ref in refs)


def as_columns(record: object) -> dict[str, Any]:
    """Return what the columns named as a record's fields hold: values of enums, and the contents of sets, sorted."""
    columns: dict[str, Any] = msgspec.to_builtins(record, builtin_types=_NATIVE, order="sorted")
    return columns


def record_of(kind: type[Kept], row: Row[Any]) -> Kept:
    """Return the record whose fields are named as columns of a row; other columns are left out."""
    return msgspec.convert(row, kind, from_attributes=True)


def _text(value: object) -> str:
    return f"\\x{value.hex()}" if isinstance(value, bytes) else str(value)


# A look-up is a value, made before there is a transaction. `WriteSession.look_up` sends several in psycopg's pipeline,
# in the order in which they are given; PostgreSQL runs them one after another, so a look-up that follows a lock sees
# what the previous holder of the lock had committed.

T = TypeVar("T")
_DIALECT: Final = PGDialect_psycopg()  # type: ignore[no-untyped-call]


class Prepared:
    """A statement, compiled once: `clause` for SQLAlchemy, and its text for psycopg with parameters by name.

    Its parameters are bound by name (`bindparam`, or `:name` in `text`), and are of types that psycopg adapts.
    """

    def __init__(self, clause: Executable) -> None:
        """Keep the statement; it is compiled when it is first sent."""
        self.clause = clause

    @cached_property
    def sql(self) -> str:
        """The statement's text, unchanged."""
        return str(as_type("ClauseElement", self.clause).compile(dialect=_DIALECT))

    @cached_property
    def telling_server(self) -> str:
        """The statement with two more columns: `server`, the identity of the server that answers, and `found`.

        `found` is null only in the single row returned when nothing was found, and true otherwise. It is one statement,
        so a pooler cannot have one server answer and another give its identity (`app.db.connections`).
        """
        rows = f"(SELECT true AS found, rows.* FROM ({self.sql}) AS rows) AS asked"  # noqa: S608 - of our own making
        return f"SELECT {IDENTITY} AS server, asked.* FROM (VALUES (1)) AS one LEFT JOIN {rows} ON true"  # noqa: S608


@dataclass(frozen=True, slots=True, eq=False)
class Lookup(Generic[T]):
    """One statement with its values, and the function that interprets its rows."""

    statement: Prepared
    values: Mapping[str, object]
    read: Callable[[Sequence[Any]], T]


LookedUp = Mapping[Lookup[Any], Sequence[Any]]
"""The rows of several look-ups: `lookup.read(found[lookup])` interprets those of one look-up."""


async def send(driver: psycopg.AsyncConnection[Any], lookups: Sequence[Lookup[Any]]) -> LookedUp:
    """Send look-ups in one round trip and return their rows.

    Raises:
        psycopg.Error: the database refused one of them, or the connection broke.

    """
    async with driver.pipeline():
        cursors = [driver.cursor(row_factory=namedtuple_row) for _ in lookups]
        for cursor, lookup in zip(cursors, lookups, strict=True):
            await cursor.execute(lookup.statement.sql, lookup.values)
    return {lookup: await cursor.fetchall() for cursor, lookup in zip(cursors, lookups, strict=True)}


def nothing(_: Sequence[Any]) -> None:
    """Read nothing from rows: the statement is there for what it locks."""


class PartRefusedError(Exception):
    """The database refused a statement of one part of a transaction because of its content; the rest stands."""


class TransactionRefusedError(Exception):
    """The database refused a row that an earlier part of a transaction had staged: the whole transaction must end."""


class Clock:
    """The source of the current instant: the clock of the database, which orders the events of every replica."""

    def read(self, database_now: datetime) -> datetime:
        """Return the current instant, aware (UTC), given the instant of the database's own (`clock_timestamp`)."""
        return database_now


INSTANT: Final[Lookup[datetime]] = Lookup(
    Prepared(select(func.clock_timestamp().label("told"))), {}, lambda rows: as_type("datetime", rows[0].told)
)
"""The database's wall clock (UTC) at that moment, not at the start of the transaction; no test can move it."""


@dataclass(frozen=True, slots=True)
class ReadSession:
    """A connection for reading. Whoever opens it says whether all statements see one state (`app.db.database`)."""

    connection: AsyncConnection
    clock: Clock

    async def execute(self, statement: Executable, rows: Any = None) -> CursorResult[Any]:  # noqa: ANN401 - as SQLAlchemy
        """Run a statement; `rows` are its parameters, one mapping or several."""
        result: CursorResult[Any] = await self.connection.execute(statement, rows)
        return result

    async def rows(self, lookup: Lookup[Any]) -> Sequence[Any]:
        """Return the rows of one look-up, for its `read`."""
        return (await self.execute(lookup.statement.clause, dict(lookup.values))).all()

    async def instant(self) -> datetime:
        """Return the instant of the database's own wall clock (UTC), which no test moves."""
        return INSTANT.read(await self.rows(INSTANT))

    async def now(self) -> datetime:
        """Return the current instant (UTC), by the database's clock."""
        return self.clock.read(await self.instant())


LogName = tuple[str, str]
"""The key of an entry of the proof log: the kind under which its row is queued, and its id."""


@dataclass(frozen=True, slots=True, eq=False)
class Put:
    """How one kind of row is written, many in one statement.

    `sql` takes them as the parameter `%(rows)s` (`app.db.session`). Kinds of a lower `order` are written first, because
    others refer to them. `tells_xid`: the statement returns the id of its transaction.
    """

    order: int
    sql: LiteralString
    tells_xid: bool = False


class ChangeKind(IntEnum):
    """What a fact that replicas hold in memory is about; the number is what the table `change` stores."""

    SUBJECT = 1
    PROCESSING = 2
    CALLER = 3


_CHANGE: Final = Put(
    order=90,
    sql="""
WITH put AS (
    INSERT INTO change (kind, ref)
    SELECT DISTINCT kind, ref FROM json_to_recordset(CAST(%(rows)s AS json)) AS given (kind smallint, ref bytea)
    ON CONFLICT DO NOTHING
)
SELECT CAST(pg_current_xact_id() AS text)
""",
    tells_xid=True,
)


@dataclass(slots=True)
class Committing:
    """What must be known of a transaction after its commit.

    `subjects` are the subjects whose ledgers it holds. `changes` are the cached facts that it changes, as (kind, ref).
    `narrowing`: some of it forbids what was permitted, so it must not be answered while a replica could still permit
    that. `widening`: some of it may permit what was not permitted. `set_back`: the database is known to be set back,
    and accepts nothing that widens. `repeats`: some of it repeats an earlier transaction and changes nothing, so this
    process has not forgotten what the earlier one changed. `xid` is the transaction's id. `server` is the identity of
    the server on which it runs, where one of its look-ups gave it. `staged` are rows that are still to be written.
    `notes` are facts for the journal, each with its kind and the name of its entry in the proof log. `kinds` say, for
    metrics, what happened to consents.
    """

    changes: dict[tuple[int, bytes], None] = field(default_factory=dict)
    subjects: set[bytes] = field(default_factory=set)
    narrowing: bool = False
    widening: bool = False
    set_back: bool = False
    repeats: bool = False
    xid: int | None = None
    server: str | None = None
    staged: dict[Put, list[Mapping[str, object]]] = field(default_factory=dict)
    notes: list[tuple[str, object, LogName | None]] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)


class ServerRefusal(StrEnum):
    """Why a server that answers records nothing, by its SQLSTATE or the class of it (PostgreSQL, appendix A)."""

    READ_ONLY = "it takes no writes: it is a standby, or was set to read-only"
    FULL = "it has no room left: disk, memory or connections"
    STOPPING = "it is starting, stopping, or told to end this work"
    FAILING = "its system reports an error, such as one of the disk"


_REFUSALS: Final = {
    "25006": ServerRefusal.READ_ONLY,  # the others of its class are faults of the program
    "53": ServerRefusal.FULL,
    "57": ServerRefusal.STOPPING,
    "58": ServerRefusal.FAILING,
}


def refusal_of(error: BaseException | None) -> ServerRefusal | None:
    """Return why the server refused a statement or a COMMIT and rolled it back; None for any other error.

    An error that also ends the connection (FATAL) does not count: a COMMIT may have succeeded before it.
    """
    if not isinstance(error, psycopg.Error) or error.diag.severity_nonlocalized != "ERROR":
        return None
    state = error.sqlstate or ""
    return _REFUSALS.get(state) or _REFUSALS.get(state[:2])


def _as_sqlalchemy_has_it(error: psycopg.Error) -> Exception:
    """Return the exception for callers: OperationalError for the connection or server, else PartRefusedError."""
    if refusal_of(error) is not None or isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        # No statement and no parameters: they hold rows.
        return OperationalError(None, None, error, connection_invalidated=isinstance(error, psycopg.InterfaceError))
    return PartRefusedError()


def _ends_all(error: DBAPIError) -> bool:
    """Return whether an error is of the connection or of waiting, not of a statement's content."""
    return isinstance(error, OperationalError) or error.connection_invalidated


@dataclass(frozen=True, slots=True)
class WriteSession(ReadSession):
    """One transaction, committed by `Database.write`.

    Staged rows are written just before the next statement runs, or with the commit. So each statement sees what was
    staged before it, and rows that many operations stage one after another are written by a few statements.

    `lead` holds the rows of the look-ups that `Database.write` was given.
    """

    committing: Committing = field(default_factory=Committing)
    lead: LookedUp = field(default_factory=dict)

    async def execute(self, statement: Executable, rows: Any = None) -> CursorResult[Any]:  # noqa: ANN401 - as SQLAlchemy
        """Write what is staged, then run a statement."""
        await self.flush()
        return await ReadSession.execute(self, statement, rows)

    async def take_turn(self, what: str) -> bool:
        """Return whether this transaction alone may do what is named, until it ends."""
        turn = select(func.pg_try_advisory_xact_lock(func.hashtext(f"sceau {what}")))
        return bool((await self.execute(turn)).scalar_one())

    async def await_turn(self, what: str) -> None:
        """Wait until this transaction alone may do what is named, until it ends."""
        await self.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"sceau {what}"))))

    def stage(self, put: Put, row: Mapping[str, object]) -> None:
        """Stage a row, to be written before the next statement or with the commit."""
        self.committing.staged.setdefault(put, []).append(row)

    async def commit(self) -> bool:
        """Write what is staged and commit, in one round trip.

        Returns:
            False where the server warned that its standby may not have the transaction.

        Raises:
            PartRefusedError: the database refused a row because of its content.
            TransactionRefusedError: a statement had failed, so there is nothing to commit.

        """
        driver = await self._driver()
        if driver.info.transaction_status is TransactionStatus.INERROR:
            raise TransactionRefusedError  # PostgreSQL would treat the COMMIT as a ROLLBACK, without an error
        driver.warned = False
        if self.committing.staged:
            await self._write_staged(driver, commit=True)
        await self.connection.commit()  # if rows were staged, the driver has committed: this informs SQLAlchemy
        return not driver.warned

    async def flush(self) -> None:
        """Write what is staged.

        Raises:
            PartRefusedError: the database refused a row because of its content; the transaction, or the attempt, must
                end.

        """
        if self.committing.staged:
            await self._write_staged(await self._driver(), commit=False)

    async def _write_staged(self, driver: HeardConnection, *, commit: bool) -> None:
        staged, self.committing.staged = self.committing.staged, {}
        puts = sorted(staged, key=lambda each: each.order)
        try:
            async with driver.pipeline():
                cursors = [await driver.execute(put.sql, {"rows": as_rows(staged[put])}) for put in puts]
                if commit:
                    await driver.commit()
            for put, cursor in zip(puts, cursors, strict=True):
                row = await cursor.fetchone() if put.tells_xid else None
                if row is not None:
                    self.committing.xid = int(row[0])
        except psycopg.Error as error:
            raise _as_sqlalchemy_has_it(error) from error

    async def look_up(self, *lookups: Lookup[Any]) -> LookedUp:
        """Write what is staged, and send look-ups in one round trip; each sees what is committed when it runs.

        Raises:
            PartRefusedError: the database refused one of them because of its content.

        """
        await self.flush()
        driver = await self._driver()
        try:
            return await send(driver, lookups)
        except psycopg.Error as error:
            raise _as_sqlalchemy_has_it(error) from error

    async def _driver(self) -> HeardConnection:
        """Return the driver's connection, in a transaction: SQLAlchemy has no pipeline, and manages the rest."""
        if not self.connection.in_transaction():
            await self.connection.begin()  # otherwise SQLAlchemy would know of nothing to commit
        return as_type("HeardConnection", (await self.connection.get_raw_connection()).driver_connection)

    @property
    def tells_xid(self) -> bool:
        """Whether the id of this transaction will be known when it is committed."""
        return self.committing.xid is not None or any(put.tells_xid for put in self.committing.staged)

    def change(self, kind: ChangeKind, ref: bytes) -> None:
        """Have replicas forget a fact that this transaction changes; a second call changes nothing.

        Args:
            kind: what the fact is about.
            ref: locator, processing id (UTF-8) or caller id (16 bytes).

        """
        if (int(kind), ref) not in self.committing.changes:
            self.stage(_CHANGE, {"kind": int(kind), "ref": ref})
            self.committing.changes[int(kind), ref] = None

    def narrow(self) -> None:
        """Mark this transaction as forbidding something that was permitted, or as repeating one that did."""
        self.committing.narrowing = True

    def widen(self) -> None:
        """Mark this transaction as one that may permit more: a database that was set back accepts none of these."""
        self.committing.widening = True

    def note(self, kind: str, fact: object, entry: LogName | None = None) -> None:
        """Have a fact that forbids something kept in the journal once the transaction is committed (`app.journal`).

        `entry` names the proof log's entry for the fact, if it has one.
        """
        self.committing.notes.append((kind, fact, entry))

    @asynccontextmanager
    async def attempt(self) -> AsyncIterator[None]:
        """Run a part of the transaction on its own: when it raises, what it wrote is undone, and the rest stands.

        Within it, `committing.subjects` are those of this part alone.

        Raises:
            PartRefusedError: the database refused a statement of this part.
            TransactionRefusedError: the database refused a row that was staged before this part.

        """
        try:
            await self.flush()  # rows staged before this part are not its own: if one is refused, the whole must end
        except PartRefusedError as error:
            raise TransactionRefusedError from error
        committing = self.committing
        before, changes = committing.subjects, dict(committing.changes)
        notes, kinds = len(committing.notes), len(committing.kinds)
        committing.subjects = set()
        try:
            async with self.connection.begin_nested():
                yield
                await self.flush()
        except BaseException as error:
            committing.staged.clear()
            del committing.notes[notes:], committing.kinds[kinds:]
            committing.subjects, committing.changes = before, changes
            refused = isinstance(error, DBAPIError) and not _ends_all(error)
            if refused or isinstance(error, TransactionRefusedError):
                raise PartRefusedError from error
            raise
        committing.subjects |= before

    async def repeat(self) -> None:
        """Mark this transaction as repeating one that may have died between its commit and its answer.

        It must be committed although it records nothing, so that it is confirmed like the first.
        """
        self.committing.repeats = True
        self.committing.xid = int((await self.execute(select(cast(func.pg_current_xact_id(), Text)))).scalar_one())
        self.narrow()


# Identifiers of what is written. Those of UUID version 7 sort by time (RFC 9562, section 5.7).

_RANDOM_BITS = 74


def random_id() -> UUID:
    """Return a new random identifier, which carries no information: UUID version 4 (RFC 9562, section 5.4)."""
    return UUID(bytes=secrets.token_bytes(16), version=4)


def new_number() -> int:
    """Return a random number (34 bits) for a process or an edge that numbers its decisions."""
    return secrets.randbits(_NUMBER_BITS)


class _Pool:
    """What a process makes identifiers from, so that it need not ask the system for random bytes each time.

    `ids` and `counts` are this process's number and the counter of its decisions. `beginning` is the text of a
    decision's id at the instant `milliseconds`, up to its count.
    """

    def __init__(self) -> None:
        self.empty()

    def empty(self) -> None:
        """Start afresh, as another process."""
        self.digits = ""
        self.used = 0
        self.ids = new_number()
        self.counts = itertools.count(1)
        self.milliseconds = -1
        self.beginning = b""


_NUMBER_BITS = 34
_COUNT_BITS = 40
_POOL_BYTES = 4_096
_pool = _Pool()
os.register_at_fork(after_in_child=_pool.empty)  # two processes, two streams


def random_hex(digits: int) -> str:
    """Return random hexadecimal digits (at most 8192), none of which is handed out twice."""
    used = _pool.used
    if used + digits > len(_pool.digits):
        _pool.digits = os.urandom(_POOL_BYTES).hex()
        used = 0
    _pool.used = used + digits
    return _pool.digits[used : used + digits]


def decision_id(at: float) -> bytes:
    """Return a new id for a decision of this process at an epoch time in seconds, as ASCII text (`numbered_id`)."""
    milliseconds = int(at * 1000)
    if milliseconds != _pool.milliseconds:
        _pool.milliseconds, _pool.beginning = milliseconds, numbered_id(at, _pool.ids, 0)[: -_COUNT_BITS // 4]
    return _pool.beginning + b"%010x" % (next(_pool.counts) & MOST_COUNTED)


def numbered_id(at: float, ids: int, count: int) -> bytes:
    """Return the id of a decision, as ASCII text: version 7 (RFC 9562, 5.7 and 6.2), with a counter.

    The ids of one process differ in few bytes, so the log holds them in less than four bytes each.

    Args:
        at: when the decision was taken, as an epoch time in seconds.
        ids: the number of the process or edge that takes it (`new_number`).
        count: the decision's number; its low 40 bits are used.

    """
    own = ids << _COUNT_BITS | (count & MOST_COUNTED)
    return str(_version7(int(at * 1000), own)).encode()


MOST_COUNTED = 2**_COUNT_BITS - 1
"""The highest count that the id of a decision has room for."""


def uuid7(at: datetime) -> UUID:
    """Return a new identifier with an instant in milliseconds, and 74 random bits.

    Args:
        at: the instant, aware; before 1970 it counts as 1970.

    """
    return _version7(max(0, int(at.timestamp() * 1000)), secrets.randbits(_RANDOM_BITS))


def _version7(milliseconds: int, own: int) -> UUID:
    high, low = own >> 62, own & (2**62 - 1)
    return UUID(int=(milliseconds & (2**48 - 1)) << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low)
