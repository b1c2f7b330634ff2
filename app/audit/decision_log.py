"""Write the decision log without holding up decisions: a bounded queue, flushed by COPY in a thread of its own.

What is queued is the row as COPY takes it (`app.audit.rows`): the thread only joins and sends, so that it holds the
interpreter's lock for microseconds and the event loop never waits for it.
When the queue is full, entries are dropped and counted: a decision never waits for its log, unless the deployment asks
for a durable one, where a permit under IV is answered only after its row is committed.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg
import structlog

from app.audit.rows import COLUMNS, HEADER, TRAILER
from app.db.connections import connection_settings
from app.db.database import DatabaseUnavailableError
from app.db.identifiers import random_id

_COPY: Final = f"COPY decision_log ({', '.join(COLUMNS)}) FROM STDIN (FORMAT binary)"
_DROPPED: Final = "INSERT INTO decision_drop (id, at, number) VALUES (%s, clock_timestamp(), %s)"
_BATCH: Final = 2_000
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

    `patience`: how long (seconds) a decision waits for the commit of its row. What was judged is answered by then or
    not at all: no longer than the lease.
    """

    url: str
    capacity: int = 50_000
    gather: float = 0.2
    patience: float = 2.0


@dataclass(slots=True)
class _Batch:
    """Rows that are written and committed together, and who waits for that.

    `dropped`: how many rows had been dropped when they were sent first, which is committed with them.
    """

    rows: list[bytes] = field(default_factory=list)
    dropped: int | None = None
    waiting: list[tuple[bytes, asyncio.Future[None]]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rows) + len(self.waiting)

    def clear(self) -> None:
        """Begin another one."""
        self.rows.clear()
        self.waiting.clear()
        self.dropped = None

    def encoded(self) -> bytes:
        return b"".join([HEADER, *self.rows, *(row for row, _ in self.waiting), TRAILER])


class DecisionLog:
    """The queue and the thread that empties it."""

    def __init__(self, plan: LogPlan) -> None:
        """Prepare."""
        self.counts = LogCounts()
        self._plan = plan
        self._rows: deque[bytes] = deque()  # bytes alone: the collector of cycles has nothing to look through
        self._awaited: deque[tuple[bytes, asyncio.Future[None]]] = deque()
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="decision log", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._told = 0  # of the rows that were dropped, how many the database knows of

    def __len__(self) -> int:
        """How many entries wait."""
        return len(self._rows) + len(self._awaited)

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

    def append(self, row: bytes) -> None:
        """Queue a row; drop it when too many wait."""
        if len(self._rows) >= self._plan.capacity:
            self.counts.dropped += 1
            return
        self._rows.append(row)

    async def commit(self, rows: Sequence[bytes]) -> None:
        """Queue rows and return when they are committed, together with whatever else waits.

        Raises:
            DatabaseUnavailableError: they cannot be, or not in time; their decisions must then not be answered.

        """
        if self._loop is None or len(self._awaited) + len(rows) > self._plan.capacity:
            raise DatabaseUnavailableError
        committed = [(row, self._loop.create_future()) for row in rows]
        self._awaited.extend(committed)
        self._wake.set()
        try:
            async with asyncio.timeout(self._plan.patience):
                await asyncio.gather(*(each for _, each in committed))
        except TimeoutError as error:
            raise DatabaseUnavailableError from error

    def _run(self) -> None:
        """The thread: one connection, one COPY and commit for each batch, until the end."""
        batch = _Batch()
        while not (self._ending.is_set() and not batch and not len(self)):
            try:
                settings = connection_settings(self._plan.url, statement_seconds=10)
                with psycopg.connect(**settings) as connection:
                    self._empty(connection, batch)
            except (psycopg.Error, OSError) as error:
                self.counts.failed_flushes += 1
                log.warning("flush failed", cause=type(error).__name__, waiting=len(self))
                self._give_up(batch)
                if self._ending.wait(_RETRY_SECONDS):
                    return

    def _empty(self, connection: psycopg.Connection[Any], batch: _Batch) -> None:
        """Write batches until the end; `batch` is the one under way, kept over a lost connection."""
        while True:
            if not batch:
                self._take(batch)
            if not batch:
                if self._ending.is_set():
                    return
                continue
            try:
                self._write(connection, batch)
            except psycopg.errors.UniqueViolation:
                # A batch is there whole or not at all: this one was committed before its connection broke.
                log.info("flush had been committed", rows=len(batch))
            except (psycopg.IntegrityError, psycopg.DataError) as error:
                # It would be refused for ever, and everything after it would wait.
                self._refused(batch, type(error).__name__)
                continue
            self.counts.written += len(batch)
            self._told = max(self._told, batch.dropped or 0)
            self._tell([future for _, future in batch.waiting], None)
            batch.clear()

    def _write(self, connection: psycopg.Connection[Any], batch: _Batch) -> None:
        """Commit a batch, and how many rows were dropped since the last one."""
        if batch.dropped is None:
            batch.dropped = self.counts.dropped
        with connection.transaction(), connection.cursor() as cursor:
            with cursor.copy(_COPY) as copy:
                copy.write(batch.encoded())
            if batch.dropped > self._told:
                cursor.execute(_DROPPED, [random_id(), batch.dropped - self._told])

    def _refused(self, batch: _Batch, cause: str) -> None:
        """Drop rows that the database will not take, such as those of a day that has no partition."""
        self.counts.dropped += len(batch)
        log.error("flush refused", cause=cause, dropped=len(batch))
        self._tell([future for _, future in batch.waiting], DatabaseUnavailableError())
        batch.clear()

    def _take(self, batch: _Batch) -> None:
        """Gather for a while, unless somebody waits or there is enough; then take what there is."""
        if not self._awaited and len(self._rows) < _BATCH and not self._ending.is_set():
            self._wake.wait(self._plan.gather)
        self._wake.clear()
        while self._awaited and len(batch) < _BATCH:
            batch.waiting.append(self._awaited.popleft())
        while self._rows and len(batch) < _BATCH:
            batch.rows.append(self._rows.popleft())

    def _give_up(self, batch: _Batch) -> None:
        """Fail what somebody waits for; keep the rest for the next try."""
        failed = [future for _, future in batch.waiting]
        batch.waiting.clear()
        while self._awaited:
            failed.append(self._awaited.popleft()[1])
        self._tell(failed, DatabaseUnavailableError())

    def _tell(self, futures: Sequence[asyncio.Future[None]], error: DatabaseUnavailableError | None) -> None:
        if futures and self._loop is not None:
            self._loop.call_soon_threadsafe(_settle, futures, error)


def _settle(futures: Sequence[asyncio.Future[None]], error: DatabaseUnavailableError | None) -> None:
    for future in futures:
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
