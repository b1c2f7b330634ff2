"""Compare the decision log with what was stated of it, batch by batch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from app.audit.trail import ActKind, TrailQuery, search_trail
from app.db.session import ReadSession
from app.operations.proof.batch_decisions import KIND, rows_between
from app.proof import store

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
