"""What the owner of the database alone sets, read and changed as the owner (`owner_limit`, revision 0025).

The application's role reads it and cannot change it. A change leaves an entry in the trail, written by the table's own
trigger.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import Boolean, CheckConstraint, Column, Integer, Interval, Table, create_engine, select, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from app.db.schema import metadata

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

_CONNECT_SECONDS: Final = 10


class OwnerLimitsRefusedError(Exception):
    """The limits could not be read or changed; the message is for a person."""


@dataclass(frozen=True, slots=True)
class OwnerLimits:
    """How long the decision log is kept at least, and how far ahead of the database's clock `recorded_at` may lie."""

    log_floor: timedelta
    clock_tolerance: timedelta


def owner_limits(
    owner_url: str, *, log_floor: timedelta | None = None, clock_tolerance: timedelta | None = None
) -> OwnerLimits:
    """Change what is given, and read what stands then.

    Args:
        owner_url: DSN of the role that owns the schema.
        log_floor: whole days, 1 to 36500.
        clock_tolerance: zero or more.

    Raises:
        OwnerLimitsRefusedError: they were not changed.

    """
    if log_floor is not None and log_floor != timedelta(days=log_floor.days):
        raise OwnerLimitsRefusedError("the log is kept for whole days: such as P90D")
    wanted = {
        "log_floor_days": log_floor.days if log_floor is not None else None,
        "clock_tolerance": clock_tolerance,
    }
    changes = {name: value for name, value in wanted.items() if value is not None}
    owner = make_url(owner_url).set(drivername="postgresql+psycopg")
    engine = create_engine(owner, hide_parameters=True, connect_args={"connect_timeout": _CONNECT_SECONDS})
    try:
        with engine.begin() as connection:
            if changes:
                connection.execute(update(owner_limit).values(changes))
            row = connection.execute(select(owner_limit)).one()
    except DBAPIError as error:
        cause = type(error.orig).__name__
        message = f"the database refused ({cause}): SCEAU_DATABASE_OWNER_URL must name the owner of a migrated schema"
        raise OwnerLimitsRefusedError(message) from error
    finally:
        engine.dispose()
    return OwnerLimits(timedelta(days=row.log_floor_days), row.clock_tolerance)
