"""How every connection to PostgreSQL is opened: to a primary, with time-outs, and with its warnings noted."""

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, Self, TypeVar

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.errors import Diagnostic

# A primary that was frozen and thawed, a standby, or one half of a split cluster answers reads as if nothing had
# happened. So every read that a permit may rest on carries the identity of its server, and counts only if that server
# is the one that answered the last beat.

IDENTITY: Final = (
    "CASE WHEN pg_is_in_recovery() THEN NULL ELSE concat_ws(' ', (SELECT system_identifier FROM pg_control_system()), "
    "substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8), extract(epoch FROM pg_postmaster_start_time()), "
    "coalesce(pg_relation_filepath(to_regclass('deployment_epoch')), '')) END"
)
"""SQL for a server's identity: cluster, timeline, start of this server, and database; NULL on a standby.

The file of a table identifies a database that takes another's place under the same server: its path has the numbers of
the database and of the table. The query takes 15 µs; any role may run it.
"""

PROOF: Final = "SELECT pg_logical_emit_message(true, 'sceau', '')"
"""SQL that writes to the server's log (WAL) and changes nothing.

A transaction that holds it commits only where commits can: behind a synchronous standby, only on the present primary.
"""


Accepts = Callable[[str | None], bool]
"""Returns whether a server of that identity may be used."""


def is_no_standby(identity: str | None) -> bool:
    """Accept any server that is not a standby."""
    return identity is not None


def is_older(identity: str, known_identity: str) -> bool:
    """Return whether a server is on an earlier timeline of the same cluster than a known one: it was then replaced."""
    cluster, timeline = identity.split(" ")[:2]
    known_cluster, known_timeline = known_identity.split(" ")[:2]
    return cluster == known_cluster and int(timeline, 16) < int(known_timeline, 16)


HAS_STANDBY: Final = (
    "current_setting('synchronous_standby_names') <> '' "
    "AND current_setting('synchronous_commit') NOT IN ('off', 'local')"
)
"""SQL: whether a COMMIT of this session waits for a standby. Only a COMMIT that returns shows that a standby is there.

A pooler may have dropped what a connection asks for (`synchronous_commit = on`).
"""


class KnownPrimary:
    """Which server may be read and written: that of the feed's last beat; before a beat, any that was not replaced.

    A replaced primary stands on an earlier timeline than the primary that replaced it.
    """

    def __init__(self) -> None:
        """Know no server yet."""
        self.server: str | None = None
        self._newest: str | None = None

    def beats_from(self, server: str | None) -> None:
        """Note the identity of the server that answered a beat; None: no beat is answered any more."""
        self.server, self._newest = server, server or self._newest

    def accepts(self, identity: str | None) -> bool:
        """Return whether the server with this identity may be read and written now."""
        if identity is None:
            return False
        if self.server is not None:
            return identity == self.server
        return self._newest is None or not is_older(identity, self._newest)


class NotThePrimaryError(Exception):
    """The server that answered is a standby, or not the server accepted as primary."""


class NoStandbyError(NotThePrimaryError):
    """On the server that answered no commit waits for a standby, and the deployment wants one."""


TRIES: Final = 3
"""How many connections of a pool are tried until one leads to the wanted server."""
HANGING_UP_SECONDS: Final = 0.25
"""Seconds beyond its deadline in which a call may still end by an error of its connection."""
_HOST_SECONDS: Final = 2
"""Seconds for which one host of a DSN is tried: the least that libpq takes."""
_NEXT_HOST_SECONDS: Final = 0.5
"""Seconds for which a host may be silent before the next one is tried beside it."""
_Opened = TypeVar("_Opened", bound="HeardConnection")


class HeardConnection(psycopg.AsyncConnection[Any]):
    """A connection that notes the server's warnings, and to which server it was opened (`app.db.connections`).

    A COMMIT that a time-out cuts short while it waits for a synchronous standby succeeds, with only a warning: the
    transaction is committed on this server, and may be on no other.
    """

    def __init__(self, *arguments: Any, **more: Any) -> None:  # noqa: ANN401 - as psycopg
        """Listen from the start."""
        super().__init__(*arguments, **more)
        self.warned = False
        self.server: str | None = None
        self.add_notice_handler(self._hear)

    @classmethod
    async def connect(cls, conninfo: str = "", **settings: Any) -> Self:  # noqa: ANN401
        """Connect to the first host of a DSN whose server the setting `accepts` takes.

        The next host is tried once the previous one has failed or has been silent for half a second, so that a host
        that never answers does not use up the caller's deadline. Otherwise it takes and raises what psycopg does.
        """
        accepts, open_one = settings.pop("accepts", is_no_standby), super().connect
        opened = [cls._open(open_one(conninfo, **of_one), accepts) for of_one in _one_host_each(settings)]
        return await _first_to_answer(opened)

    @staticmethod
    async def _open(opening: "Coroutine[Any, Any, _Opened]", accepts: Accepts) -> "_Opened":
        """Open a connection, learn which server it leads to, and close it again if that server is not accepted."""
        connection = await opening
        try:
            commits = connection.autocommit
            # A host may accept a login and then fall silent, and the caller would wait for ever.
            with hanging_up_after(connection, _HOST_SECONDS):
                await connection.set_autocommit(True)
                row = await (await connection.execute(f"SELECT {IDENTITY}")).fetchone()
                await connection.set_autocommit(commits)
            connection.server = None if row is None else row[0]
        except BaseException:
            connection.pgconn.finish()
            raise
        if accepts(connection.server):
            return connection
        connection.pgconn.finish()
        raise psycopg.OperationalError("it is a standby, or not the primary that is believed now")

    async def answers(self, seconds: float) -> bool:
        """Return whether the server answers within that time; if it does not, the connection is shut."""
        commits, status = self.autocommit, psycopg.pq.TransactionStatus.IDLE
        if self.closed or self.info.transaction_status is not status:
            return False
        try:
            with hanging_up_after(self, seconds):
                await self.set_autocommit(True)
                await self.execute("")
                await self.set_autocommit(commits)
        except psycopg.Error:
            return False
        return True

    def _hear(self, notice: Diagnostic) -> None:
        if notice.severity_nonlocalized == "WARNING":
            self.warned = True


def _one_host_each(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the settings of a connection to each host that a DSN names, in its order.

    What a DSN leaves out is left to libpq, which looks into its environment (PGHOST, PGPORT).
    """
    lists = {name: str(settings[name]).split(",") for name in ("host", "hostaddr", "port") if settings.get(name)}
    count = max((len(each) for name, each in lists.items() if name != "port"), default=1)
    if any(len(each) not in {1, count} for each in lists.values()):
        raise psycopg.OperationalError("the DSN does not name as many hosts as ports")
    spread = {name: each * count if len(each) == 1 else each for name, each in lists.items()}
    return [{**settings, **{name: each[at] for name, each in spread.items()}} for at in range(count)]


async def _first_to_answer(attempts: Sequence[Coroutine[Any, Any, _Opened]]) -> _Opened:
    """Return the result of the first attempt that succeeds, or raise the last error; close what the others open."""
    running: set[asyncio.Task[_Opened]] = set()
    waiting, failed = list(attempts), None
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.create_task(waiting.pop(0)))
            seconds = _NEXT_HOST_SECONDS if waiting else None
            done, running = await asyncio.wait(running, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if task.exception() is None:
                    running |= done - {task}
                    return task.result()
                failed = task.exception()
    finally:
        for attempt in waiting:
            attempt.close()
        for task in running:
            # An unwanted attempt finishes, which takes seconds at most: if it were cancelled while it connects, the
            # server's process would be left to the garbage collector.
            _unwanted.add(task)
            task.add_done_callback(_close_unwanted)
    raise failed or psycopg.OperationalError("the DSN names no host")


_unwanted: Final[set["asyncio.Task[Any]"]] = set()


def _close_unwanted(task: "asyncio.Task[_Opened]") -> None:
    _unwanted.discard(task)
    if not task.cancelled() and task.exception() is None:
        task.result().pgconn.finish()


_LAST_PORT: Final = 65_535


def names_a_database(url: str) -> bool:
    """Return whether it is a PostgreSQL URL with a database, of one host or several, that libpq reads as it is meant.

    An error of libpq quotes what it cannot read, which may be the password. So a URL is refused here in which it would
    take a part of a password for a host, a port or a database: where `@` or `/` of a password are not percent-encoded.
    """
    scheme, _, rest = url.partition("://")
    try:
        parts = parts_of(url)
        ports = [int(host["port"]) for host in _one_host_each(parts) if host.get("port")]
    except (psycopg.Error, ValueError):  # ValueError: a port is no number, or what is percent-encoded no UTF-8
        return False
    return (
        scheme in {"postgresql", "postgresql+psycopg"}
        and rest.count("@") == rest.partition("/")[0].count("@") < 2  # noqa: PLR2004 - it ends user and password
        and bool(parts.get("dbname"))
        and all(0 < port <= _LAST_PORT for port in ports)
    )


def role_of(url: str) -> str | None:
    """Return the role that a DSN names; None when it names none."""
    role = parts_of(url).get("user")
    return None if role is None else str(role)


def patience(url: str) -> float:
    """Return the seconds within which every host of a DSN can have been tried."""
    return float(_HOST_SECONDS * len(_one_host_each(parts_of(url))) + 1)


def parts_of(url: str) -> dict[str, Any]:
    """Return the parts of a DSN as libpq reads it: without the driver's name that SQLAlchemy's DSNs have."""
    return conninfo_to_dict(url.replace("postgresql+psycopg://", "postgresql://", 1))


def refuses(url: str) -> bool:
    """Return whether a server of a DSN answers and lets nobody in, as one does whose connections are all in use.

    Each host is asked for itself, four seconds at most: one that is silent, that starts, or that is a standby, which
    lets its callers in, says nothing of a primary.
    """
    for target in _one_host_each(parts_of(url)):
        host = {**target, "connect_timeout": 2, "target_session_attrs": "any"}
        if pq.PGconn.ping(make_conninfo("", **host).encode()) == pq.Ping.OK:
            try:
                psycopg.connect(**host).close()
            except psycopg.OperationalError:
                return True
    return False


def connection_settings(url: str, *, statement_seconds: float) -> dict[str, Any]:
    """Return libpq's settings for a DSN: time-outs, keepalives, UTC.

    Args:
        url: a PostgreSQL URL; SQLAlchemy's `postgresql+psycopg://` is understood.
        statement_seconds: the longest that one statement may take.

    """
    return {**parts_of(url), **line_settings(statement_seconds)}


def owner_settings(url: str, *, connect_seconds: int) -> dict[str, Any]:
    """Return libpq's settings for a migration's DSN: no statement time-outs, which migrations set themselves."""
    reached = {"connect_timeout": connect_seconds, "target_session_attrs": "read-write"}
    return {**parts_of(url), **reached}


def line_settings(statement_seconds: float) -> dict[str, Any]:
    """Return the libpq settings of every connection, apart from where it leads."""
    milliseconds = max(1, int(statement_seconds * 1000))
    session = {
        "timezone": "UTC",
        "bytea_output": "hex",  # the hashes in the log are made from rows as JSON
        # What was waited for is seen afterwards, even if a role or a database has another default.
        "default_transaction_isolation": "read\\ committed",
        "statement_timeout": milliseconds,
        # Shorter than the whole deadline, so that a waiting caller learns that others hold the lock.
        "lock_timeout": max(1, milliseconds // 2),
        "idle_in_transaction_session_timeout": 2 * milliseconds,
        # An answer means "durable", even if a role or a database has a weaker default.
        "synchronous_commit": "on",
        "client_connection_check_interval": 1000,
    }
    return {
        "options": " ".join(f"-c {name}={value}" for name, value in session.items()),
        "connect_timeout": _HOST_SECONDS,
        "target_session_attrs": "read-write",  # of several hosts, one that is not a standby
        "application_name": "sceau",
        "keepalives_idle": 1,
        "keepalives_interval": 1,
        "keepalives_count": 2,
        "tcp_user_timeout": max(1000, milliseconds),
    }


async def connect(
    url: str, *, statement_seconds: float, autocommit: bool = True, accepts: Accepts = is_no_standby
) -> HeardConnection:
    """Open a new connection to a server that `accepts` takes."""
    settings = connection_settings(url, statement_seconds=statement_seconds)
    return await HeardConnection.connect(autocommit=autocommit, accepts=accepts, **settings)


def cancellations() -> int:
    """Return how often the present task was asked to end.

    When it was asked twice, psycopg shuts the connection, and the clean-up behind it gets a database error. That is not
    a failure of the database: a loop that took it for one would go on for ever.
    """
    task = asyncio.current_task()
    return 0 if task is None else task.cancelling()


@contextmanager
def hanging_up_after(connection: psycopg.AsyncConnection[Any], seconds: float) -> Iterator[None]:
    """Limit what is awaited inside to `seconds`: then the connection is shut, and the waiting call gets an error.

    `asyncio.timeout` would not do: when a wait is cancelled, psycopg asks the server to cancel the statement and waits
    for that, for ten seconds if nothing answers. Nor would keepalives alone: a proxy may answer them for a silent
    server.
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
