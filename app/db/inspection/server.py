"""The state of a server as an operator wants to know it: primary or standby, clock, standbys, archived WAL."""

from dataclasses import dataclass
from datetime import datetime
from threading import Timer
from typing import Any, Final

import psycopg

from app.db.primary import HAS_STANDBY, PROOF

_STATE: Final = f"""
SELECT pg_is_in_recovery(), clock_timestamp(), current_setting('TimeZone'), {HAS_STANDBY},
    current_setting('synchronous_standby_names'), current_setting('synchronous_commit')"""
_AHEAD: Final = "SELECT count(*) FROM consent_event WHERE recorded_at > clock_timestamp()"
_ARCHIVER: Final = """
SELECT current_setting('archive_mode'), last_archived_time, last_failed_time, clock_timestamp() FROM pg_stat_archiver"""
_CONFIRMED_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class ServerState:
    """What one server says of itself. `waits`: a COMMIT waits for a synchronous standby."""

    is_standby: bool
    clock: datetime
    time_zone: str
    waits: bool
    standby_names: str
    synchronous_commit: str


@dataclass(frozen=True, slots=True)
class ArchiveState:
    """What became of the server's WAL: whether it is archived, and when that worked and failed last."""

    is_on: bool
    archived_at: datetime | None
    failed_at: datetime | None
    now: datetime


def server_state(connection: psycopg.Connection[Any]) -> ServerState:
    """What the server says of itself now."""
    row = connection.execute(_STATE).fetchone()
    if row is None:
        raise psycopg.OperationalError("the server gave no row")
    return ServerState(*row)


def commit_is_confirmed(connection: psycopg.Connection[Any]) -> bool:
    """Whether a COMMIT that writes nothing but a message to the WAL returns within three seconds without a warning.

    A role without pg_monitor is not told which standbys are in sync: that one is there is shown by the COMMIT alone.
    No time-out of the server ends that wait. A COMMIT that is cancelled in it succeeds with a warning.
    """
    warned: list[bool] = []
    connection.add_notice_handler(lambda said: warned.append(said.severity_nonlocalized == "WARNING"))
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


def entries_ahead(connection: psycopg.Connection[Any]) -> int:
    """How many entries of the ledger say that they were recorded later than the database's clock says now."""
    row = connection.execute(_AHEAD).fetchone()
    return 0 if row is None else int(row[0])


def archive_state(connection: psycopg.Connection[Any]) -> ArchiveState:
    """Whether and when the server's WAL was archived."""
    row = connection.execute(_ARCHIVER).fetchone()
    if row is None:
        raise psycopg.OperationalError("the server gave no row")
    mode, archived_at, failed_at, now = row
    return ArchiveState(mode != "off", archived_at, failed_at, now)
