"""Merge the decision log's hours that are over, and state in the proof log what each of them contains.

A statement covers the time since the one before it. It names the segments that were made of that hour, with their
digests and counts, and apart from them those that came late for an hour that was already stated. So each merged segment
is named by one statement, and a decision that is altered, removed or dated back later is noticed.
"""

import asyncio
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from app.audit.segments import HOUR, Collector, Segment, decisions_in, directory_of, hour_begun, open_sha256
from app.audit.store import (
    count_dropped,
    count_small,
    oldest_waiting,
    replace_segments,
    segment_digests,
    waiting_in,
)
from app.db.session import ReadSession, WriteSession, uuid7
from app.operations.proof.append_entries import state
from app.proof import store
from app.proof.verifier.decisions import excuses

KIND: Final = "decision_hour"
_SETTLED: Final = timedelta(minutes=2)
"""How long to wait: log rows are written a fifth of a second late, or once the database is back."""
_AT_ONCE: Final = 50
_TURN: Final = "proof hours"
_MOST_ROWS: Final = 200_000
"""The most rows in one merged segment, and so in a transaction: seconds, and memory (see docs/decision-log.md)."""


async def close_next(session: WriteSession) -> bool:
    """Merge and state the next piece of an hour, or a stretch where nothing was logged; return whether there was one.

    An hour that is too large for one piece is stated piece by piece; its last statement ends where the hour ends.
    """
    if not await session.take_turn(_TURN):
        return False
    # The database's own clock, as the log has it, even where a test sets another one.
    settled = hour_begun(await session.instant() - _SETTLED)
    first = await oldest_waiting(session, settled)
    since = await store.stated_until(session, KIND) or min(first or settled, settled - HOUR)
    if first is None and since >= settled:
        return False
    until, made, late = max(since, settled), list[Segment](), list[Segment]()
    if first is not None:
        until = max(since, first)
        if first < since:
            late = [await _merge(session, first, merged=True)]
        elif first == since:
            made = [await _merge(session, first, merged=True)]
            until = since if await oldest_waiting(session, since + HOUR) is not None else since + HOUR
    statement = {
        "since": _text(since),
        "until": _text(until),
        "segments": [await _named(each) for each in made],
        "late": [await _named(each) for each in late],
        "dropped": await count_dropped(session, since, until),
    }
    await state(session, KIND, statement)
    return True


_SMALL: Final = 20_000
_MANY: Final = 100


async def compact(session: WriteSession) -> bool:
    """Merge the small segments of the hour that is not over, so that readers open few; return whether there were many.

    The merged segment still waits to be merged and stated with the rest of its hour.
    """
    if not await session.take_turn(_TURN):
        return False
    settled = await session.instant() - _SETTLED
    if await count_small(session, hour_begun(settled), settled, _SMALL) < _MANY:
        return False
    await _merge(session, hour_begun(settled), merged=False)
    return True


async def _merge(session: WriteSession, hour: datetime, *, merged: bool) -> Segment:
    """Replace all segments of an hour (UTC), or all small ones, by one, up to the number of rows that one may have."""
    collector, number, gone, after = Collector(), 0, list[UUID](), None
    below = None if merged else _SMALL
    while rows := await waiting_in(session, hour, after, _AT_ONCE, below=below):
        for row in rows:
            if gone and number + row.rows > _MOST_ROWS:
                break
            await asyncio.to_thread(_collect, collector, row.directory, bytes(row.data))
            gone.append(row.id)
            number += row.rows
        else:
            after = (rows[-1].from_at, rows[-1].id)
            continue
        break
    made = await asyncio.to_thread(collector.sealed, uuid7(await session.now()))
    await replace_segments(session, made, gone, merged=merged)
    return made


def _collect(collector: Collector, directory: bytes, data: bytes) -> None:
    parsed = directory_of(directory)
    for decision in decisions_in(parsed, parsed.blocks, data):
        collector.put(decision)


async def _named(segment: Segment) -> dict[str, Any]:
    """Return a segment as statements name it: `sha256` of what the database has, `open_sha256` of what auditors get."""
    return {
        "id": str(segment.id),
        "hour": _text(hour_begun(segment.from_at)),
        "rows": segment.rows,
        "counts": [list(each) for each in segment.counts],
        "sha256": segment.sha256.hex(),
        "open_sha256": await asyncio.to_thread(open_sha256, segment),
    }


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


@dataclass(slots=True)
class HoursReport:
    """What became of the statements about a span of time.

    `same`: how many segments agree with theirs. `altered`: what is wrong. `retired`: how many segments are of days that
    were dropped, or of before the deployment was moved, as the audit trail says. `late`: how many decisions came after
    their hour had been stated. `waiting`: how many are not stated yet. `dropped`: how many decisions were not logged.
    `since`, `until`: what is covered; None where nothing is.
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
    """Compare the segments of a span, in whole hours, with the statements about it; the session holds the log still."""
    since, until = hour_begun(since), hour_begun(until + HOUR - timedelta(microseconds=1))
    report = HoursReport()
    if gone := await store.count_entries_gone(session):
        report.altered.append(f"{gone} entries of the log, or their statements, were taken out or renamed")
    if unentered := await store.unentered(session, await store.size_of_log(session)):
        report.altered.append(f"{len(unentered)} rows were recorded, and are not in the log")
    stated: dict[str, Mapping[str, Any]] = {}
    late: set[str] = set()
    for identifier, hour in await store.statements_since(session, KIND, since):
        begins, ends = datetime.fromisoformat(hour["since"]), datetime.fromisoformat(hour["until"])
        named = [each for each in (*hour["segments"], *hour["late"]) if _is_within(each, since, until)]
        if begins >= until and not named:
            continue
        if not await store.agrees_with_its_entry(session, identifier):
            report.altered.append(f"{hour['since']}: the statement is not what the log committed to")
        for part in named:
            if part["id"] in stated:
                report.altered.append(f"{part['hour']}: two statements name one segment")
            stated.setdefault(part["id"], part)
        late |= {each["id"] for each in hour["late"]}
        if begins < until:
            if report.until is not None and begins != report.until:
                report.altered.append(f"{report.until.isoformat()}: nothing is stated until {hour['since']}, or twice")
            report.since, report.until = report.since or begins, ends
            report.dropped += hour["dropped"] if ends > since else 0
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
        part = stated.get(str(row.id))
        if part is None and not row.merged:
            report.waiting += row.rows
        elif part is None:
            report.altered.append(f"{_text(row.from_at)}: {row.rows} decisions that no statement names")
        elif (row.digest.hex(), row.merged, row.fits) != (part["sha256"], True, True):
            report.altered.append(f"{part['hour']}: a segment is not what was stated, a decision in it or what it says")
        else:
            report.same += 1
            report.late += row.rows if part["id"] in late else 0
    gone = stated.keys() - {str(row.id) for row in there}
    is_excused = excuses(await store.endings(session) if gone else ())
    for identifier in sorted(gone):
        part = stated[identifier]
        if is_excused(part["hour"]):
            report.retired += 1
        else:
            report.altered.append(f"{part['hour']}: {part['rows']} decisions were logged, and are gone")
