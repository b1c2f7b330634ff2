"""Write the decision log without delaying decisions: a task gathers, seals and commits what was decided.

An entry is queued as the request has it; some dozens at a time get their references of person and correspondence, and a
fifth of a second of entries becomes one segment (`app.audit.segments`), committed by one INSERT. When too many wait, as
while the database is away, they are dropped from the log and counted: a decision never waits for its log, unless the
deployment wants a durable log, where a permit under IV or the NOTA waits for the commit of its segment.
"""

import asyncio
import hashlib
import itertools
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final
from uuid import UUID

import psycopg
import structlog

from app.audit.segments import MICROSECONDS, NOBODY, REF_BYTES, Collector, LogFacts, Segment, hour_of
from app.core.decision import Reason
from app.db.connections import HeardConnection, connect
from app.db.database import DatabaseUnavailableError, within
from app.db.session import random_id

_DIGITS: Final = 16


@cache
def rules_digest() -> str:
    """Return sixteen hexadecimal digits of the SHA-256 of every module of the rules (`app.core`), by name."""
    hashed, rules = hashlib.sha256(), Path(__file__).parents[1] / "core"
    for name in sorted(module.relative_to(rules).as_posix() for module in rules.rglob("*.py")):
        hashed.update(name.encode() + b"\0" + hashlib.sha256((rules / name).read_bytes()).digest())
    return hashed.hexdigest()[:_DIGITS]


NO_ID: Final = "(no id)"
"""The name in the log for a processing id that no register could hold."""
DAY_SECONDS: Final = 86_400
Opaque = Callable[[str, str], bytes]
"""Returns a keyed hash (32 bytes) of a value, different for each purpose."""


def correspondence_ref(opaque: Opaque, ref: bytes, day: int, kind: str, identifier: str) -> bytes:
    """Return the reference (16 bytes) of a correspondence, valid only in one person's rows of one day.

    It does not link two people who were asked about for one message, nor can anyone use it without a name to begin
    with.

    Args:
        opaque: makes keyed hashes.
        ref: the person's subject_ref (32 bytes).
        day: the day of the decision (UTC), in days since 1970.
        kind: the correspondence's type.
        identifier: the correspondence's id.

    """
    return opaque("correspondence", f"{ref.hex()}\n{day}\n{kind}\n{identifier}")[:REF_BYTES]


Entry = tuple[float, bytes, int, bytes | None, tuple[str, str], LogFacts]
"""One decision as it is queued.

In order: when it was taken (epoch time in seconds, by the database's clock); its id (version 7) as text; the caller's
id as a number; the subject_ref (None: nothing is recorded of the person, or nothing was looked up); the correspondence
by type and id; and the facts.
"""

# A worker numbers its flushes, and the database accepts each number of a worker once. So a COMMIT without an answer can
# be sent again, to any server, and even if the segment has been merged since.
_INSERT: Final = """
WITH is_new AS (
    INSERT INTO decision_writer AS writer (id, flushed, at) VALUES (%(writer)s, %(number)s, clock_timestamp())
    ON CONFLICT (id) DO UPDATE SET flushed = excluded.flushed, at = excluded.at WHERE writer.flushed < excluded.flushed
    RETURNING flushed
)
INSERT INTO decision_segment (id, day, from_at, to_at, rows, counts, directory, data, sha256)
SELECT %(id)s, %(day)s, %(from_at)s, %(to_at)s, %(rows)s, CAST(%(counts)s AS jsonb), %(directory)s, %(data)s, %(sha256)s
FROM is_new
"""
_DROPPED: Final = """
INSERT INTO decision_drop (id, at, number) VALUES (%s, clock_timestamp(), %s) ON CONFLICT (id) DO NOTHING
"""
_MAKE_DAY: Final = "SELECT sceau_make_log_partition(%s)"
_AT_ONCE: Final = 2_000
_STRETCH: Final = 64
"""How many entries get their references at once: a few at a time delay no answer, and one at a time costs more."""
_BLOCK_ROWS: Final = 256
"""How many entries are sealed between two turns of the event loop: half a millisecond's work."""
_UNTOLD: Final = "dropped-"
"""How a file's name begins that says how many entries were dropped, and under which id; a name is written whole."""
_RETRY_SECONDS: Final = 1.0
_LAST_SECONDS: Final = 0.1
"""Seconds between tries while the process ends."""
log = structlog.get_logger("sceau.decision_log")


@dataclass(slots=True)
class LogCounts:
    """Counts of entries. Dropped is what was answered and is not logged.

    It found the queue full, was refused, or was not written before the end. What waited for its commit in vain was not
    answered.
    """

    written: int = 0
    dropped: int = 0
    failed_flushes: int = 0


@dataclass(frozen=True, slots=True)
class LogPlan:
    """How the log is kept: where, how many entries may wait, and how long a flush gathers them (seconds).

    `opaque` makes keyed hashes (`Pseudonyms.opaque`). `patience` is how long (seconds) a decision waits for the commit
    of its segment: it is no longer than the lease, because a decision is answered by then or not at all. `directory` is
    where a process leaves the number of dropped entries that it could not tell the database; later ones tell it.
    """

    url: str
    opaque: Opaque
    capacity: int = 50_000
    gather: float = 0.2
    patience: float = 2.0
    directory: Path | None = None


@dataclass(slots=True)
class _Flush:
    """A segment to be committed, and the futures of the requests that wait for it.

    `number`: its number among this worker's flushes, which are sent in that order.
    """

    segment: Segment
    waiting: list[asyncio.Future[None]]
    number: int = 0

    @property
    def answered(self) -> int:
        """How many of its decisions have been answered: all, or none where requests wait for it."""
        return 0 if self.waiting else self.segment.rows


class _Hours:
    """Entries by hour (UTC), as they become segments. The references are made here."""

    def __init__(self, opaque: Opaque) -> None:
        self.number = 0
        self._opaque = opaque
        self._collectors: dict[int, tuple[Collector, list[asyncio.Future[None]]]] = {}

    def add(self, entry: Entry) -> list[asyncio.Future[None]]:
        """Add an entry; return the list of futures that wait for its hour's segment."""
        self.number += 1
        seconds, text, caller, subject_ref, correspondence, facts = entry
        identifier = bytes.fromhex(text.replace(b"-", b"").decode())
        begun = int.from_bytes(identifier[:6]) * 1_000
        at = begun + min(max(int(seconds * MICROSECONDS) - begun, 0), 999)
        hour = hour_of(at)
        collecting = self._collectors.get(hour)
        if collecting is None:
            collecting = self._collectors[hour] = (Collector(), [])
        collector, waiting = collecting
        case = collector.case(caller, facts)
        if subject_ref is None:
            collector.add(at, identifier, NOBODY, NOBODY, case)
        else:
            about = correspondence_ref(self._opaque, subject_ref, int(seconds // DAY_SECONDS), *correspondence)
            collector.add(at, identifier, subject_ref[:REF_BYTES], about, case)
        return waiting

    @property
    def waiting(self) -> list[asyncio.Future[None]]:
        """The futures that wait for any of the segments."""
        return [future for _, waiting in self._collectors.values() for future in waiting]

    async def flushes(self) -> list[_Flush]:
        """Return a segment for each hour, with the futures that wait for it.

        It is made a block at a time, between which decisions are answered. A thread would take longer in all, and hold
        decisions up for longer, as it hands the interpreter back only every few milliseconds.
        """
        made = []
        for collector, waiting in self._collectors.values():
            for segment in collector.sealing(random_id(), _BLOCK_ROWS):
                if segment is not None:
                    made.append(_Flush(segment, waiting))
                await asyncio.sleep(0)
        return made


class DecisionLog:
    """The entries that wait to be logged, and the task that logs them."""

    def __init__(self, plan: LogPlan) -> None:
        """Prepare."""
        self.counts = LogCounts()
        self._plan = plan
        self._entries: list[Entry] = []  # those that have no references yet
        self._buffered, self._awaited = _Hours(plan.opaque), _Hours(plan.opaque)
        self._sealing = 0  # the number of answered entries that are being made into segments just now
        self._flushes: deque[_Flush] = deque()
        self._writer: UUID | None = None
        self._numbers = itertools.count(1)
        self._wake, self._ending = asyncio.Event(), asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        # How many entries were dropped that the database may not know of, by the id under which it is told of them; and
        # how many of this process's have such an id, or had one.
        self._untold: dict[UUID, int] = {}
        self._named = 0

    def __len__(self) -> int:
        """Return how many entries wait."""
        waiting = len(self._entries) + self._buffered.number + self._awaited.number + self._sealing
        return waiting + sum(flush.segment.rows for flush in self._flushes)

    def start(self) -> None:
        """Begin to write; call it in the event loop."""
        self._writer = random_id()  # not before: processes that are forked from this one are other writers
        self._untold = _left_behind(self._plan.directory)
        self._task = asyncio.create_task(self._run())

    async def stop(self, seconds: float) -> None:
        """Write what waits, within `seconds`; what is left then is counted as dropped."""
        self._ending.set()
        self._wake.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=seconds)
            self._task.cancel()
            await asyncio.wait([self._task])
        self.counts.dropped += len(self._entries) + self._buffered.number + self._sealing
        self.counts.dropped += sum(flush.answered for flush in self._flushes)
        if untold := self._to_tell():
            log.error("dropped until the end", dropped=sum(untold.values()))
            for note in self._notes(untold):
                with suppress(OSError):
                    note.touch()

    def append(self, entry: Entry) -> None:
        """Have a decision logged; drop it when too many wait."""
        entries = self._entries
        entries.append(entry)
        if len(entries) >= _STRETCH:
            self._refer()

    def _refer(self) -> None:
        """Give the waiting entries their references, as far as there is room; drop the others."""
        sealed = sum(flush.segment.rows for flush in self._flushes)
        room = max(0, self._plan.capacity - self._buffered.number - sealed)
        self.counts.dropped += len(self._entries[room:])
        for entry in self._entries[:room]:
            self._buffered.add(entry)
        self._entries.clear()
        if self._buffered.number >= _AT_ONCE:
            self._wake.set()

    async def commit(self, entries: Sequence[Entry]) -> None:
        """Log the decisions of one request, and return when they are committed, with all others that wait for a commit.

        Raises:
            DatabaseUnavailableError: they cannot be committed, or not in time; they must then not be answered.

        """
        if self._task is None or self._awaited.number >= self._plan.capacity:
            raise DatabaseUnavailableError
        # The decisions of one request were taken at one instant, so one segment has them all.
        waiting = [self._awaited.add(entry) for entry in entries]
        committed = asyncio.get_running_loop().create_future()
        waiting[-1].append(committed)
        self._wake.set()
        async with within(self._plan.patience):
            await committed

    async def _run(self) -> None:
        """Commit one segment after another on one connection until the end; `stop` limits how long that may take."""
        while not (self._ending.is_set() and not len(self)):
            try:
                async with await connect(self._plan.url, statement_seconds=10) as connection:
                    await self._empty(connection)
            except (psycopg.Error, OSError) as error:
                log.warning("flush failed", cause=type(error).__name__, waiting=len(self))
            except Exception as error:  # noqa: BLE001 - whatever it is, what is decided later is logged
                log.error("flush failed", cause=type(error).__name__)  # noqa: TRY400 - no id
                self.counts.dropped += self._sealing
                self._sealing = 0
                if self._flushes and not self._flushes[0].waiting:
                    self.counts.dropped += self._flushes.popleft().segment.rows
            else:
                continue
            self.counts.failed_flushes += 1
            self._give_up()
            if not self._ending.is_set():
                await _happens(self._ending, _RETRY_SECONDS)
            else:
                await asyncio.sleep(_LAST_SECONDS)

    async def _empty(self, connection: HeardConnection) -> None:
        """Write until the end. A segment stays the first of `_flushes` until it is committed or refused."""
        while True:
            if not self._flushes:
                await self._gather()
            if not self._flushes:
                if self._ending.is_set():
                    return
                continue
            flush = self._flushes[0]
            try:
                try:
                    is_safe = await self._write(connection, flush)
                except psycopg.errors.CheckViolation:  # its day has no partition, as after a jump of the clock
                    await connection.execute(_MAKE_DAY, [flush.segment.day])
                    is_safe = await self._write(connection, flush)
            except (psycopg.IntegrityError, psycopg.DataError, psycopg.errors.RaiseException) as refusal:
                # It would be refused for ever and block everything after it, for example where its day is far away.
                self._flushes.popleft()
                self.counts.dropped += flush.answered
                log.error("flush refused", cause=type(refusal).__name__, dropped=flush.answered)  # noqa: TRY400 - no id
                _settle(flush.waiting, DatabaseUnavailableError())
                continue
            self._flushes.popleft()
            self.counts.written += flush.segment.rows
            _settle(flush.waiting, None if is_safe else DatabaseUnavailableError())

    async def _write(self, connection: HeardConnection, flush: _Flush) -> bool:
        """Commit a segment and how many entries were dropped, unless an earlier try did.

        Returns:
            False where the server warned that its standby may not have it.

        """
        connection.warned, untold = False, self._to_tell()
        async with connection.transaction():
            await connection.execute(_INSERT, {**flush.segment.columns, "writer": self._writer, "number": flush.number})
            for dropped in untold.items():
                await connection.execute(_DROPPED, dropped)
        for note in self._notes(untold):
            with suppress(OSError):
                note.unlink(missing_ok=True)
        for identifier in untold:
            del self._untold[identifier]
        return not connection.warned

    def _to_tell(self) -> Mapping[UUID, int]:
        """Return what to tell the database of dropped entries. An id that it knows already changes nothing there."""
        if new := self.counts.dropped - self._named:
            self._untold[random_id()] = new
            self._named += new
        return dict(self._untold)

    def _notes(self, untold: Mapping[UUID, int]) -> Iterator[Path]:
        """Yield the files that tell later processes of dropped entries."""
        if self._plan.directory is not None:
            for identifier, number in untold.items():
                yield self._plan.directory / f"{_UNTOLD}{number}-{identifier}"

    async def _gather(self) -> None:
        """Wait for a while, unless a request waits or there is enough; then make segments of what there is."""
        if not self._awaited.number and not self._ending.is_set():
            await _happens(self._wake, self._plan.gather)
        self._wake.clear()
        self._refer()
        # What requests wait for makes separate segments, which are discarded if the requests are answered with a
        # failure.
        awaited, self._awaited = self._awaited, _Hours(self._plan.opaque)
        buffered, self._buffered = self._buffered, _Hours(self._plan.opaque)
        self._sealing = buffered.number
        for hours in (awaited, buffered):
            for flush in await hours.flushes():
                flush.number = next(self._numbers)
                self._flushes.append(flush)
        self._sealing = 0

    def _give_up(self) -> None:
        """Fail the requests that wait, which are then not answered; keep the rest for the next try."""
        failed = [future for flush in self._flushes for future in flush.waiting]
        self._flushes = deque(flush for flush in self._flushes if not flush.waiting)
        failed += self._awaited.waiting
        self._awaited = _Hours(self._plan.opaque)
        _settle(failed, DatabaseUnavailableError())


def _left_behind(directory: Path | None) -> dict[UUID, int]:
    """Return how many entries earlier processes dropped and may not have told the database of, by the id of each."""
    untold = {}
    for path in directory.glob(f"{_UNTOLD}*") if directory is not None else ():
        with suppress(ValueError):  # it is none of these files
            _, number, identifier = path.name.split("-", 2)
            untold[UUID(identifier)] = int(number)
    return untold


async def _happens(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, within a time."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _settle(futures: Sequence[asyncio.Future[None]], error: DatabaseUnavailableError | None) -> None:
    for future in futures:
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)


_WITHOUT_CONSENT: Final = frozenset({Reason.EXEMPT.value, Reason.NOT_GOVERNED.value})


@dataclass(slots=True)
class Recorder:
    """Chooses what to log. `exempt_share` is the share (0 to 1) of permits under III that are logged.

    `durable`: a permit under IV or the NOTA may be answered only once it is committed.

    A person of whom nothing is recorded, and everyone under III, for whom nothing is looked up, is logged without a
    reference: nothing links these decisions to a person, or to one another.
    """

    log: DecisionLog
    durable: bool
    exempt_share: float
    _owed: float = 0.0

    def must_wait(self, facts: LogFacts) -> bool:
        """Return whether a decision may be answered only once it is logged: a permit that rests on IV or the NOTA."""
        return self.durable and facts.shape.permitted and facts.shape.reason not in _WITHOUT_CONSENT

    def entry(  # noqa: PLR0917 - the parts of one entry
        self,
        at: float,
        identifier: bytes,
        caller: UUID,
        subject_ref: bytes | None,
        correspondence: tuple[str, str],
        facts: LogFacts,
    ) -> Entry | None:
        """Return the entry of one decision; None if it is not logged: of exempt permits, an evenly spaced share is."""
        if facts.shape.reason in _WITHOUT_CONSENT:
            self._owed += self.exempt_share
            if self._owed < 1:
                return None
            self._owed -= 1
        return at, identifier, caller.int, subject_ref, correspondence, facts
