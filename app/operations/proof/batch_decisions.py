"""Batches of the decision log: stated while they are whole, and compared with what the log holds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from app.audit.decision_log import COLUMNS
from app.audit.store import count_dropped, leaves_between, next_logged
from app.audit.trail import ActKind, TrailQuery, search_trail
from app.db.session import ReadSession, WriteSession
from app.proof import store
from app.proof.tree import root_of

KIND: Final = "decision_batch"
_SETTLED: Final = timedelta(minutes=2)
"""What is logged is written a fifth of a second later, or once the database is back: this task waits for that too."""
_MINUTE: Final = timedelta(minutes=1)


async def batch_next(session: WriteSession) -> bool:
    """State the next batch: of a minute, or of a stretch in which nothing was logged. Whether there was one."""
    if not await store.take_turn(session, store.BATCHING):
        return False
    # The database's own clock, as the log has it, whatever a test's says.
    settled = (await session.instant() - _SETTLED).replace(second=0, microsecond=0)
    last = await store.latest_statement(session, KIND)
    since = datetime.fromisoformat(last["until"]) if last is not None else settled - _MINUTE
    if since >= settled:
        return False
    first = await next_logged(session, since, settled)
    until = settled if first is None else max(since, first.replace(second=0, microsecond=0))
    if until == since:
        until = since + _MINUTE
    now = await session.now()
    told = {"since": _text(since), "until": _text(until), **await rows_between(session, since, until)}
    dropped = await count_dropped(session, since, until)
    await store.add_statement(session, session.new_id(now), KIND, now, {**told, "dropped": dropped})
    return True


async def rows_between(session: ReadSession, since: datetime, until: datetime) -> Mapping[str, Any]:
    """How many rows of the log there are between two instants, and the root of the tree over them."""
    leaves = await leaves_between(session, since, until, COLUMNS)
    return {"count": len(leaves), "root": root_of(leaves).hex()}


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


_PAGE: Final = 1_000


@dataclass(slots=True)
class BatchReport:
    """What became of the batches that speak of a time.

    `same`: how many agree with the log. `altered`: what is wrong with the others. `retired`: how many are of days that
    were dropped, as the audit trail says. `dropped`: how many decisions were not logged. `since`, `until`: what they
    cover; None where there is none.
    """

    same: int = 0
    altered: list[str] = field(default_factory=list)
    retired: int = 0
    dropped: int = 0
    since: datetime | None = None
    until: datetime | None = None


async def compare_batches(session: ReadSession, since: datetime, until: datetime) -> BatchReport:
    """Compare every batch that speaks of some time between two instants."""
    report = BatchReport()
    if gone := await store.count_statements_gone(session):
        report.altered.append(f"{gone} statements that the log has were taken out of the database")
    days = await _days_dropped(session)
    for identifier, batch in await store.statements_about(session, KIND, since, until):
        begins, ends = datetime.fromisoformat(batch["since"]), datetime.fromisoformat(batch["until"])
        if report.until is not None and begins != report.until:
            report.altered.append(f"{report.until.isoformat()}: no batch until {batch['since']}, or two of one time")
        report.since, report.until = report.since or begins, ends
        report.dropped += batch["dropped"]
        await _compare(session, report, identifier, batch, retired=begins.date().isoformat() in days)
    return report


async def _compare(
    session: ReadSession, report: BatchReport, identifier: UUID, batch: Mapping[str, Any], *, retired: bool
) -> None:
    begins, ends = datetime.fromisoformat(batch["since"]), datetime.fromisoformat(batch["until"])
    there = await rows_between(session, begins, ends)
    if await store.agrees_with_its_entry(session, identifier) is False:
        report.altered.append(f"{batch['since']}: the batch is not what the log committed to")
    elif there == {"count": batch["count"], "root": batch["root"]}:
        report.same += 1
    elif retired and there["count"] == 0:
        report.retired += 1
    elif there["count"] != batch["count"]:
        report.altered.append(
            f"{batch['since']}: {batch['count']} decisions were logged, and {there['count']} are there"
        )
    else:
        report.altered.append(f"{batch['since']}: a decision was altered")


async def _days_dropped(session: ReadSession) -> set[str]:
    """The days of the log that were dropped, as the trail has it."""
    days: set[str] = set()
    query, before = TrailQuery(acts=[ActKind.DECISION_LOG_DROPPED]), None
    while page := await search_trail(session, query, before=before, limit=_PAGE):
        days |= {str(each.detail.get("day")) for each in page}
        before = page[-1].id
    return days
