"""What the doctor checks in a database: its server, its rights, its sessions, and a pooler in front of it."""

import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from threading import Timer
from typing import Any, Final

import psycopg

from app.db.connections import HAS_STANDBY, PROOF, connection_settings, owner_settings
from app.db.migrate import FUNCTIONS, PRIVILEGES, SEQUENCES
from app.db.refusals import OF_A_POOLER

InspectedConnection = psycopg.Connection[Any]

_STATE: Final = f"""
SELECT pg_is_in_recovery(), clock_timestamp(), {HAS_STANDBY},
    current_setting('synchronous_standby_names'), current_setting('synchronous_commit'),
    current_setting('server_version_num')::int / 10000"""
_AHEAD: Final = "SELECT count(*) FROM consent_event WHERE recorded_at > clock_timestamp()"
_ARCHIVER: Final = """
SELECT current_setting('archive_mode') <> 'off', last_archived_time, last_failed_time, clock_timestamp()
FROM pg_stat_archiver"""
_CONFIRMED_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class ServerState:
    """The state that one server reports. `waits`: a COMMIT waits for a synchronous standby. `version`: 18 of 18.4."""

    is_standby: bool
    clock: datetime
    waits: bool
    standby_names: str
    synchronous_commit: str
    version: int


def server_state(connection: InspectedConnection) -> ServerState:
    """Return the state that the server reports now."""
    return ServerState(*_row(connection, _STATE))


def _row(connection: InspectedConnection, statement: str, *values: object) -> tuple[Any, ...]:
    """Return the one row that a statement gives."""
    row: tuple[Any, ...] | None = connection.execute(statement, values or None).fetchone()
    if row is None:
        raise psycopg.OperationalError("the server gave no row")
    return row


def commit_is_confirmed(connection: InspectedConnection) -> bool:
    """Return whether a COMMIT that only writes a message to the WAL returns in three seconds without a warning.

    A role without pg_monitor cannot see which standbys are in sync, so only such a COMMIT shows that one is there. No
    time-out of the server ends that wait; a COMMIT that is cancelled while waiting succeeds with a warning.
    """
    warned: list[bool] = []
    connection.add_notice_handler(lambda notice: warned.append(notice.severity_nonlocalized == "WARNING"))
    patience = Timer(_CONFIRMED_SECONDS, connection.cancel_safe)
    patience.start()
    try:
        with connection.transaction():
            connection.execute(PROOF)
    except psycopg.Error:
        return False
    finally:
        patience.cancel()
        patience.join()
    return not any(warned)


def entries_ahead(connection: InspectedConnection) -> int:
    """Return how many entries of the ledger have a recording time later than the database's clock."""
    return int(_row(connection, _AHEAD)[0])


def archive_state(connection: InspectedConnection) -> tuple[bool, datetime | None, datetime | None, datetime]:
    """Return whether the server archives its WAL, when that last worked and last failed, and the server's clock."""
    is_on, archived_at, failed_at, now = _row(connection, _ARCHIVER)
    return is_on, archived_at, failed_at, now


_GRANT: Final = re.compile(r"(\w+)(?: \(([^)]*)\))?")
_ATTRIBUTES: Final = """
SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls,
    has_schema_privilege(current_schema(), 'CREATE'),
    EXISTS (SELECT FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')
        AND pg_has_role(relowner, 'MEMBER'))
FROM pg_roles WHERE rolname = current_user"""
_ATTRIBUTE_WORDS: Final = (
    "is a superuser",
    "may make databases",
    "may make roles",
    "may replicate",
    "passes row-level security",
    "may make tables in the schema",
    "owns tables, or is a member of the role that does",
)
_OF_TABLES: Final = """
SELECT c.relname, p.privilege FROM pg_class AS c
CROSS JOIN unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE,REFERENCES,TRIGGER}'::text[]) AS p (privilege)
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
    AND has_table_privilege(c.oid, p.privilege)"""
_OF_COLUMNS: Final = """
SELECT p.privilege, c.relname, a.attname FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
CROSS JOIN unnest('{INSERT,UPDATE}'::text[]) AS p (privilege)
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0
    AND NOT a.attisdropped AND has_column_privilege(c.oid, a.attnum, p.privilege)
    AND NOT has_table_privilege(c.oid, p.privilege)"""
_CALLABLE: Final = "SELECT coalesce(has_function_privilege(to_regprocedure(%s), 'EXECUTE'), false)"
_COUNTABLE: Final = "SELECT coalesce(has_sequence_privilege(to_regclass(%s), 'USAGE'), false)"
_OWNS: Final = """
SELECT count(*) FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p')
    AND NOT pg_has_role(relowner, 'USAGE')"""


def application_rights(connection: InspectedConnection) -> tuple[list[str], list[str]]:
    """Compare the rights of the connected role with those that a migration grants the service's role.

    Returns:
        The rights that it lacks, and those that it has but should not, in words: `UPDATE on consent_event`.

    """
    row = _row(connection, _ATTRIBUTES)
    powers = [word for word, is_so in zip(_ATTRIBUTE_WORDS, row, strict=True) if is_so]
    if row[0] or row[-1]:
        return [], powers  # every other right follows from these
    has = {f"{right} on {table}" for table, right in connection.execute(_OF_TABLES)}
    has |= {f"{right} of {column} on {table}" for right, table, column in connection.execute(_OF_COLUMNS)}
    wanted = {each for each in _wanted() if _of_the_whole(each) not in has or " of " not in each}
    lacking = [*sorted(wanted - has)]
    lacking += [f"EXECUTE on {each}" for each in FUNCTIONS if not _row(connection, _CALLABLE, each)[0]]
    lacking += [f"USAGE on {each}" for each in SEQUENCES if not _row(connection, _COUNTABLE, each)[0]]
    return lacking, [*powers, *(f"has {each}" for each in sorted(has - wanted))]


def tables_not_owned(connection: InspectedConnection) -> int:
    """Return how many tables of the schema the connected role does not own: migrations could not change them."""
    return int(_row(connection, _OWNS)[0])


def _of_the_whole(right: str) -> str:
    """Return the right on a whole table that includes a right on one of its columns."""
    return f"{right.partition(' ')[0]} on {right.rpartition(' ')[2]}"


def _wanted() -> Iterator[str]:
    for table, granted in PRIVILEGES.items():
        for right, columns in _GRANT.findall(granted):
            if columns:
                yield from (f"{right} of {column.strip()} on {table}" for column in columns.split(","))
            else:
                yield f"{right} on {table}"


_STATEMENT_SECONDS: Final = 10.0
_CONNECT_SECONDS: Final = 2


class InspectionError(Exception):
    """The database could not be inspected; the message is the class of the error, and holds nothing of the DSN.

    `refuses_options`: a pooler refused the connection because of the options that it asked for.
    """

    def __init__(self, cause: psycopg.Error) -> None:
        """Name the cause."""
        super().__init__(type(cause).__name__)
        self.refuses_options = OF_A_POOLER in str(cause)


def service_session(url: str) -> AbstractContextManager[InspectedConnection]:
    """Open a connection with the settings of the service's own connections; errors as of `_session`."""
    return _session(connection_settings(url, statement_seconds=_STATEMENT_SECONDS))


def owner_session(url: str) -> AbstractContextManager[InspectedConnection]:
    """Open a connection as migrations do; errors as of `_session`."""
    return _session(owner_settings(url, connect_seconds=_CONNECT_SECONDS))


@contextmanager
def _session(settings: Mapping[str, Any]) -> Iterator[InspectedConnection]:
    """Open a connection.

    Raises:
        InspectionError: it cannot be opened, or the block met an error of the database.

    """
    try:
        with psycopg.connect(**{**settings, "autocommit": True, "target_session_attrs": "any"}) as connection:
            yield connection
    except psycopg.Error as error:
        raise InspectionError(error) from None


# Whether a pooler such as PgBouncer stands in front of a server, and how it lends its connections. A pooler gives a
# client a process id of its own making; the server reports the process that really answers.

_WHO: Final = "SELECT pg_backend_pid()"
_ASKED: Final = "SELECT current_setting('statement_timeout') <> '0', current_setting('TimeZone')"


class Pooling(StrEnum):
    """How a server is reached, in the words of PgBouncer's `POOL_MODE`."""

    DIRECT = "direct"
    SESSION = "session"
    TRANSACTION = "transaction"
    STATEMENT = "statement"


def is_pooled(connection: InspectedConnection) -> bool:
    """Return whether the process that answers differs from the one announced when the connection began."""
    return _backend(connection) != connection.info.backend_pid


def pooling(url: str) -> Pooling:
    """Return how the server of a DSN is reached.

    Raises:
        InspectionError: the server cannot be reached.

    """
    with service_session(url) as first:
        if not is_pooled(first):
            return Pooling.DIRECT
        try:
            with first.transaction():
                first.execute(_WHO)
        except psycopg.Error:
            return Pooling.STATEMENT
        # Except in session mode, a server connection that the first client is not using goes to the next client.
        mine = {_backend(first) for _ in range(3)}
        with service_session(url) as second:
            theirs = {_backend(second) for _ in range(3)}
    return Pooling.TRANSACTION if mine & theirs else Pooling.SESSION


def keeps_prepared(url: str) -> bool:
    """Return whether a prepared statement is known on the server's next connection too (`max_prepared_statements`).

    Raises:
        InspectionError: the server cannot be reached.

    """
    with service_session(url) as first, service_session(url) as other:
        first.execute(_WHO, prepare=True)
        with suppress(psycopg.Error), other.transaction():
            other.execute(_WHO, prepare=False)  # it occupies the connection on which the statement was prepared
            try:
                first.execute(_WHO, prepare=True)
            except psycopg.Error:
                return False
        return True


def settings_in_force(connection: InspectedConnection) -> bool:
    """Return whether statements have a time-out and the time zone is UTC: a pooler drops what a connection asks for."""
    has_timeout, zone = _row(connection, _ASKED)
    return bool(has_timeout) and zone in {"UTC", "Etc/UTC"}


def _backend(connection: InspectedConnection) -> int:
    row = connection.execute(_WHO, prepare=False).fetchone()
    return 0 if row is None else int(row[0])
