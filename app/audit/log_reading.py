"""Read the decision log by segments, the newest first, reading from each only the blocks that may be wanted.

The reader's session must hold the log still (`Database.read`): otherwise an hour that is merged meanwhile would be
read twice, or half.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from contextvars import copy_context
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import partial
from heapq import nlargest
from itertools import chain
from operator import attrgetter
from typing import Any, Final, TypeVar
from uuid import UUID

import structlog
import zstandard
from sqlalchemy import func, select, text, tuple_

from app.audit.segments import (
    NOBODY,
    REF_BYTES,
    BlockPlace,
    Directory,
    LoggedDecision,
    Wanted,
    decisions_in,
    directory_of,
    facts_in,
    hour_of,
    instant_of,
    microseconds_of,
)
from app.audit.store import decision_segment
from app.core.article import PARIS
from app.core.register import Struck
from app.db.session import ReadSession

Content = TypeVar("Content")
_HEADS: Final = 100
_STRETCH: Final = 128
_PAUSE_SECONDS: Final = 0.0005
_LAST_MILLISECONDS: Final = 253_402_300_799_000
"""The last second of the year 9999: an id may hold any time, but no decision is later."""
_PIECE: Final = 1024 * 1024
"""Bytes of blocks that are read in one statement, unless a single block has more."""


UNREADABLE: Final = (ValueError, IndexError, OverflowError, zstandard.ZstdError)
"""The exceptions that reading invalid content as a segment may raise."""
log = structlog.get_logger("sceau.decision_log")


_DECODING: Final = ThreadPoolExecutor(1, thread_name_prefix="decision-log")
"""The one thread of a process that reads what segments hold: several would only take turns with the event loop."""


async def _decoded(read: Callable[[], Content]) -> Content:
    """Return what a function returns that reads segments, however many sessions wait for theirs meanwhile."""
    return await asyncio.get_running_loop().run_in_executor(_DECODING, copy_context().run, read)


class LogMovesError(Exception):
    """The session does not hold the log still: this is an error of the calling code."""


@dataclass(frozen=True, slots=True)
class Head:
    """A segment without its data."""

    id: UUID
    day: date
    to_at: datetime
    counts: Sequence[tuple[str, bool, str, int]]
    directory: Directory


async def heads(session: ReadSession, wanted: Wanted) -> AsyncIterator[Head]:
    """Yield the segments that have decisions of the wanted time, those that end last first.

    A segment that cannot be read is reported in the service's log and left out, since it must not hide the others.
    `proof replay` names it.

    Raises:
        LogMovesError: the session does not hold the log still.

    """
    table = decision_segment.c
    names = [each for each in Head.__dataclass_fields__ if each != "directory"]
    columns = [decision_segment.c[name] for name in (*names, "directory")]
    statement = select(*columns, func.current_setting("transaction_isolation").label("isolation"))
    if wanted.since is not None:
        statement = statement.where(table.to_at >= wanted.since, table.day >= wanted.since.astimezone(UTC).date())
    if wanted.until is not None:
        statement = statement.where(table.from_at < wanted.until, table.day <= wanted.until.astimezone(UTC).date())
    statement = statement.order_by(table.to_at.desc(), table.id.desc()).limit(_HEADS)
    rows: Sequence[Any] = (await session.execute(statement)).all()
    while rows:
        if rows[0].isolation != "repeatable read":
            raise LogMovesError
        for head in await _decoded(partial(_heads_in, rows, names)):
            yield head
        last = rows[-1]
        following = statement.where(tuple_(table.to_at, table.id) < (last.to_at, last.id), table.day <= last.day)
        rows = (await session.execute(following)).all()


def _heads_in(rows: Sequence[Any], names: Sequence[str]) -> list[Head]:
    readable: list[Head] = []
    for row in rows:
        try:
            directory = directory_of(row.directory)
        except UNREADABLE:
            log.error("segment unreadable", segment=str(row.id))  # noqa: TRY400 - what it holds is in the error
            continue
        readable.append(Head(**{name: getattr(row, name) for name in names}, directory=directory))
    return readable


_CONTENT: Final = text("""
SELECT substring(log.data FROM asked.first FOR asked.size) FROM
    unnest(CAST(:days AS date[]), CAST(:ids AS uuid[]), CAST(:firsts AS int[]), CAST(:sizes AS int[]))
        WITH ORDINALITY AS asked (day, id, first, size, place)
    JOIN decision_segment AS log ON log.day = asked.day AND log.id = asked.id
ORDER BY place
""")


async def blocks(
    session: ReadSession, segments: AsyncIterator[Head], wanted: Wanted
) -> AsyncIterator[tuple[Head, Sequence[BlockPlace], bytes]]:
    """Yield, in order and in pieces, the blocks of each segment that may have what is wanted; empty if none may."""
    batch: list[tuple[Head, int, int, list[BlockPlace]]] = []
    async for head in segments:
        pieces = _pieces(head.directory, wanted.ref) if wanted.is_among(head.counts) else []
        for piece in pieces or [(0, 0, [])]:
            batch.append((head, *piece))
            if len(batch) == _HEADS or sum(size for _, _, size, _ in batch) >= _PIECE:
                async for read in _read(session, batch):
                    yield read
                batch = []
    async for read in _read(session, batch):
        yield read


def _pieces(directory: Directory, ref: bytes | None) -> list[tuple[int, int, list[BlockPlace]]]:
    offset, places = directory.span(ref)
    pieces: list[tuple[int, int, list[BlockPlace]]] = []
    for place in places:
        if pieces and pieces[-1][1] + place.size <= _PIECE:
            first, size, those = pieces[-1]
            pieces[-1] = (first, size + place.size, [*those, place])
        else:
            pieces.append((offset, place.size, [place]))
        offset += place.size
    return pieces


async def _read(
    session: ReadSession, batch: Sequence[tuple[Head, int, int, list[BlockPlace]]]
) -> AsyncIterator[tuple[Head, Sequence[BlockPlace], bytes]]:
    wanted = [(head, offset, size) for head, offset, size, places in batch if places]
    contents: Iterator[bytes] = iter(())
    if wanted:
        values = {
            "days": [head.day for head, *_ in wanted],
            "ids": [head.id for head, *_ in wanted],
            "firsts": [offset + 1 for _, offset, _ in wanted],
            "sizes": [size for *_, size in wanted],
        }
        contents = iter((await session.execute(_CONTENT, values)).scalars().all())
    for head, _, _, places in batch:
        yield head, places, bytes(next(contents)) if places else b""


async def decisions(session: ReadSession, wanted: Wanted) -> AsyncIterator[tuple[Head, Sequence[LoggedDecision]]]:
    """Yield all wanted decisions, piece by piece, with the head of their segment; segments that end last come first."""
    async for head, places, content in blocks(session, heads(session, wanted), wanted):
        yield head, list(_readable(head, decisions_in(head.directory, places, content, wanted)))


def _readable(head: Head, contents: Iterator[Content]) -> Iterator[Content]:
    """Yield what can be read of a segment; report the rest as `heads` does."""
    try:
        yield from contents
    except UNREADABLE:
        log.error("segment unreadable", segment=str(head.id))  # noqa: TRY400 - what it holds is in the error


def _gently(items: Iterable[Content], stretch: int = _STRETCH) -> Iterator[Content]:
    """Yield the same items, with pauses that give the interpreter's lock back to the event loop; for a worker thread.

    Between blocks too (a stretch of 1), since a search may find nothing in them. The event loop waited 0.9 ms at most
    while 200,000 decisions were read, and 0.4 s without the pauses.
    """
    for number, item in enumerate(items):
        if number and not number % stretch:
            time.sleep(_PAUSE_SECONDS)
        yield item


@dataclass(frozen=True, slots=True)
class FoundDecisions:
    """Some decisions, newest first. `before`: the next page has lower ids; None when there is none."""

    items: Sequence[LoggedDecision]
    before: UUID | None

    @property
    def looked_back_to(self) -> datetime | None:
        """How far back the log was searched; None if to its beginning, or to the start that was asked for."""
        return None if self.before is None else instant_of((self.before.int >> 80) * 1_000)


PAGE_SECONDS: Final = 1.0
"""The time after which a page is returned as it is, so that a long log takes many sessions and none too long."""


async def search(
    session: ReadSession,
    wanted: Wanted,
    *,
    before: UUID | None,
    limit: int,
    seconds: float | None = None,
    correspondence: Callable[[int], bytes] | None = None,
    resting: "Resting | None" = None,
) -> FoundDecisions:
    """Return the next decisions, newest first: ids sort by time.

    Args:
        session: a session that holds the log still.
        wanted: which decisions.
        before: only decisions with lower ids.
        limit: how many at most.
        seconds: after this time the search ends with what was found; None: `PAGE_SECONDS`.
        correspondence: returns the wanted reference for a day (UTC, in days since 1970).
        resting: only permits that rest on this.

    """
    ends = time.monotonic() + (PAGE_SECONDS if seconds is None else seconds)
    if before is not None:
        last = instant_of((before.int >> 80) * 1_000 + 1_000)
        wanted = replace(wanted, until=last if wanted.until is None else min(last, wanted.until))
    if wanted.identifier is not None:
        milliseconds = wanted.identifier.int >> 80
        if milliseconds > _LAST_MILLISECONDS:
            return FoundDecisions([], None)
        earliest, last = instant_of(milliseconds * 1_000), instant_of(milliseconds * 1_000 + 1_000)
        wanted = replace(wanted, since=max(earliest, wanted.since or earliest), until=min(last, wanted.until or last))
    kept = _Newest(limit, before, correspondence)
    looked: Head | None = None
    reached = None if before is None else before.int
    async for head, places, content in blocks(session, heads(session, wanted), wanted):
        if head is not looked:
            looked = head
            newest = (microseconds_of(head.to_at) // 1_000 + 1) << 80  # no remaining decision has an id as high as this
            if kept.is_full and kept.oldest >= newest:
                break
            # A segment is searched whole: a page that ended where it began would be requested again, for ever.
            if reached is not None and newest < reached and time.monotonic() > ends:
                return kept.page(newest)
            reached = newest if reached is None else reached
        if not places:
            continue
        narrowed = wanted
        if resting is not None:
            narrowed = replace(wanted, consents=await resting.among(session, head, places, content))
        # In a thread: an hour of a large service takes a second, and decisions are answered meanwhile.
        logged = decisions_in(head.directory, _gently(places, 1), content, narrowed)
        await _decoded(partial(kept.take, _gently(_readable(head, logged))))
    return kept.page()


class _Newest:
    """The newest of some decisions, one more than a page has."""

    def __init__(self, limit: int, before: UUID | None, correspondence: Callable[[int], bytes] | None) -> None:
        self._limit = limit
        self._before = None if before is None else before.int
        self._correspondence = correspondence
        self._kept: list[LoggedDecision] = []

    @property
    def is_full(self) -> bool:
        """Whether there are more than a page has."""
        return len(self._kept) > self._limit

    @property
    def oldest(self) -> int:
        """The id of the oldest one, as a number."""
        return self._kept[-1].id.int

    def take(self, decisions: Iterable[LoggedDecision]) -> None:
        """Add decisions."""
        before, wanted = self._before, self._correspondence
        fitting = (
            each
            for each in decisions
            if (before is None or each.id.int < before)
            and (wanted is None or each.correspondence == wanted(day_of(each.at)))
        )
        self._kept = nlargest(self._limit + 1, chain(self._kept, fitting), key=attrgetter("id.int"))

    def page(self, reached: int = 0) -> FoundDecisions:
        """Return the page, newest first. `reached`: below this id, not all decisions are known."""
        items = [each for each in self._kept if each.id.int >= reached]
        if len(items) > self._limit:
            return FoundDecisions(items[: self._limit], items[self._limit - 1].id)
        return FoundDecisions(items, UUID(int=reached) if reached else None)


def day_of(at: datetime) -> int:
    """Return the day (UTC) of an instant, counted from 1970."""
    return hour_of(microseconds_of(at)) // 24


# Permits that rested on a consent to one version of a processing, or on one text. A decision names the user's own
# consent. The other people on whose consents it rested are sealed in it, so a permit that rested on such a consent of
# another party is not found here.

# Of a joint consent in two acts the log names the second; the text may have been shown for the first.
_RESTS: Final = text("""
SELECT granted.id FROM consent_event AS granted
WHERE granted.id = ANY(CAST(:ids AS uuid[])) AND granted.processing = :processing AND granted.kind = 'granted' AND (
    granted.version = CAST(:version AS int)
    OR lower(granted.evidence ->> 'presented_text_sha256') = CAST(:text AS text)
    OR EXISTS (
        SELECT FROM consent_event AS first
        WHERE first.subject_ref = granted.subject_ref AND first.processing = granted.processing
            AND first.kind = 'granted' AND first.version = granted.version
            AND first.collected_at BETWEEN granted.collected_at - interval '30 days' AND granted.collected_at
            AND coalesce(first.capacity ->> 'given_by', 'self') <> coalesce(granted.capacity ->> 'given_by', 'self')
            AND lower(first.evidence ->> 'presented_text_sha256') = CAST(:text AS text)))
""")


@dataclass(frozen=True, slots=True)
class Resting:
    """A version of a processing, or a text, on which permits may rest."""

    processing: str
    struck: Struck

    async def among(
        self, session: ReadSession, head: Head, places: Sequence[BlockPlace], content: bytes
    ) -> frozenset[UUID]:
        """Return the consents to it that permits in some blocks name."""
        cases = _gently(_readable(head, facts_in(head.directory, _gently(places, 1), content)))
        named = await _decoded(
            lambda: {
                facts.consent
                for facts, _ in cases
                if facts.shape.permitted and facts.shape.processing == self.processing and facts.consent is not None
            }
        )
        if not named:
            return frozenset()
        values = {
            "ids": list(named),
            "processing": self.processing,
            "version": self.struck.version,
            "text": self.struck.text,
        }
        return frozenset((await session.execute(_RESTS, values)).scalars())


@dataclass(frozen=True, slots=True)
class RelyingCount:
    """How many logged permits rested on it, and when the first did; `sealed`: how many others may have.

    The sealed ones looked at consents of other people, whom the log names only under seal.
    """

    number: int = 0
    first_at: datetime | None = None
    sealed: int = 0

    def __add__(self, other: "RelyingCount") -> "RelyingCount":
        """Return the sum of the counts of two stretches of the log."""
        firsts = [each.first_at for each in (self, other) if each.first_at is not None]
        return RelyingCount(self.number + other.number, min(firsts, default=None), self.sealed + other.sealed)


async def count_relying(session: ReadSession, resting: Resting, since: datetime, until: datetime) -> RelyingCount:
    """Count the permits of whole hours that rest on it."""
    total = RelyingCount()
    wanted = Wanted(since, until, processings={resting.processing}, permitted=True)
    async for head, places, content in blocks(session, heads(session, wanted), wanted):
        if not places:
            continue
        consents = await resting.among(session, head, places, content)
        total += await _decoded(partial(_relying_in, head, places, content, replace(wanted, consents=consents)))
    return total


def _relying_in(head: Head, places: Sequence[BlockPlace], content: bytes, wanted: Wanted) -> RelyingCount:
    relying = _gently(_readable(head, decisions_in(head.directory, _gently(places, 1), content, wanted)))
    times = [each.at for each in relying] if wanted.consents else []
    others = replace(wanted, consents=None)
    sealed = sum(
        number
        for facts, number in _gently(_readable(head, facts_in(head.directory, _gently(places, 1), content)))
        if others.has(facts) and facts.relied is not None and facts.consent not in (wanted.consents or ())
    )
    return RelyingCount(len(times), min(times, default=None), sealed)


async def first_logged(session: ReadSession, since: datetime) -> datetime | None:
    """Return when the first decision since an instant that the log has may have been taken; None when there is none."""
    table = decision_segment.c
    first = select(func.min(table.from_at)).where(table.to_at >= since, table.day >= since.astimezone(UTC).date())
    return (await session.execute(first)).scalar_one_or_none()


@dataclass(frozen=True, slots=True)
class Period:
    """The part of a period in which anything may have been logged."""

    since: datetime
    until: datetime

    @classmethod
    async def of(cls, session: ReadSession, since: datetime, until: datetime) -> "Period":
        """Return the part of a period from the first decision that the log has, up to now."""
        first = await first_logged(session, since)
        return cls(max(since, first or since), min(until, await session.now()))

    def share_after(self, at: datetime) -> float:
        """Return the share already read when reading newest first has come to an instant (1.0 for an empty period)."""
        length = (self.until - self.since).total_seconds()
        return (self.until - at).total_seconds() / length if length > 0 else 1.0


# --- numbers: from the counts of segments, and of the days that the log dropped -----------------------------------


@dataclass(frozen=True, slots=True)
class AnswerCount:
    """How often one answer was given about a processing, for one reason; `processing` "" means an unknown one."""

    processing: str
    permitted: bool
    reason: str
    number: int


@dataclass(frozen=True, slots=True)
class DecisionCount(AnswerCount):
    """The same, for the logged decisions of a day (Paris)."""

    day: str


# No segment spans two hours, so none spans two days in Paris.
_BY_DAY: Final = text("""
SELECT to_char(day AT TIME ZONE 'Europe/Paris', 'YYYY-MM-DD') AS day, processing, permitted, reason,
    CAST(sum(number) AS bigint) AS number
FROM (
    SELECT day, processing, permitted, reason, number FROM decision_count WHERE day >= :since AND day < :until
    UNION ALL
    SELECT from_at, counted ->> 0, CAST(counted ->> 1 AS boolean), counted ->> 2, CAST(counted ->> 3 AS bigint)
    FROM decision_segment AS log, jsonb_array_elements(counts) AS counted
    WHERE log.day BETWEEN CAST(CAST(:since AS timestamptz) AT TIME ZONE 'UTC' AS date)
        AND CAST(CAST(:until AS timestamptz) AT TIME ZONE 'UTC' AS date) AND from_at >= :since AND from_at < :until
) AS counted GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
""")


async def count_by_day(session: ReadSession, since: datetime, until: datetime) -> list[DecisionCount]:
    """Count the decisions between two midnights (Paris), by day and answer, including days that the log dropped."""
    rows = await session.execute(_BY_DAY, {"since": since, "until": until})
    return [DecisionCount(row.processing, row.permitted, row.reason, row.number, row.day) for row in rows]


async def answers_between(session: ReadSession, since: datetime, until: datetime) -> list[AnswerCount]:
    """Count the decisions of all these days together, by processing and answer."""
    total: Counter[tuple[str, bool, str]] = Counter()
    for count in await count_by_day(session, since, until):
        total[count.processing, count.permitted, count.reason] += count.number
    return [AnswerCount(*answer, number) for answer, number in sorted(total.items())]


def midnight(at: datetime) -> datetime:
    """Return the midnight (Paris) that began the day of an instant."""
    return at.astimezone(PARIS).replace(hour=0, minute=0, second=0, microsecond=0)


@dataclass(frozen=True, slots=True)
class DecisionsOfADay:
    """How often one answer was given about a person on a day (UTC)."""

    day: date
    processing: str
    permitted: bool
    reason: str
    number: int


_ITEMS: Final = 1_000


async def decisions_about(
    held_still: Callable[[], AbstractAsyncContextManager[ReadSession]], ref: bytes
) -> list[DecisionsOfADay]:
    """Count the decisions about a person that are in the log when this begins, by day (UTC), processing and answer.

    The log is read as a client reads it, page after page, so that nothing grows with its length but how long this
    takes. A merge between two pages moves no decision from one to the other, since ids part them. A day that is dropped
    meanwhile is left out, or a part of it.

    Args:
        held_still: opens a session that holds the log still, for one page.
        ref: the person's subject_ref.

    Raises:
        DatabaseUnavailableError: a session could not be opened, or broke.

    """
    counted: Counter[tuple[date, str, bool, str]] = Counter()
    wanted, before, has_more = Wanted(ref=ref[:REF_BYTES]), None, ref[:REF_BYTES] != NOBODY
    while has_more:
        async with held_still() as session:
            page = await search(session, wanted, before=before, limit=_ITEMS)
        for decision in page.items:
            shape = decision.facts.shape
            counted[decision.at.date(), shape.processing, shape.permitted, shape.reason] += 1
        before, has_more = page.before, page.before is not None
    return [DecisionsOfADay(*by, number) for by, number in sorted(counted.items())]
