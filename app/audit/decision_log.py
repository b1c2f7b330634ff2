"""Write the decision log without holding up decisions: a bounded queue, flushed by COPY in a thread of its own.

What is queued is the row as COPY takes it: the thread only joins and sends, so that it holds the
interpreter's lock for microseconds and the event loop never waits for it.
When the queue is full, entries are dropped and counted: a decision never waits for its log, unless the deployment asks
for a durable one, where a permit under IV is answered only after its row is committed.
"""

import asyncio
import hashlib
import struct
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from secrets import token_bytes
from typing import Any, Final
from uuid import UUID

import psycopg
import structlog

from app.core.article import Article
from app.core.decision import Decision, DecisionRequest, Reason
from app.core.processing import can_be_an_id
from app.db.connections import connection_settings
from app.db.database import DatabaseUnavailableError
from app.db.identifiers import random_id

_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class DecisionBasis:
    """The columns of a log row that no answer tells.

    `version`: of the processing, in force then. `versions` and `changes`: how many of its versions were known, and how
    many of its changes of status and invalidations, in the order of their instants. `known`: the ledger order of the
    last event of the subject that was known, 0 where none was.
    `participants`: how many other parties the question named; None where it did not say, or nothing asked for them. No
    digest of them: it would lead from an id to the row, whatever else is sealed.
    `relied`: who was looked at besides the subject, sealed (`DecidedBy`).
    `policy`: how periods were counted (`P1Y/start_of_day`). `rules`: a digest of the rules; `build`: the version of
    Sceau.
    """

    automated: bool
    private: bool
    version: int | None
    versions: int
    changes: int
    party_mode: str | None
    known: int
    participants: int | None
    relied: bytes | None
    policy: str
    rules: str
    build: str


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


# A row of the decision log as PostgreSQL's COPY takes it in binary, joined from bytes that mostly exist already.
# The columns that are the same for every subject and correspondence (what was asked, what was answered) are encoded
# once for each decision that is remembered; a row is then one `struct` and one concatenation. Formats: PostgreSQL's
# documentation of COPY ("Binary Format") and the `send` functions of the types.

HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER: Final = b"\xff\xff"
COLUMNS: Final = (
    *("id", "at", "caller", "subject_ref", "correspondence_ref"),
    *("processing", "elements", "channel", "territory", "permitted", "reason", "rule", "law_version", "consent"),
    "valid_until",
    *("automated", "private", "version", "versions", "changes", "party_mode", "known"),
    *("participants", "relied", "policy", "rules", "build"),
)
"""In the order in which a row has them: first those that differ from one row to the next."""
NO_ID: Final = "(no id)"
"""What stands in the log for a processing that no register could hold."""

_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_EPOCH_SECONDS: Final = _EPOCH.timestamp()
_NULL: Final = b"\xff\xff\xff\xff"
_TEXT_OID: Final = 25
_OWN: Final = struct.Struct("!hi16siqi16si32si32s")


def row(  # noqa: PLR0917 - the parts of one row
    identifier: bytes, at: float, caller: UUID, subject_ref: bytes, correspondence_ref: bytes, facts: bytes
) -> bytes:
    """One row.

    Args:
        identifier: the decision's id, 16 bytes.
        at: when it was taken, an epoch time in seconds; kept in microseconds.
        caller: who asked.
        subject_ref: 32 bytes.
        correspondence_ref: 32 bytes.
        facts: what `facts_of` made of the question and the decision.

    """
    microseconds = round((at - _EPOCH_SECONDS) * 1_000_000)
    return (
        _OWN.pack(
            len(COLUMNS), 16, identifier, 8, microseconds, 16, caller.bytes, 32, subject_ref, 32, correspondence_ref
        )
        + facts
    )


def facts_of(request: DecisionRequest, decision: Decision, basis: DecisionBasis) -> bytes:
    """The columns that are the same for every correspondence: the question, the decision, and what it was made on."""
    return b"".join(
        (
            _text(request.processing if can_be_an_id(request.processing) else NO_ID),
            _texts(None if request.elements is None else sorted(request.elements)),
            _text(request.channel.value),
            _text(request.territory),
            _bool(decision.permitted),
            _text(decision.reason.value),
            _text(decision.rule),
            _text(decision.law_version),
            _field(decision.consent.bytes if decision.consent is not None else None),
            _field(_instant(decision.valid_until) if decision.valid_until is not None else None),
            _bool(basis.automated),
            _bool(basis.private),
            *map(_number, (basis.version, basis.versions, basis.changes)),
            _text(basis.party_mode),
            *map(_number, (basis.known, basis.participants)),
            _field(basis.relied),
            *map(_text, (basis.policy, basis.rules, basis.build)),
        )
    )


def _field(value: bytes | None) -> bytes:
    return _NULL if value is None else len(value).to_bytes(4, "big") + value


def _bool(value: bool) -> bytes:  # noqa: FBT001 - a column
    return _field(b"\1" if value else b"\0")


def _number(value: int | None) -> bytes:
    return _field(None if value is None else value.to_bytes(4, "big"))


def _text(value: str | None) -> bytes:
    return _field(None if value is None else value.encode())


def _texts(values: list[str] | None) -> bytes:
    if values is None:
        return _NULL
    if not values:
        return _field(struct.pack("!iii", 0, 0, _TEXT_OID))
    return _field(struct.pack("!iiiii", 1, 0, _TEXT_OID, len(values), 1) + b"".join(map(_text, values)))


def _instant(at: datetime) -> bytes:
    elapsed = at - _EPOCH
    return struct.pack("!q", (elapsed.days * 86_400 + elapsed.seconds) * 1_000_000 + elapsed.microseconds)


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


_WITHOUT_CONSENT = frozenset({Reason.EXEMPT, Reason.NOT_GOVERNED})
_REF_BYTES = 32
DAY_SECONDS: Final = 86_400
Opaque = Callable[[str, str], bytes]
"""A keyed hash (32 bytes) of a value, apart for each purpose."""
_RESTS_ON_LAW = frozenset({Article.IV, Article.NOTA})


def correspondence_ref(opaque: Opaque, ref: bytes, day: int, kind: str, identifier: str) -> bytes:
    """The reference (32 bytes) under which a correspondence stands in one person's rows of one day, and in no others.

    Two people who were asked about for one message cannot be found by it, nor can anybody without a name to begin with.

    Args:
        opaque: makes keyed hashes.
        ref: what the row has in the place of the person.
        day: of the decision (UTC), in days since 1970.
        kind: the correspondence's type.
        identifier: its id.

    """
    return opaque("correspondence", f"{ref.hex()}\n{day}\n{kind}\n{identifier}")


@dataclass(slots=True)
class Recorder:
    """Chooses what to log. `exempt_share` is the share (0 to 1) of permits under III that are logged.

    `durable`: a permit under IV may be answered only when its row is committed. `opaque` makes keyed hashes
    (`Pseudonyms.opaque`).

    Somebody of whom nothing is recorded, and everybody under III, whom nothing is looked up about, is logged under
    random bytes: nothing links these rows to a person, or to one another.
    """

    log: DecisionLog
    opaque: Opaque
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
        log_facts: bytes,
    ) -> bytes | None:
        """Log one decision; or return its row, if that must be committed (`log.commit`) before it is answered.

        `at` is when it was taken, an epoch time by the database's clock; `identifier` is its id as text; `log_facts`
        is what `app.audit.decision_log.facts_of` made of the question and the decision.
        """
        if not self.wants(decision):
            return None
        number = bytes.fromhex(identifier.replace(b"-", b"").decode())
        ref = token_bytes(_REF_BYTES) if subject_ref is None else subject_ref
        about = correspondence_ref(self.opaque, ref, int(at // DAY_SECONDS), *correspondence)
        logged = row(number, at, caller, ref, about, log_facts)
        if self.must_wait(decision):
            return logged
        self.log.append(logged)
        return None
