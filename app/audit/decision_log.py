"""Write the decision log without holding up decisions: a bounded queue, made into segments by a thread of its own.

What is queued is what the request has at hand; the thread makes the references of person and correspondence and one
segment (`app.audit.segments`) of what came in a fifth of a second, and commits it by one INSERT. It works in short
stretches, so that the event loop never waits long for the interpreter's lock.
When the queue is full, entries are dropped and counted: a decision never waits for its log, unless the deployment asks
for a durable one, where a permit under IV is answered only after its segment is committed.
"""

import asyncio
import hashlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final
from uuid import UUID

import psycopg
import structlog
from psycopg.types.json import Jsonb

from app.audit.segments import MICROSECONDS, NOBODY, REF_BYTES, Collector, LogFacts, Segment, hour_of
from app.core.article import Article
from app.core.decision import Decision, Reason
from app.db.connections import connection_settings
from app.db.database import DatabaseUnavailableError
from app.db.identifiers import random_id

_DIGITS: Final = 16


@cache
def rules_digest() -> str:
    """Sixteen hexadecimal digits of the SHA-256 of every module of the rules (`app.core`), by name."""
    hashed = hashlib.sha256()
    for name, module in sorted(_modules(files("app.core"), "")):
        hashed.update(name.encode() + b"\0" + hashlib.sha256(module.read_bytes()).digest())
    return hashed.hexdigest()[:_DIGITS]


def _modules(place: Traversable, within: str) -> list[tuple[str, Traversable]]:
    found: list[tuple[str, Traversable]] = []
    for each in place.iterdir():
        if each.is_dir():
            found += _modules(each, f"{within}{each.name}/")
        elif each.name.endswith(".py"):
            found.append((within + each.name, each))
    return found


NO_ID: Final = "(no id)"
"""What stands in the log for a processing that no register could hold."""
DAY_SECONDS: Final = 86_400
Opaque = Callable[[str, str], bytes]
"""A keyed hash (32 bytes) of a value, apart for each purpose."""


def correspondence_ref(opaque: Opaque, ref: bytes, day: int, kind: str, identifier: str) -> bytes:
    """The reference (16 bytes) under which a correspondence stands in one person's rows of one day, and in no others.

    Two people who were asked about for one message cannot be found by it, nor can anybody without a name to begin with.

    Args:
        opaque: makes keyed hashes.
        ref: the person's subject_ref (32 bytes).
        day: of the decision (UTC), in days since 1970.
        kind: the correspondence's type.
        identifier: its id.

    """
    return opaque("correspondence", f"{ref.hex()}\n{day}\n{kind}\n{identifier}")[:REF_BYTES]


Entry = tuple[float, bytes, int, bytes | None, tuple[str, str], LogFacts]
"""One decision as it is queued: when (epoch time in seconds, by the database's clock), its id (version 7) as text, the
caller's id as a number, the subject_ref (None: nothing is recorded of the person, or nothing was looked up), the
correspondence by type and id, and the facts. Of its parts, only the last is an object that others hold too."""

_INSERT: Final = """
INSERT INTO decision_segment (id, day, from_at, to_at, rows, counts, directory, data, sha256)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
_DROPPED: Final = "INSERT INTO decision_drop (id, at, number) VALUES (%s, clock_timestamp(), %s)"
_AT_ONCE: Final = 2_000
_STRETCH: Final = 128
"""Entries that the thread works on before it lets the event loop run."""
_PAUSE_SECONDS: Final = 0.0002
_RETRY_SECONDS: Final = 1.0
log = structlog.get_logger("sceau.decision_log")


@dataclass(slots=True)
class LogCounts:
    """What became of entries: dropped ones found the queue full, were refused, or were not written before the end."""

    written: int = 0
    dropped: int = 0
    failed_flushes: int = 0


@dataclass(frozen=True, slots=True)
class LogPlan:
    """How the log is kept: where, how many entries may wait, and how long a flush gathers them (seconds).

    `opaque` makes keyed hashes (`Pseudonyms.opaque`). `patience`: how long (seconds) a decision waits for the commit of
    its segment. What was judged is answered by then or not at all: no longer than the lease.
    """

    url: str
    opaque: Opaque
    capacity: int = 50_000
    gather: float = 0.2
    patience: float = 2.0


@dataclass(slots=True)
class _Flush:
    """A segment on its way, and who waits for it.

    `dropped`: how many entries had been dropped when it was sent first, which is committed with it.
    """

    segment: Segment
    dropped: int
    waiting: list[asyncio.Future[None]] = field(default_factory=list)


class _Hours:
    """Entries by hour (UTC), as they become segments. The references are made here."""

    def __init__(self, opaque: Opaque) -> None:
        self._opaque = opaque
        self._collectors: dict[int, tuple[Collector, list[asyncio.Future[None]]]] = {}
        # By the identity of the facts, which are held with it: most entries of one batch share them.
        self._cases: dict[tuple[int, int, int], tuple[LogFacts, int]] = {}

    def add(self, entry: Entry) -> list[asyncio.Future[None]]:
        """Take in one; the list of who waits for its hour's segment."""
        seconds, text, caller, subject_ref, correspondence, facts = entry
        identifier = bytes.fromhex(text.replace(b"-", b"").decode())
        begun = int.from_bytes(identifier[:6]) * 1_000
        at = begun + min(max(int(seconds * MICROSECONDS) - begun, 0), 999)
        hour = hour_of(at)
        collector, waiting = self._collectors.get(hour) or self._collectors.setdefault(hour, (Collector(), []))
        case = self._cases.get((hour, caller, id(facts)))
        if case is None:
            case = (facts, collector.case(caller.to_bytes(16), facts))
            self._cases[hour, caller, id(facts)] = case
        if subject_ref is None:
            collector.add(at, identifier, NOBODY, NOBODY, case[1])
        else:
            about = correspondence_ref(self._opaque, subject_ref, int(seconds // DAY_SECONDS), *correspondence)
            collector.add(at, identifier, subject_ref[:REF_BYTES], about, case[1])
        return waiting

    def flushes(self, dropped: int) -> list[_Flush]:
        """A segment for each hour, with who waits for it."""
        hours = self._collectors.values()
        return [_Flush(each.sealed(random_id()), dropped, waiting) for each, waiting in hours]


class DecisionLog:
    """The queue and the thread that empties it."""

    def __init__(self, plan: LogPlan) -> None:
        """Prepare."""
        self.counts = LogCounts()
        self._plan = plan
        self._entries: deque[Entry] = deque()
        self._awaited: deque[tuple[Sequence[Entry], asyncio.Future[None]]] = deque()
        self._flushes: deque[_Flush] = deque()
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="decision log", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._told = 0  # of the entries that were dropped, how many the database knows of

    def __len__(self) -> int:
        """How many entries wait."""
        return (
            len(self._entries)
            + sum(len(entries) for entries, _ in self._awaited.copy())
            + sum(flush.segment.rows for flush in self._flushes.copy())
        )

    def start(self) -> None:
        """Begin to write; call it in the event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def stop(self, seconds: float) -> None:
        """Write what waits, for so long at most; what is left then is counted as dropped."""
        self._ending.set()
        self._wake.set()
        await asyncio.to_thread(self._thread.join, seconds)
        self.counts.dropped += len(self)

    def append(self, entry: Entry) -> None:
        """Queue a decision; drop it when too many wait."""
        if len(self._entries) >= self._plan.capacity:
            self.counts.dropped += 1
            return
        self._entries.append(entry)

    async def commit(self, entries: Sequence[Entry]) -> None:
        """Queue the decisions of one request and return when they are committed, together with whatever else waits.

        Raises:
            DatabaseUnavailableError: they cannot be, or not in time; they must then not be answered.

        """
        if self._loop is None or len(self._awaited) >= self._plan.capacity:
            raise DatabaseUnavailableError
        committed = self._loop.create_future()
        self._awaited.append((entries, committed))
        self._wake.set()
        try:
            async with asyncio.timeout(self._plan.patience):
                await committed
        except TimeoutError as error:
            raise DatabaseUnavailableError from error

    def _run(self) -> None:
        """The thread: one connection, one segment and commit after the other, until the end."""
        while not (self._ending.is_set() and not len(self)):
            try:
                settings = connection_settings(self._plan.url, statement_seconds=10)
                with psycopg.connect(**settings, autocommit=True) as connection:
                    self._empty(connection)
            except (psycopg.Error, OSError) as error:
                self.counts.failed_flushes += 1
                log.warning("flush failed", cause=type(error).__name__, waiting=len(self))
                self._give_up()
                if self._ending.wait(_RETRY_SECONDS):
                    return

    def _empty(self, connection: psycopg.Connection[Any]) -> None:
        """Write until the end. A segment stays the first of `_flushes` until it is committed or refused."""
        while True:
            if not self._flushes:
                self._gather()
            if not self._flushes:
                if self._ending.is_set():
                    return
                continue
            flush = self._flushes[0]
            try:
                self._write(connection, flush)
            except (psycopg.IntegrityError, psycopg.DataError) as refusal:
                # It would be refused for ever, and everything after it would wait: a day that has no partition.
                self._flushes.popleft()
                self.counts.dropped += flush.segment.rows
                log.error("flush refused", cause=type(refusal).__name__, dropped=flush.segment.rows)  # noqa: TRY400 - no id
                self._tell(flush.waiting, DatabaseUnavailableError())
                continue
            self._flushes.popleft()
            self.counts.written += flush.segment.rows
            self._told = max(self._told, flush.dropped)
            self._tell(flush.waiting, None)

    def _write(self, connection: psycopg.Connection[Any], flush: _Flush) -> None:
        """Commit a segment, unless an earlier try did before its connection broke; and how many were dropped since."""
        made = flush.segment
        with connection.transaction():
            values = (made.id, made.day, made.from_at, made.to_at, made.rows, Jsonb(made.counts))
            is_new = connection.execute(_INSERT, (*values, made.directory, made.data, made.sha256)).rowcount
            if is_new and flush.dropped > self._told:
                connection.execute(_DROPPED, [random_id(), flush.dropped - self._told])

    def _gather(self) -> None:
        """Wait for a while, unless somebody waits or there is enough; then make segments of what there is."""
        if not self._awaited and len(self._entries) < _AT_ONCE and not self._ending.is_set():
            self._wake.wait(self._plan.gather)
        self._wake.clear()
        # What somebody waits for makes segments of its own: they go when it is answered that it cannot be committed.
        number, awaited = 0, _Hours(self._plan.opaque)
        while self._awaited and number < _AT_ONCE:
            entries, future = self._awaited.popleft()
            # Those of one request were taken at one instant: one segment has them all.
            waiting = [awaited.add(entry) for entry in entries]
            waiting[-1].append(future)
            number += len(entries)
        buffered = _Hours(self._plan.opaque)
        while self._entries and number < _AT_ONCE:
            buffered.add(self._entries.popleft())
            number += 1
            if not number % _STRETCH:
                time.sleep(_PAUSE_SECONDS)
        self._flushes.extend((*awaited.flushes(self.counts.dropped), *buffered.flushes(self.counts.dropped)))

    def _give_up(self) -> None:
        """Fail what somebody waits for, which is not answered then; keep the rest for the next try."""
        failed = [future for flush in self._flushes for future in flush.waiting]
        for flush in [each for each in self._flushes if each.waiting]:
            self._flushes.remove(flush)
        while self._awaited:
            failed.append(self._awaited.popleft()[1])
        self._tell(failed, DatabaseUnavailableError())

    def _tell(self, futures: Sequence[asyncio.Future[None]], error: DatabaseUnavailableError | None) -> None:
        if futures and self._loop is not None:
            self._loop.call_soon_threadsafe(_settle, list(futures), error)


def _settle(futures: Sequence[asyncio.Future[None]], error: DatabaseUnavailableError | None) -> None:
    for future in futures:
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)


_WITHOUT_CONSENT = frozenset({Reason.EXEMPT, Reason.NOT_GOVERNED})
_RESTS_ON_LAW = frozenset({Article.IV, Article.NOTA})


@dataclass(slots=True)
class Recorder:
    """Chooses what to log. `exempt_share` is the share (0 to 1) of permits under III that are logged.

    `durable`: a permit under IV may be answered only when it is committed.

    Somebody of whom nothing is recorded, and everybody under III, whom nothing is looked up about, is logged without a
    reference: nothing links these decisions to a person, or to one another.
    """

    log: DecisionLog
    durable: bool
    exempt_share: float
    _owed: float = 0.0

    def wants(self, decision: Decision) -> bool:
        """Whether this decision is logged: evenly spaced ones of the exempt permits, all others."""
        if decision.reason not in _WITHOUT_CONSENT:
            return True
        self._owed += self.exempt_share
        if self._owed < 1:
            return False
        self._owed -= 1
        return True

    def must_wait(self, decision: Decision) -> bool:
        """Whether this decision may be answered only once it is logged."""
        return self.durable and decision.permitted and decision.article in _RESTS_ON_LAW

    def record(  # noqa: PLR0917 - the parts of one entry
        self,
        at: float,
        identifier: bytes,
        caller: UUID,
        subject_ref: bytes | None,
        correspondence: tuple[str, str],
        decision: Decision,
        facts: LogFacts,
    ) -> Entry | None:
        """Log one decision; or return its entry, if that must be committed (`log.commit`) before it is answered."""
        if not self.wants(decision):
            return None
        entry = (at, identifier, caller.int, subject_ref, correspondence, facts)
        if self.must_wait(decision):
            return entry
        self.log.append(entry)
        return None
