"""Why PostgreSQL refused a role, in one line with its remedy, for the person who starts a command.

libpq gives no SQLSTATE for a connection that failed, and servers write in the language of their `lc_messages`. So the
cause is not read from the text: the server is asked again, once without logging in and once in a database that every
cluster has.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg import errors, pq
from psycopg.conninfo import make_conninfo
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.core.errors import RefusalError
from app.db.connections import HAS_STANDBY, line_settings, parts_of
from app.db.database import DatabaseUnavailableError
from app.db.session import ReadSession

_CONNECT_SECONDS: Final = 2
_SETTING: Final = "SCEAU_DATABASE_URL"
_IN_EVERY_CLUSTER: Final = ("postgres", "template1")
_TAKES_WRITES: Final = "SELECT pg_is_in_recovery(), current_setting('default_transaction_read_only')::boolean"
OF_A_POOLER: Final = "unsupported startup parameter"
"""PgBouncer's message, which is in English everywhere: nothing else identifies it."""
_STATE: Final = """
SELECT EXISTS (SELECT FROM pg_database WHERE datname = %(name)s),
    coalesce((SELECT has_database_privilege(oid, 'CONNECT') FROM pg_database WHERE datname = %(name)s), false)"""


class DatabaseRefusedError(RefusalError):
    """The database of a command cannot be used; the message is one line that says why and how to mend it."""


@contextmanager
def refusals_told(url: str) -> Iterator[None]:
    """Turn failures of a command's database into one line; `url`: SCEAU_DATABASE_URL, to which the block connects.

    Raises:
        DatabaseRefusedError: the cause was found; otherwise the block's own exception passes.

    """
    try:
        yield
    except DatabaseUnavailableError as error:
        # Its subclasses already say what is wrong.
        refusal = why_refused(url, _SETTING) if type(error) is DatabaseUnavailableError else None
        if refusal is None:
            raise
        raise DatabaseRefusedError(refusal) from error
    except DBAPIError as error:
        if not isinstance(error.orig, errors.InsufficientPrivilege):
            raise
        raise DatabaseRefusedError(
            f"the role {_named(parts_of(url), 'user')} lacks a right in the database: run `sceau migrate` with this "
            f"{_SETTING}, which grants the service's role what it needs"
        ) from error


def why_refused(url: str, setting: str) -> str | None:
    """Return the line that says why a DSN gives no connection, with the remedy; None if it does, or nothing is known.

    It takes up to two seconds for each host of the DSN and each attempt. The line holds no password.
    """
    parts = parts_of(url)
    where = f"{_named(parts, 'host')}:{_named(parts, 'port')}"
    answered = pq.PGconn.ping(make_conninfo("", **_tried(parts)).encode())
    if answered == pq.Ping.NO_RESPONSE:
        return f"the database cannot be reached (nothing answers at {where}): check {setting} and that it runs"
    if answered == pq.Ping.REJECT:
        return f"PostgreSQL at {where} is starting or stopping and takes no connections: try again, and see its log"
    try:
        # With the settings of the service's connections, which a pooler may refuse.
        with psycopg.connect(**_tried(parts), options=line_settings(_CONNECT_SECONDS)["options"]) as connection:
            is_standby, is_read_only = connection.execute(_TAKES_WRITES).fetchone() or (False, False)
    except psycopg.OperationalError as error:
        return _refused_by(parts, where, setting, _words_of(error, parts))
    if is_standby:
        return f"PostgreSQL at {where} is a standby, which takes no writes: name the primary in {setting}, alone or too"
    if is_read_only:
        return (
            f"PostgreSQL at {where} takes no writes: unset default_transaction_read_only for {_named(parts, 'dbname')}"
        )
    return None


def _refused_by(parts: dict[str, Any], where: str, setting: str, words: str) -> str:
    """Return which of login, database and right is missing on a server that answers, or what a pooler lacks."""
    role, name = _named(parts, "user"), _named(parts, "dbname")
    if OF_A_POOLER in words:
        return (
            f"the pooler at {where} lets no time-outs through{words}: set ignore_startup_parameters = options in "
            "PgBouncer, with max_prepared_statements above 0, and give SCEAU_DIRECT_DATABASE_URL (docs/operating.md)"
        )
    state = _state(parts)
    if state is None:
        return (
            f"PostgreSQL at {where} refuses the login of the role {role}{words}: check user and password in {setting}, "
            "that the role exists (deploy/postgres-roles.sh makes it) and that pg_hba.conf lets it in from here"
        )
    exists, may_connect = state
    if not exists:
        return (
            f"PostgreSQL at {where} has no database {name}: check its name in {setting}, or make it with its roles "
            "(deploy/postgres-roles.sh)"
        )
    if not may_connect:
        return (
            f"the role {role} may not connect to the database {name}: GRANT CONNECT ON DATABASE {name} TO {role}, as "
            "deploy/postgres-roles.sh does"
        )
    return f"PostgreSQL at {where} lets the role {role} in, and not into the database {name}{words}: see its log"


def _state(parts: dict[str, Any]) -> tuple[bool, bool] | None:
    """Return whether the database exists and the role may connect to it; None when the role cannot log in anywhere."""
    for name in _IN_EVERY_CLUSTER:
        try:
            with psycopg.connect(**{**_tried(parts), "dbname": name}) as connection:
                row = connection.execute(_STATE, {"name": _named(parts, "dbname")}).fetchone()
                return None if row is None else (bool(row[0]), bool(row[1]))
        except psycopg.OperationalError:
            continue
    return None


def _words_of(error: psycopg.OperationalError, parts: dict[str, Any]) -> str:
    """Return the server's message, on one line and in parentheses; empty when it might show the password."""
    lines = " ".join(str(error).split()).rpartition(" failed: ")[2]
    secret = parts.get("password")
    return "" if not lines or (secret and str(secret) in lines) else f" ({lines})"


def _tried(parts: dict[str, Any]) -> dict[str, Any]:
    return {**parts, "connect_timeout": _CONNECT_SECONDS, "target_session_attrs": "any"}


def _named(parts: dict[str, Any], keyword: str) -> str:
    """Return a part of a DSN for a message; where the DSN leaves it out, the value that libpq takes by default."""
    if keyword in parts:
        return str(parts[keyword])
    defaults = {each.keyword.decode(): each.val for each in pq.Conninfo.get_defaults()}
    return (defaults.get(keyword) or b"(default)").decode()


# Which server answers, how it replicates and archives, and by how much its clock differs from this host's.

# Only members of pg_read_all_stats can see how other connections replicate.
_CONDITION: Final = text(f"""
SELECT NOT pg_is_in_recovery() AS is_primary,
    CASE WHEN pg_is_in_recovery() THEN NULL
        ELSE CAST('0x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) AS integer) END AS timeline,
    {HAS_STANDBY} AS waits_for_standby,
    CASE WHEN pg_has_role('pg_read_all_stats', 'USAGE')
        THEN (SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')) END AS standbys,
    current_setting('archive_mode') <> 'off' AS archives, archiver.last_archived_time AS archived_at,
    archiver.failed_count AS archive_failures,
    (SELECT max(version_num) FROM alembic_version) AS schema, clock_timestamp() AS clock
FROM pg_stat_archiver AS archiver
""")  # noqa: S608 - put together from constants


@dataclass(frozen=True, slots=True)
class DatabaseCondition:
    """The condition that one server reports.

    `standbys` is the number in sync, None where the role may not know. `archived_at` is when the last file of its log
    was archived, None before the first. `schema` is a revision. `ahead` is the seconds by which its clock is ahead of
    this host's.
    """

    is_primary: bool
    timeline: int | None
    waits_for_standby: bool
    standbys: int | None
    archives: bool
    archived_at: datetime | None
    archive_failures: int
    schema: str
    ahead: float


async def condition_of(session: ReadSession, wall_clock: Callable[[], datetime]) -> DatabaseCondition:
    """Ask the server of a session for its condition; `wall_clock` is this host's."""
    sent = wall_clock()
    reported: dict[str, Any] = {**(await session.execute(_CONDITION)).mappings().one()}
    half_way = sent + (wall_clock() - sent) / 2
    ahead = (reported.pop("clock") - half_way).total_seconds()
    return DatabaseCondition(**reported, ahead=ahead)
