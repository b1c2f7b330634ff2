"""Which server answers, how it replicates and archives, and by how much its clock differs from this host's."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import text

from app.db.primary import HAS_STANDBY
from app.db.session import ReadSession

# What of other connections replicates is told to members of pg_read_all_stats alone.
_CONDITION: Final = text(f"""
SELECT NOT pg_is_in_recovery() AS is_primary,
    CASE WHEN pg_is_in_recovery() THEN NULL
        ELSE substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) END AS timeline,
    {HAS_STANDBY} AS waits_for_standby,
    CASE WHEN pg_has_role('pg_read_all_stats', 'USAGE')
        THEN (SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')) END AS standbys,
    current_setting('archive_mode') <> 'off' AS archives, archiver.last_archived_time, archiver.failed_count,
    (SELECT max(version_num) FROM alembic_version) AS schema, clock_timestamp() AS clock
FROM pg_stat_archiver AS archiver
""")  # noqa: S608 - put together from constants


@dataclass(frozen=True, slots=True)
class DatabaseCondition:
    """What one server says of itself.

    `standbys` in sync: None where the role may not know. `archived_at`: when the last file of its log was archived,
    None before the first. `schema` is a revision. `ahead`: seconds by which its clock is ahead of this host's.
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
    """Ask the server of a session; `wall_clock` is this host's."""
    sent = wall_clock()
    row = (await session.execute(_CONDITION)).one()
    half_way = sent + (wall_clock() - sent) / 2
    return DatabaseCondition(
        is_primary=row.is_primary,
        timeline=None if row.timeline is None else int(row.timeline, 16),
        waits_for_standby=row.waits_for_standby,
        standbys=row.standbys,
        archives=row.archives,
        archived_at=row.last_archived_time,
        archive_failures=row.failed_count,
        schema=row.schema,
        ahead=(row.clock - half_way).total_seconds(),
    )
