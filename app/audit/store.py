"""The tables of the logs; the partitions of the decision log, and how merged segments replace its segments."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    delete,
    func,
    select,
    text,
    tuple_,
)
from sqlalchemy.dialects.postgresql import JSONB

from app.audit.segments import HOUR, Segment, hour_begun
from app.db.owner_limits import owner_limit
from app.db.schema import Instant, metadata
from app.db.session import ReadSession, WriteSession

# The decision log, the trail of administrative acts, and the runs of background tasks. The trail is append-only, like
# the ledger. The log has one partition a day (UTC), made and dropped by functions that the application role may call;
# each task has one row a day (UTC). `figure` holds the console's numbers of consents, counted by a job.
# `decision_count` has the numbers of days that the log dropped.

# Each row is a segment (`app.audit.segments`): one of a worker's flushes, or with `merged` what these became once their
# hour was over. The service adds flushes; only a function of the database replaces them by merged segments.
decision_segment = Table(
    "decision_segment",
    metadata,
    Column("id", Uuid, nullable=False),
    Column("day", Date, nullable=False),
    Column("from_at", Instant, nullable=False),
    Column("to_at", Instant, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("merged", Boolean, nullable=False, server_default=text("false")),
    Column("counts", JSONB, nullable=False),
    Column("directory", LargeBinary, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    PrimaryKeyConstraint("day", "id"),
    CheckConstraint("rows > 0", name="rows"),
    CheckConstraint("octet_length(sha256) = 32", name="sha256_length"),
    CheckConstraint("from_at <= to_at", name="order"),
    CheckConstraint("day = (from_at AT TIME ZONE 'UTC')::date", name="day"),
    Index("ix_decision_segment_to_at_id", "to_at", "id"),
    Index("ix_decision_segment_waiting", "from_at", postgresql_where=text("NOT merged")),
    postgresql_partition_by="RANGE (day)",
)

# Rows that the log dropped because the queue was full or they were refused: how many, and when this was reported.
decision_drop = Table(
    "decision_drop",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("number", BigInteger, nullable=False),
    CheckConstraint("number > 0", name="number"),
    Index("ix_decision_drop_at", "at"),
)

# The number of each worker's last flush, so that each flush is accepted once. Rows of workers that are gone are
# removed.
decision_writer = Table(
    "decision_writer",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("flushed", BigInteger, nullable=False),
    Column("at", Instant, nullable=False),
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
    Column("numbers", JSONB(none_as_null=True)),
)

decision_count = Table(
    "decision_count",
    metadata,
    Column("day", Instant, nullable=False),
    Column("processing", Text, nullable=False),
    Column("permitted", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("number", BigInteger, nullable=False),
    PrimaryKeyConstraint("day", "processing", "permitted", "reason"),
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


async def count_dropped(session: ReadSession, since: datetime, until: datetime) -> int:
    """Return how many rows the decision log dropped, as workers reported to the database between two instants."""
    table = decision_drop.c
    number = select(func.coalesce(func.sum(table.number), 0)).where(table.at >= since, table.at < until)
    return int((await session.execute(number)).scalar_one())


async def make_partition(session: WriteSession, day: date) -> None:
    """Make the partition of a day, unless it exists."""
    await session.execute(select(func.sceau_make_log_partition(day)))


async def forget_writers(session: WriteSession, idle: timedelta) -> None:
    """Remove the rows of workers that have written nothing for that long."""
    await session.execute(delete(decision_writer).where(decision_writer.c.at < await session.instant() - idle))


async def load_log_floor(session: ReadSession) -> timedelta:
    """Return how long each day of the log is kept at least; the owner of the database sets it."""
    return timedelta(days=(await session.execute(select(owner_limit.c.log_floor_days))).scalar_one())


async def drop_before(session: WriteSession, day: date) -> int:
    """Drop the partitions of all days before one, none of them younger than the floor; return how many there were.

    The function leaves an entry in the trail for each (`decision_log.dropped`).
    """
    return int((await session.execute(select(func.sceau_drop_log_before(day)))).scalar_one())


# An hour that is over is merged: a few segments replace many.

_REPLACE: Final = text("""
SELECT sceau_merge_segments(:id, :day, :from_at, :to_at, :rows, CAST(:counts AS jsonb), :directory, :data, :sha256,
    CAST(:gone AS uuid[]), :merged)
""")


async def replace_segments(session: ReadSession, made: Segment, gone: Sequence[UUID], *, merged: bool) -> None:
    """Replace other segments of an hour by one; `merged`: for good, so that it can be stated in the log."""
    await session.execute(_REPLACE, {**made.columns, "gone": list(gone), "merged": merged})


async def oldest_waiting(session: ReadSession, before: datetime) -> datetime | None:
    """Return the hour (UTC) of the first segment that begins before an instant and is not merged yet."""
    table = decision_segment.c
    first = select(func.min(table.from_at)).where(~table.merged, table.from_at < before)
    oldest = (await session.execute(first)).scalar_one_or_none()
    return None if oldest is None else hour_begun(oldest)


async def waiting_in(
    session: ReadSession, hour: datetime, after: tuple[datetime, UUID] | None, most: int, *, below: int | None = None
) -> Sequence[Any]:
    """Return segments of an hour that are not merged yet, in order: `id`, `from_at`, `rows`, `directory`, `data`.

    `below`: only segments with fewer rows.
    """
    table = decision_segment.c
    order = (table.from_at, table.id)
    rows = select(table.id, table.from_at, table.rows, table.directory, table.data).where(
        ~table.merged,
        table.day == hour.date(),
        table.from_at >= hour,
        table.from_at < hour + HOUR,
    )
    if after is not None:
        rows = rows.where(tuple_(*order) > after)
    if below is not None:
        rows = rows.where(table.rows < below)
    return (await session.execute(rows.order_by(*order).limit(most))).all()


async def count_small(session: ReadSession, hour: datetime, before: datetime, below: int) -> int:
    """Return how many unmerged segments of an hour have fewer rows than `below`, and began before an instant."""
    table = decision_segment.c
    number = select(func.count()).where(
        ~table.merged, table.from_at >= hour, table.from_at < before, table.from_at < hour + HOUR, table.rows < below
    )
    return int((await session.execute(number)).scalar_one())


_DIGESTS: Final = text("""
SELECT id, from_at, rows, merged, sha256 = made AS fits, made AS digest FROM (
    SELECT id, from_at, rows, merged, sha256,
        sha256(convert_to(concat_ws(' ', CAST(extract(epoch FROM from_at) * 1000000 AS bigint),
            CAST(extract(epoch FROM to_at) * 1000000 AS bigint), rows, counts), 'UTF8') || directory || data) AS made
    FROM decision_segment
    WHERE day BETWEEN CAST(CAST(:since AS timestamptz) AT TIME ZONE 'UTC' AS date)
        AND CAST(CAST(:until AS timestamptz) AT TIME ZONE 'UTC' AS date) AND from_at >= :since AND from_at < :until
) AS segments
""")


async def segment_content(session: ReadSession, day: date, identifier: UUID) -> tuple[bytes, bytes] | None:
    """Return directory and data of a segment; None where it is gone."""
    table = decision_segment.c
    wanted = select(table.directory, table.data).where(table.day == day, table.id == identifier)
    row = (await session.execute(wanted)).one_or_none()
    return None if row is None else (bytes(row.directory), bytes(row.data))


async def segment_digests(session: ReadSession, since: datetime, until: datetime) -> Sequence[Any]:
    """Return the segments that begin within a period, without their content.

    The columns are `id`, `from_at`, `rows` and `merged`; `digest` of all its present content (`Segment.sha256`), and
    `fits`: whether that equals the stored digest.
    """
    return (await session.execute(_DIGESTS, {"since": since, "until": until})).all()
