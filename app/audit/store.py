"""Partitions and searches of the decision log."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Row,
    Table,
    Text,
    Uuid,
    cast,
    func,
    select,
    text,
    tuple_,
)
from sqlalchemy.dialects.postgresql import JSONB

from app.audit.decision_log import DAY_SECONDS
from app.db.owner_limits import owner_limit
from app.db.schema import Instant, metadata
from app.db.session import ReadSession, WriteSession

# The decision log, the trail of administrative acts, and what background tasks did.
# The trail is append-only, in the ledger's manner. The log has one partition a day (UTC), made and dropped by
# functions that the application role may call; each task has one row a day (UTC). `figure` and `decision_count` are
# what the dashboard shows: counted by a job, numbers only.

decision_log = Table(
    "decision_log",
    metadata,
    Column("subject_ref", LargeBinary, nullable=False),
    Column("at", Instant, nullable=False),
    Column("id", Uuid, nullable=False),
    Column("caller", Uuid, nullable=False),
    Column("processing", Text, nullable=False),
    Column("correspondence_ref", LargeBinary, nullable=False),
    Column("elements", ARRAY(Text)),
    Column("channel", Text, nullable=False),
    Column("territory", Text, nullable=False),
    Column("permitted", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("law_version", Text),
    Column("consent", Uuid),
    Column("valid_until", Instant),
    # What it was made on (app.audit.relying).
    Column("automated", Boolean, nullable=False),
    Column("private", Boolean, nullable=False),
    Column("version", Integer),
    Column("versions", Integer, nullable=False),
    Column("changes", Integer, nullable=False),
    Column("party_mode", Text),
    Column("known", Integer, nullable=False),
    Column("participants", Integer),
    Column("relied", LargeBinary),
    Column("policy", Text, nullable=False),
    Column("rules", Text, nullable=False),
    Column("build", Text, nullable=False),
    PrimaryKeyConstraint("subject_ref", "at", "id"),
    Index("ix_decision_log_id", "id"),
    Index("ix_decision_log_at", "at", postgresql_using="brin"),
    postgresql_partition_by="RANGE (at)",
)

# Rows of the log that found the queue full or were refused: how many, and when the database heard of it.
decision_drop = Table(
    "decision_drop",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("number", BigInteger, nullable=False),
    CheckConstraint("number > 0", name="number"),
    Index("ix_decision_drop_at", "at"),
)

job_run = Table(
    "job_run",
    metadata,
    Column("task", Text, nullable=False),
    Column("day", Date, nullable=False),
    Column("runs", BigInteger, nullable=False),
    Column("failures", BigInteger, nullable=False),
    Column("flagged", BigInteger, nullable=False),
    Column("last_started_at", Instant, nullable=False),
    Column("last_took_ms", BigInteger, nullable=False),
    Column("last_flagged", BigInteger, nullable=False),
    Column("backlog", BigInteger, nullable=False),
    Column("last_failed_at", Instant),
    Column("last_error", Text),
    Column("lost", BigInteger, nullable=False, server_default=text("0")),
    PrimaryKeyConstraint("task", "day"),
)

figure = Table(
    "figure",
    metadata,
    Column("name", Text, primary_key=True),
    Column("counted_at", Instant, nullable=False),
    Column("took_ms", BigInteger, nullable=False),
    Column("settled_until", Instant),
    Column("numbers", JSONB(none_as_null=True)),
)

decision_count = Table(
    "decision_count",
    metadata,
    Column("hour", Instant, nullable=False),
    Column("processing", Text, nullable=False),
    Column("permitted", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    PrimaryKeyConstraint("hour", "processing", "permitted", "reason"),
)

administrative_act = Table(
    "administrative_act",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("act", Text, nullable=False),
    Column("way", Text, nullable=False),
    Column("caller", Uuid),
    Column("request_id", Text),
    Column("thing", Text),
    Column("thing_id", Text),
    Column("subject_ref", LargeBinary),
    Column("detail", JSONB, nullable=False),
    Column("once", LargeBinary, unique=True),
    CheckConstraint("(thing IS NULL) = (thing_id IS NULL)", name="thing_with_its_id"),
    CheckConstraint("octet_length(subject_ref) = 32", name="ref_length"),
    CheckConstraint("octet_length(once) = 32", name="once_length"),
    Index("ix_administrative_act_caller_id", "caller", "id"),
    Index("ix_administrative_act_thing_thing_id_id", "thing", "thing_id", "id"),
    Index("ix_administrative_act_subject_ref_id", "subject_ref", "id"),
)


@dataclass(frozen=True, slots=True)
class LoggedDecision:
    """One decision as logged; `elements` None means that the question named none."""

    id: UUID
    at: datetime
    caller: UUID
    subject_ref: bytes
    processing: str
    correspondence_ref: bytes
    elements: Sequence[str] | None
    channel: str
    territory: str
    permitted: bool
    reason: str
    rule: str
    law_version: str | None
    consent: UUID | None
    valid_until: datetime | None


LogRow = Row[Any]
"""A row with every column, those of `app.audit.relying` among them."""
COLUMNS = tuple(LoggedDecision.__dataclass_fields__)


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which decisions are searched; None asks for all. `since` is included, `until` is not."""

    since: datetime | None = None
    until: datetime | None = None
    ref: bytes | None = None
    correspondence_refs: Sequence[bytes] | None = None
    processings: tuple[str, ...] | None = None
    permitted: bool | None = None
    reason: str | None = None
    identifier: UUID | None = None


async def search_log(session: ReadSession, query: LogQuery, *, before: UUID | None, limit: int) -> list[LoggedDecision]:
    """The next decisions that match, newest first: ids of version 7 sort by time."""
    table = decision_log.c
    statement = select(decision_log).order_by(table.id.desc()).limit(limit)
    if query.since is not None:
        statement = statement.where(table.at >= query.since)
    if query.until is not None:
        statement = statement.where(table.at < query.until)
    if query.processings is not None:
        statement = statement.where(table.processing.in_(query.processings))
    if query.correspondence_refs is not None:
        statement = statement.where(table.correspondence_ref.in_(query.correspondence_refs))
    equal: dict[Any, object | None] = {
        table.subject_ref: query.ref,
        table.permitted: query.permitted,
        table.reason: query.reason,
        table.id: query.identifier,
    }
    statement = statement.where(*(column == value for column, value in equal.items() if value is not None))
    if before is not None:
        statement = statement.where(table.id < before)
    return [_logged(row) for row in await session.execute(statement)]


async def days_logged(session: ReadSession, ref: bytes) -> Sequence[int]:
    """The days (UTC, counted from 1970) on which the log has a decision about somebody: no more than it keeps."""
    day = func.floor(func.extract("epoch", decision_log.c.at) / DAY_SECONDS).cast(Integer)
    found = select(day).where(decision_log.c.subject_ref == ref).distinct()
    return (await session.execute(found)).scalars().all()


Place = tuple[datetime, UUID, bytes]
"""Where a row stands among others: its time, its id and its subject_ref, which are its primary key."""


async def read_log(
    session: ReadSession, since: datetime, until: datetime, *, after: Place | None, limit: int
) -> Sequence[LogRow]:
    """The next rows of the log between two instants with every column, in their order (`Place`)."""
    table = decision_log.c
    order = (table.at, table.id, table.subject_ref)
    rows = select(decision_log).where(table.at >= since, table.at < until).order_by(*order).limit(limit)
    if after is not None:
        rows = rows.where(tuple_(*order) > after)
    return (await session.execute(rows)).all()


async def next_logged(session: ReadSession, since: datetime, until: datetime) -> datetime | None:
    """When the first decision in the log was taken between two instants; None where there is none."""
    table = decision_log.c
    first = select(func.min(table.at)).where(table.at >= since, table.at < until)
    return (await session.execute(first)).scalar_one_or_none()


async def leaves_between(session: ReadSession, since: datetime, until: datetime, columns: Sequence[str]) -> list[bytes]:
    """The leaf hashes (RFC 9162, 2.1.1) of the rows between two instants, in their order.

    A row is hashed by the database, as the JSON of these columns: times in UTC, bytes in hexadecimal digits.
    """
    told = func.jsonb_build_object(*(part for name in columns for part in (name, decision_log.c[name])))
    content = func.convert_to(cast(told, Text), "UTF8")
    table = decision_log.c
    leaf = func.sha256(cast(b"\0", LargeBinary).op("||")(content))
    rows = select(leaf).where(table.at >= since, table.at < until).order_by(table.at, table.id, table.subject_ref)
    return list((await session.execute(rows)).scalars())


@dataclass(frozen=True, slots=True)
class DecisionsOfADay:
    """How often one answer was given about somebody on a day (UTC)."""

    day: date
    processing: str
    permitted: bool
    reason: str
    number: int


async def decisions_by_day(session: ReadSession, ref: bytes) -> list[DecisionsOfADay]:
    """The decisions about somebody that are in the log, counted by day (UTC), processing and answer."""
    table = decision_log.c
    day = cast(func.timezone("UTC", table.at), Date).label("day")
    by = (day, table.processing, table.permitted, table.reason)
    counted = select(*by, func.count().label("number")).where(table.subject_ref == ref).group_by(*by).order_by(*by)
    return [DecisionsOfADay(**row) for row in (await session.execute(counted)).mappings()]


async def count_dropped(session: ReadSession, since: datetime, until: datetime) -> int:
    """How many rows the decision log dropped, as workers reported it to the database between two instants."""
    table = decision_drop.c
    number = select(func.coalesce(func.sum(table.number), 0)).where(table.at >= since, table.at < until)
    return int((await session.execute(number)).scalar_one())


async def make_partition(session: WriteSession, day: date) -> None:
    """Make the partition of a day, unless it is there."""
    await session.execute(select(func.sceau_make_log_partition(day)))


async def load_log_floor(session: ReadSession) -> timedelta:
    """How long each day of the log is kept at least: the owner of the database sets it."""
    return timedelta(days=(await session.execute(select(owner_limit.c.log_floor_days))).scalar_one())


async def drop_before(session: WriteSession, day: date) -> int:
    """Drop the partitions of all days before one, none of them younger than the floor; how many there were.

    The function leaves an entry in the trail for each (`decision_log.dropped`).
    """
    return int((await session.execute(select(func.sceau_drop_log_before(day)))).scalar_one())


def _logged(row: Row[tuple[object, ...]]) -> LoggedDecision:
    return LoggedDecision(**{name: getattr(row, name) for name in COLUMNS})
