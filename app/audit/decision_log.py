"""Write the decision log without holding up decisions: a bounded queue, flushed by COPY in a thread of its own.

What is queued is what the hot path has at hand; everything else (keyed references, formatting) is done by the thread.
When the queue is full, entries are dropped and counted: a decision never waits for its log, unless the deployment asks
for a durable one, where a permit under IV is answered only after its row is committed.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import psycopg
import structlog

from app.audit.store import COLUMNS
from app.core.decision import Decision, Request
from app.core.processing import can_be_an_id
from app.db.connections import connection_settings
from app.db.database import DatabaseUnavailableError

NO_ID: Final = "(no id)"
"""What stands in the log for a processing that no register could hold."""
_COPY: Final = f"COPY decision_log ({', '.join(COLUMNS)}) FROM STDIN (FORMAT binary)"
_TYPES: Final = (
    *("uuid", "timestamptz", "uuid", "bytea", "text", "bytea", "text[]", "text", "text"),
    *("bool", "text", "text", "text", "uuid", "timestamptz"),
)
_BATCH: Final = 2_000
_RETRY_SECONDS: Final = 1.0
log = structlog.get_logger("sceau.decision_log")


@dataclass(frozen=True, slots=True)
class Entry:
    """One decision to log, as the hot path has it: epoch time, id as text, who asked, what, and the answer."""

    at: float
    identifier: str
    caller: UUID
    request: Request
    correspondence: tuple[str, str]
    decision: Decision


@dataclass(slots=True)
class LogCounts:
    """What became of entries: dropped ones found the queue full, or could not be written before the end."""

    written: int = 0
    dropped: int = 0
    failed_flushes: int = 0


@dataclass(frozen=True, slots=True)
class LogPlan:
    """How the log is kept: where, how many entries may wait, and how long a flush gathers them (seconds)."""

    url: str
    capacity: int = 50_000
    gather: float = 0.2


class DecisionLog:
    """The queue and the thread that empties it."""

    def __init__(self, plan: LogPlan, reference: Callable[[str, str], bytes]) -> None:
        """Prepare; `reference` makes the keyed reference of a correspondence from its type and id."""
        self.counts = LogCounts()
        self._plan = plan
        self._reference = reference
        self._queue: deque[tuple[Entry, asyncio.Future[None] | None]] = deque()
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="decision log", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None

    def __len__(self) -> int:
        """How many entries wait."""
        return len(self._queue)

    def start(self) -> None:
        """Begin to write; call it in the event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def stop(self, seconds: float) -> None:
        """Write what waits, for so long at most; what is left then is counted as dropped."""
        self._ending.set()
        self._wake.set()
        await asyncio.to_thread(self._thread.join, seconds)
        self.counts.dropped += len(self._queue)

    def append(self, entry: Entry) -> None:
        """Queue an entry; drop it when too many wait."""
        if len(self._queue) >= self._plan.capacity:
            self.counts.dropped += 1
            return
        self._queue.append((entry, None))

    async def commit(self, entry: Entry) -> None:
        """Queue an entry and return when its row is committed, together with whatever else waits.

        Raises:
            DatabaseUnavailableError: it cannot be; the decision must then not be answered.

        """
        if self._loop is None or len(self._queue) >= self._plan.capacity:
            raise DatabaseUnavailableError
        committed: asyncio.Future[None] = self._loop.create_future()
        self._queue.append((entry, committed))
        self._wake.set()
        await committed

    def _run(self) -> None:
        """The thread: one connection, one COPY and commit for each batch, until the end."""
        held: list[tuple[Entry, asyncio.Future[None] | None]] = []
        while not (self._ending.is_set() and not held and not self._queue):
            try:
                settings = connection_settings(self._plan.url, statement_seconds=10)
                with psycopg.connect(**settings) as connection:
                    self._empty(connection, held)
            except (psycopg.Error, OSError) as error:
                self.counts.failed_flushes += 1
                log.warning("flush failed", cause=type(error).__name__, waiting=len(self._queue))
                held = self._give_up(held)
                if self._ending.wait(_RETRY_SECONDS):
                    return

    def _empty(
        self, connection: psycopg.Connection[Any], held: list[tuple[Entry, asyncio.Future[None] | None]]
    ) -> None:
        """Write batches until the end; `held` is the one under way, kept over a lost connection."""
        while True:
            if not held:
                self._take(held)
            if not held:
                if self._ending.is_set():
                    return
                continue
            with connection.transaction(), connection.cursor() as cursor, cursor.copy(_COPY) as copy:
                copy.set_types(_TYPES)
                for entry, _ in held:
                    copy.write_row(self._row(entry))
            self.counts.written += len(held)
            self._tell(held, None)
            held.clear()

    def _take(self, held: list[tuple[Entry, asyncio.Future[None] | None]]) -> None:
        if not self._queue:
            self._wake.wait(self._plan.gather)
            self._wake.clear()
        while self._queue and len(held) < _BATCH:
            held.append(self._queue.popleft())

    def _give_up(
        self, held: list[tuple[Entry, asyncio.Future[None] | None]]
    ) -> list[tuple[Entry, asyncio.Future[None] | None]]:
        """Fail what somebody waits for; keep the rest for the next try."""
        failed = [each for each in held if each[1] is not None]
        for _ in range(len(self._queue)):  # the event loop may append meanwhile: those come in the next round
            each = self._queue.popleft()
            if each[1] is None:
                self._queue.append(each)
            else:
                failed.append(each)
        self._tell(failed, DatabaseUnavailableError())
        return [each for each in held if each[1] is None]

    def _tell(
        self, done: Sequence[tuple[Entry, asyncio.Future[None] | None]], error: DatabaseUnavailableError | None
    ) -> None:
        futures = [future for _, future in done if future is not None]
        if futures and self._loop is not None:
            self._loop.call_soon_threadsafe(_settle, futures, error)

    def _row(self, entry: Entry) -> tuple[object, ...]:
        request, decision = entry.request, entry.decision
        return (
            UUID(entry.identifier),
            datetime.fromtimestamp(entry.at, UTC),
            entry.caller,
            request.subject,
            request.processing if can_be_an_id(request.processing) else NO_ID,
            self._reference(*entry.correspondence),
            None if request.elements is None else sorted(request.elements),
            request.channel.value,
            request.territory,
            decision.permitted,
            decision.reason.value,
            decision.rule,
            decision.law_version,
            decision.consent,
            decision.valid_until,
        )


def _settle(futures: Sequence[asyncio.Future[None]], error: DatabaseUnavailableError | None) -> None:
    for future in futures:
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
