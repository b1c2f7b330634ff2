"""The limits that only the owner of the database may loosen, and how the owner sets them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import psycopg
from psycopg import errors
from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Connection,
    Engine,
    Integer,
    Interval,
    Table,
    create_engine,
    select,
    text,
    update,
)
from sqlalchemy.exc import DBAPIError

from app.core.errors import RefusalError
from app.db.connections import owner_settings
from app.db.schema import metadata

_CONNECT_SECONDS: Final = 10


def owner_engine(url: str) -> Engine:
    """Return an engine on a DSN of one host or several, which shows no parameters in its errors."""

    def open_one() -> psycopg.Connection[Any]:
        return psycopg.connect(**owner_settings(url, connect_seconds=_CONNECT_SECONDS))

    return create_engine("postgresql+psycopg://", hide_parameters=True, creator=open_one)


owner_limit: Final = Table(
    "owner_limit",
    metadata,
    Column("is_here", Boolean, primary_key=True, server_default=text("true")),
    Column("log_floor_days", Integer, nullable=False),
    Column("clock_tolerance", Interval, nullable=False),
    CheckConstraint("is_here", name="one_row"),
    CheckConstraint("log_floor_days BETWEEN 1 AND 36500", name="log_floor_days"),
    CheckConstraint("clock_tolerance >= '0'::interval", name="clock_tolerance"),
)

_LONGEST_FLOOR: Final = timedelta(days=36_500)


class OwnerLimitsRefusedError(RefusalError):
    """The limits could not be read or changed; the message is for a person."""


@dataclass(frozen=True, slots=True)
class OwnerLimits:
    """How long the decision log is kept at least, and how far ahead of the database's clock `recorded_at` may be."""

    log_floor: timedelta
    clock_tolerance: timedelta


def owner_limits(
    owner_url: str, *, log_floor: timedelta | None = None, clock_tolerance: timedelta | None = None
) -> OwnerLimits:
    """Change the limits that are given, and return those that then stand.

    Args:
        owner_url: DSN of the role that owns the schema.
        log_floor: whole days, 1 to 36500.
        clock_tolerance: zero or more.

    Raises:
        OwnerLimitsRefusedError: they were not changed.

    """
    is_whole = log_floor is None or log_floor == timedelta(days=log_floor.days)
    if not is_whole or (log_floor is not None and not timedelta(days=1) <= log_floor <= _LONGEST_FLOOR):
        raise OwnerLimitsRefusedError("--log-floor must be whole days, from P1D to P36500D")
    if clock_tolerance is not None and clock_tolerance < timedelta(0):
        raise OwnerLimitsRefusedError("--clock-tolerance must not be negative")
    wanted = {
        "log_floor_days": log_floor.days if log_floor is not None else None,
        "clock_tolerance": clock_tolerance,
    }
    changes = {name: value for name, value in wanted.items() if value is not None}
    engine = owner_engine(owner_url)
    try:
        with as_owner(engine) as connection:
            if changes:
                connection.execute(update(owner_limit).values(changes))
            row = connection.execute(select(owner_limit)).one()
    finally:
        engine.dispose()
    return OwnerLimits(timedelta(days=row.log_floor_days), row.clock_tolerance)


@contextmanager
def as_owner(engine: Engine) -> Iterator[Connection]:
    """Open a transaction on an `owner_engine`; it is committed when the block ends normally.

    Raises:
        OwnerLimitsRefusedError: the database refuses it, and nothing was changed.

    """
    try:
        with engine.begin() as connection:
            yield connection
    except DBAPIError as error:
        raise OwnerLimitsRefusedError(_refusal(error.orig)) from error


def _refusal(cause: BaseException | None) -> str:
    """Return the message for a person: which setting is at fault, and what to do."""
    if isinstance(cause, errors.InsufficientPrivilege):
        return "the role of SCEAU_DATABASE_OWNER_URL does not own the schema: name the role that does"
    if isinstance(cause, errors.UndefinedTable):
        return "the schema is behind this version: run `sceau migrate` first"
    if getattr(cause, "sqlstate", None) is None:
        return "the database cannot be reached as its owner: check SCEAU_DATABASE_OWNER_URL and that it runs"
    return f"the database refused it ({type(cause).__name__}), and nothing was changed: see its log"
