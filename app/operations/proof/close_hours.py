"""Merge the decision log's hours that are over, and state in the proof log what each of them has.

A statement speaks of the time since the one before it. It names the segments that were made of that hour, with their
digests and counts, and apart from them those that came late for an hour that was stated already. So each merged segment
is named by one statement, and a decision that is altered, taken out or dated back since is seen.
"""

import asyncio
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from app.audit.segments import HOUR, Collector, Segment, decisions_in, directory_of
from app.audit.store import count_dropped, oldest_waiting, replace_segments, segment_digests, waiting_in
from app.audit.trail import ActKind, TrailQuery, search_trail
from app.db.session import ReadSession, WriteSession
from app.proof import store

KIND: Final = "decision_hour"
_SETTLED: Final = timedelta(minutes=2)
"""What is logged is written a fifth of a second later, or once the database is back: this task waits for that too."""
_AT_ONCE: Final = 200
_MOST_ROWS: Final = 250_000
"""Of one merged segment, so that merging needs some 160 MB at most: an hour that has more becomes several."""


async def close_next(session: WriteSession) -> bool:
    """Merge and state the next hour, or a stretch in which nothing was logged. Whether there was one."""
    if not await store.take_turn(session, store.BATCHING):
        return False
    # The database's own clock, as the log has it, whatever a test's says.
    settled = _hour(await session.instant() - _SETTLED)
    last = await store.latest_statement(session, KIND)
    first = await oldest_waiting(session, settled)
    since = datetime.fromisoformat(last["until"]) if last is not None else min(first or settled, settled - HOUR)
    if since >= settled:
        return False
    late: list[Segment] = []
    while first is not None and first < since:
        late += await _merge(session, first)
        first = await oldest_waiting(session, settled)
    until = settled if first is None else max(first, since)
    made: list[Segment] = []
    if until == since:
        until = since + HOUR
        made = await _merge(session, since)
    now = await session.now()
    counts: Counter[tuple[str, bool, str]] = Counter()
    for segment in made:
        counts.update({(processing, permitted, reason): n for processing, permitted, reason, n in segment.counts})
    told = {
        "since": _text(since),
        "until": _text(until),
        "segments": [_named(each) for each in made],
        "late": [_named(each) for each in late],
        "counts": [[*answer, number] for answer, number in sorted(counts.items())],
        "dropped": await count_dropped(session, since, until),
    }
    await store.add_statement(session, session.new_id(now), KIND, now, told)
    return True


async def _merge(session: WriteSession, hour: datetime) -> list[Segment]:
    """Put few segments in the place of many, of one hour (UTC)."""
    made: list[Segment] = []
    collector, gone, after = Collector(), list[UUID](), None
    while rows := await waiting_in(session, hour, after, _AT_ONCE):
        for row in rows:
            directory = directory_of(row.directory)
            for decision in decisions_in(directory, directory.blocks, bytes(row.data)):
                collector.put(decision)
            gone.append(row.id)
        after = (rows[-1].from_at, rows[-1].id)
        if len(collector) >= _MOST_ROWS:
            made.append(await _put(session, collector, gone))
            collector, gone = Collector(), []
    if gone:
        made.append(await _put(session, collector, gone))
    return made


async def _put(session: WriteSession, collector: Collector, gone: Sequence[UUID]) -> Segment:
    made = await asyncio.to_thread(collector.sealed, session.new_id(await session.now()))
    await replace_segments(session, made, gone)
    return made


def _named(segment: Segment) -> dict[str, Any]:
    told = {"id": str(segment.id), "hour": _text(_hour(segment.from_at))}
    return {**told, "rows": segment.rows, "sha256": segment.sha256.hex()}


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def _hour(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


_PAGE: Final = 1_000


@dataclass(slots=True)
class HoursReport:
    """What became of the statements that speak of a time.

    `same`: how many segments agree with theirs. `altered`: what is wrong. `retired`: how many segments are of days that
    were dropped, as the audit trail says. `late`: how many decisions came after their hour had been stated. `waiting`:
    how many are not stated yet. `dropped`: how many decisions were not logged. `since`, `until`: what is covered; None
    where nothing is.
    """

    same: int = 0
    altered: list[str] = field(default_factory=list)
    retired: int = 0
    late: int = 0
    waiting: int = 0
    dropped: int = 0
    since: datetime | None = None
    until: datetime | None = None


async def compare_hours(session: ReadSession, since: datetime, until: datetime) -> HoursReport:
    """Compare the segments of a time, in whole hours, with the statements of it; the session holds the log still."""
    since, until = _hour(since), _hour(until + HOUR - timedelta(microseconds=1))
    report = HoursReport()
    if gone := await store.count_statements_gone(session):
        report.altered.append(f"{gone} statements that the log has were taken out of the database")
    stated: dict[str, Mapping[str, Any]] = {}
    late: set[str] = set()
    for identifier, hour in await store.statements_since(session, KIND, since):
        begins, ends = datetime.fromisoformat(hour["since"]), datetime.fromisoformat(hour["until"])
        named = {each["id"]: each for each in (*hour["segments"], *hour["late"]) if _is_within(each, since, until)}
        if begins >= until and not named:
            continue
        if await store.agrees_with_its_entry(session, identifier) is False:
            report.altered.append(f"{hour['since']}: the statement is not what the log committed to")
        stated |= named
        late |= {each["id"] for each in hour["late"]}
        if begins < until:
            if report.until is not None and begins != report.until:
                report.altered.append(f"{report.until.isoformat()}: nothing is stated until {hour['since']}, or twice")
            report.since, report.until = report.since or begins, ends
            report.dropped += hour["dropped"]
    await _compare(session, report, stated, late, await segment_digests(session, since, until))
    return report


def _is_within(named: Mapping[str, Any], since: datetime, until: datetime) -> bool:
    begins = datetime.fromisoformat(named["hour"])
    return begins < until and begins + HOUR > since


async def _compare(
    session: ReadSession,
    report: HoursReport,
    stated: Mapping[str, Mapping[str, Any]],
    late: Container[str],
    there: Sequence[Any],
) -> None:
    for row in there:
        told = stated.get(str(row.id))
        if not row.merged:
            report.waiting += row.rows
        elif told is None:
            report.altered.append(f"{_text(row.from_at)}: {row.rows} decisions that no statement names")
        elif (row.digest.hex(), row.rows) != (told["sha256"], told["rows"]):
            report.altered.append(f"{told['hour']}: a decision was altered, or one is there or gone")
        else:
            report.same += 1
            report.late += row.rows if told["id"] in late else 0
    gone = stated.keys() - {str(row.id) for row in there}
    days = await _days_dropped(session) if gone else set()
    for each in sorted(gone):
        told = stated[each]
        if told["hour"][:10] in days:
            report.retired += 1
        else:
            report.altered.append(f"{told['hour']}: {told['rows']} decisions were logged, and are gone")


async def _days_dropped(session: ReadSession) -> set[str]:
    """The days of the log that were dropped, as the trail has it."""
    days: set[str] = set()
    query, before = TrailQuery(acts=[ActKind.DECISION_LOG_DROPPED]), None
    while page := await search_trail(session, query, before=before, limit=_PAGE):
        days |= {str(each.detail.get("day")) for each in page}
        before = page[-1].id
    return days
