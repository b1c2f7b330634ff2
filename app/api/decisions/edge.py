"""The edge: programs of this host that answer by themselves what this worker has answered them, until it changes.

docs/edge.md gives the messages, docs/freshness.md the protocol. A question that such a program has not met is asked
here and answered as over HTTP; what the worker itself would remember of it goes with the answer. The program reports
what it decides, and the log takes it as a decision of this worker.
"""

import asyncio
import contextlib
import fcntl
import math
import os
import re
import secrets
import socket
import struct
from array import array
from collections import Counter, deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID
from weakref import WeakValueDictionary

import msgspec
import structlog
from msgspec import Struct
from starlette.types import Scope

from app.api.decisions.endpoint import SINGLE, DecisionEndpoint, Pending, RequestHead
from app.api.decisions.reading import read_question
from app.api.decisions.words import Reply, reply_to
from app.api.http.problems import MalformedError
from app.api.http.services import Services
from app.auth.callers import Caller, key_digest
from app.auth.callers import Scope as Right
from app.db.database import DatabaseUnavailableError
from app.db.identifiers import decision_id, new_number, numbered_id
from app.operations.decisions.from_memory import Lasting, Memory
from app.operations.decisions.judging import Judged
from app.snapshot.leases import Leaf, boot_seconds

PROTOCOL: Final = 1
"""Of the messages below. Another one is hung up on."""
CORRESPONDENCE: Final = "correspondence"
"""The type of what is decided about: an edge reports ids alone."""
MOST_KEPT: Final = 100_000
"""Decisions that one edge may hold."""
MOST_EDGES: Final = 64
"""Connections of one worker whose key is in force; further ones are hung up on."""
_MOST_STRANGERS: Final = 64
"""Connections whose key was not looked up yet; beyond, one that has said nothing is hung up on for a new one."""
_MOST_KEPT_TOGETHER: Final = 4 * MOST_KEPT
"""Answers that all edges of a worker may hold: half a kilobyte of the worker's memory each."""
_MOST_A_SECOND: Final = 1_000_000
"""Decisions that one edge can make."""
_HELLO_BYTES: Final = 4 * 1024
_MOST_BYTES: Final = 256 * 1024
"""Of one message; before its key was looked up an edge sends nothing but a hello."""
_MOST_UNDER_WAY: Final = 1_000
_MOST_WAITING: Final = 50_000
"""Decisions that were reported and are not logged yet, of one edge: some megabytes."""
_ROWS_AT_ONCE: Final = 256
_DRAIN_SECONDS: Final = 2.0
_HELLO_SECONDS: Final = 5.0
_AGAIN_SECONDS: Final = 0.05
_ELECTION_SECONDS: Final = 1.0
_LATE_SECONDS: Final = 600.0
_AHEAD_SECONDS: Final = 5.0
"""What a clock may have been set by meanwhile; a replay of the log forgives three times as much."""
_MOST_UNREAD: Final = 4 * 1024 * 1024
_LONGEST_ID: Final = 512
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_LENGTH: Final = struct.Struct(">I")
_ROWS: Final = struct.Struct("<II")
"""Of a report: how many decisions it has, and how many before them were dropped."""
_PEER: Final = struct.Struct("3i")
log = structlog.get_logger("sceau.edge")


class Hello(Struct, tag_field="kind", tag="hello"):
    """The first message: the protocol and the API key."""

    protocol: int
    key: str

    def __repr__(self) -> str:
        """Without the key."""
        return f"Hello({self.protocol})"


class Ask(Struct, tag_field="kind", tag="ask"):
    """A question: the body of `POST /access/v1/evaluation`."""

    number: int
    question: msgspec.Raw


class Forgot(Struct, tag_field="kind", tag="forgot"):
    """Every change up to this one is forgotten."""

    number: int


class Released(Struct, tag_field="kind", tag="released"):
    """Answers that are not held any more, and of which nothing more is reported."""

    numbers: list[int]


class Bye(Struct, tag_field="kind", tag="bye"):
    """Nothing is decided from memory any more, whatever lease was granted."""


_read_first: Final = msgspec.json.Decoder(Hello | Bye).decode
_read: Final = msgspec.json.Decoder(Ask | Forgot | Released | Bye).decode
_Row = tuple[int, int, float, str]
"""A reported decision: the answer's number, its count, when, and about which correspondence."""
_write: Final = msgspec.json.Encoder().encode


@dataclass(slots=True, weakref_slot=True, eq=False)
class _Ground:
    """What answers rest on; `end`: until when, in epoch seconds, this edge may decide on it."""

    end: float = math.inf


@dataclass(slots=True, frozen=True, eq=False)
class _KeptAnswer:
    """An answer that the edge may give again, between two instants (epoch seconds), while each of its grounds lasts."""

    judged: Judged
    since: float
    until: float
    grounds: tuple[_Ground, ...]

    def could_be_given(self, at: float) -> bool:
        """Whether the edge could have decided so at that time."""
        latest = at - _AHEAD_SECONDS
        if not self.since - _AHEAD_SECONDS < at or latest >= self.until:
            return False
        return all(latest < ground.end for ground in self.grounds)


class EdgeConnection(asyncio.Protocol):
    """One edge."""

    def __init__(self, edges: "Edges") -> None:
        """Wait for its first message."""
        self._edges = edges
        self._memory = edges.memory
        self._buffer = bytearray()
        self._leaf: Leaf | None = None
        self._digest = b""
        self._key = ""
        self._ids = new_number()  # not the edge's choice: another's number would make the ids of that one's decisions
        self._kept: dict[int, _KeptAnswer] = {}
        # By the opaque numbers of the records, as long as an answer rests on them; and what every answer rests on.
        self._grounds: WeakValueDictionary[int, _Ground] = WeakValueDictionary()
        self._memory_as_a_whole = _Ground()
        self._last = secrets.randbits(56)  # no connection takes a number of another for its own
        self._asked: set[asyncio.Task[None]] = set()
        self._admitting: asyncio.Task[None] | None = None
        # What was reported and released, in that order, and how many decisions that is.
        self._queue: deque[tuple[list[_Row], list[int]]] = deque()
        self._waiting = 0
        self._working: asyncio.Task[None] | None = None
        self._process: int | None = None
        self._hung_up = False
        self._counted = boot_seconds()  # when it said last how many decisions it has lost

    # --- the connection ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as it is for streams
        """Begin; a program that says nothing is hung up on."""
        self._transport = transport
        process, user = _peer_of(transport.get_extra_info("socket"))
        self._from = f"edges of user {user}"
        self._late = asyncio.get_running_loop().call_later(_HELLO_SECONDS, self.close)
        if not self._edges.make_room():
            self.close()
            return
        self._edges.strangers[self] = user
        with contextlib.suppress(OSError):  # of another namespace, or ended already
            self._process = os.pidfd_open(process)

    def data_received(self, data: bytes) -> None:
        """Take messages in as they become whole; what is none ends the connection, and is not answered."""
        self._buffer += data
        try:
            while len(self._buffer) >= _LENGTH.size:
                (length,) = _LENGTH.unpack_from(self._buffer)
                if not 0 < length <= (_HELLO_BYTES if self._leaf is None else _MOST_BYTES):
                    raise ValueError("length")  # noqa: TRY301 - as any other that is no message
                end = _LENGTH.size + length
                if len(self._buffer) < end:
                    return
                payload = bytes(self._buffer[_LENGTH.size : end])
                del self._buffer[:end]
                self._take(payload)
        except (ValueError, struct.error, msgspec.MsgspecError, RecursionError) as error:
            log.warning("an edge sent what is no message", cause=type(error).__name__)
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """It may decide until its lease is over, unless its process has ended."""
        del exc
        self._late.cancel()
        self._edges.admitted.discard(self)
        self._edges.strangers.pop(self, None)
        for task in self._asked:
            task.cancel()
        if self._leaf is None:
            self._over()
            return
        self._memory.replica.leaves.disconnected(self._leaf)
        loop = asyncio.get_running_loop()
        if self._process is not None and not self._hung_up:  # else another may have the socket, and the lease with it
            loop.add_reader(self._process, self._over)
        loop.call_later(max(0.0, self._leaf.until - boot_seconds()) + _AGAIN_SECONDS, self._over)

    def _over(self) -> None:
        """The program has ended, or its lease is over, whichever comes first."""
        if self._process is not None:
            asyncio.get_running_loop().remove_reader(self._process)
            os.close(self._process)
            self._process = None
        if self._leaf is not None:
            self._memory.replica.leaves.ended(self._leaf)
            self._leaf.let_go()

    @property
    def caller(self) -> UUID | None:
        """Whose it is, once it was admitted."""
        return self._leaf.caller if self._leaf is not None else None

    @property
    def has_spoken(self) -> bool:
        """Whether it has said hello."""
        return bool(self._key)

    @property
    def kept(self) -> int:
        """How many answers it may hold."""
        return len(self._kept)

    def close(self) -> None:
        """Hang up."""
        self._hung_up = True
        self._transport.abort()

    def _send(self, message: bytes) -> None:
        if self._transport.is_closing():
            return
        self._transport.write(_LENGTH.pack(len(message)) + message)
        if self._transport.get_write_buffer_size() > _MOST_UNREAD:
            self.close()

    def _take(self, payload: bytes) -> None:
        if self._leaf is None:
            first = _read_first(payload)
            if isinstance(first, Bye):
                self.close()
            else:
                self._greet(first)
            return
        if payload[0] == ord("R"):
            self._take_report(memoryview(payload)[1:])
            return
        said = _read(payload)
        if isinstance(said, Ask):
            self._ask(said)
        elif isinstance(said, Forgot):
            self._memory.replica.leaves.forgot(self._leaf, said.number)
        elif isinstance(said, Released):
            # Forgotten once what was reported of them is logged.
            self._later([], [number for number in said.numbers if number in self._kept])
        else:
            self._memory.replica.leaves.ended(self._leaf)
            self.close()

    # --- who it is ---------------------------------------------------------------------------------------------------

    def _greet(self, hello: Hello) -> None:
        if self._admitting is not None or hello.protocol != PROTOCOL:
            raise ValueError("hello")
        self._key, self._digest = hello.key, key_digest(hello.key)
        self._admit()

    def _admit(self) -> None:
        """Look up whether its key is in force, again after each change of its caller; till then it holds no lease."""
        if self._admitting is None or self._admitting.done():
            self._admitting = asyncio.get_running_loop().create_task(self._admitted())

    async def _admitted(self) -> None:
        replica, unknown_keys = self._memory.replica, self._edges.unknown_keys
        while not self._transport.is_closing():
            if unknown_keys.refuses(self._from, self._digest):
                self.close()
                return
            try:
                async with self._edges.turn:  # programs that hang up again and again would else use up the connections
                    if self._transport.is_closing():
                        return
                    record = await replica.load_caller(self._digest)
            except DatabaseUnavailableError:
                await asyncio.sleep(_AGAIN_SECONDS)
                continue
            if self._transport.is_closing():
                return
            # From here to the admission nothing is awaited.
            # No token: its issuer may withdraw the key that signed it, which no change of the caller tells.
            if record.caller is None or record.signed_by is not None or not _may_ask(record.caller):
                log.warning("an edge was refused: its key is not in force, or lacks the scope decisions:evaluate")
                unknown_keys.failed(self._from, self._digest)
                self.close()
                return
            now = replica.now_if_leased()
            held = replica.callers.get(self._digest) if now is not None else None
            if now is not None and held is record and now < held.until:
                self._let_in(record.caller, boot_seconds() + (held.until - now))
                return
            await asyncio.sleep(_AGAIN_SECONDS)

    def _let_in(self, caller: Caller, limit: float) -> None:
        leaves = self._memory.replica.leaves
        self._edges.unknown_keys.passed(self._digest)
        if self._leaf is None:
            if not self._edges.has_place_for(caller.id):
                self.close()
                return
            self._edges.strangers.pop(self, None)
            self._edges.admitted.add(self)
            self._late.cancel()
            self._leaf = Leaf(caller.id, tell=self._tell, grant=self._grant, doubt=self._admit, hang_up=self.close)
            leaves.join(self._leaf)
            self._send(_write({"kind": "welcome", "protocol": PROTOCOL, "most": MOST_KEPT, "ids": self._ids}))
        if self._leaf.caller == caller.id:
            leaves.admit(self._leaf, limit)
        else:
            self.close()

    def _tell(self, number: int, forgotten: Sequence[int] | None, end: bool) -> None:  # noqa: FBT001 - as Leaf has it
        """Send a change. Until the lease of now is over the edge may decide without it."""
        leased = 0.0 if self._leaf is None else max(0.0, self._leaf.until - boot_seconds())
        ended, until = [self._memory_as_a_whole], self._memory.replica.now() + leased
        if forgotten is None:
            self._memory_as_a_whole = _Ground()
            self._grounds.clear()
        else:
            ended = [ground for each in forgotten if (ground := self._grounds.pop(each, None)) is not None]
        for ground in ended:
            ground.end = min(ground.end, until)
        self._send(_write({"kind": "changed", "number": number, "forget": forgotten, "end": end}))

    def _grant(self, end: float, ahead: float) -> None:
        self._send(_write({"kind": "lease", "end": end, "ahead": ahead}))

    # --- what it asks ------------------------------------------------------------------------------------------------

    def _ask(self, asked: Ask) -> None:
        head = RequestHead(SINGLE, f"Bearer {self._key}", b"application/json", "", b"")
        body = bytes(asked.question)
        if len(self._asked) >= _MOST_UNDER_WAY:
            self._send(_answer(asked.number, 503, b"{}", None))
            return
        try:
            found = self._edges.endpoint.at_once(head, body)
        except Exception as error:  # noqa: BLE001 - what says nothing to a client is logged there
            found = reply_to(error)
        if isinstance(found, Reply):
            self._reply(asked.number, found, body)
            return
        task = asyncio.get_running_loop().create_task(self._answer_later(asked.number, found, body))
        self._asked.add(task)
        task.add_done_callback(self._asked.discard)

    async def _answer_later(self, number: int, pending: Pending, body: bytes) -> None:
        scope: Scope = {"type": "http", "client": None, "headers": [], "state": {}}
        self._reply(number, await self._edges.endpoint.finish_or_refuse(pending, scope), body)

    def _reply(self, number: int, reply: Reply, body: bytes) -> None:
        """Send an answer, and what may be kept of it, found by another look under the lease: nothing is awaited here.

        Whatever changes after that look is told after this message.
        """
        keep: bytes | None = None
        if reply.status == 200 and self._edges.may_keep(self):  # noqa: PLR2004 - HTTP
            lasting = self._lasting(body)
            leaf = self._leaf
            if lasting is not None and leaf is not None and _is_answer(reply.body, lasting.judged):
                self._last += 1
                until = None if lasting.until == math.inf else lasting.until
                rests_on = [leaf.opaque(kind, ref) for kind, ref in lasting.rests_on]
                grounds = [self._grounds.setdefault(each, _Ground()) for each in rests_on]
                grounds.append(self._memory_as_a_whole)
                self._kept[self._last] = _KeptAnswer(
                    lasting.judged, self._memory.replica.now(), lasting.until, tuple(grounds)
                )
                keep = _write({"number": self._last, "on": rests_on, "until": until})
        self._send(_answer(number, reply.status, reply.body, keep))

    def _lasting(self, body: bytes) -> Lasting | None:
        endpoint = self._edges.endpoint
        if self._leaf is None or not self._leaf.is_admitted:
            return None
        with contextlib.suppress(MalformedError):
            return endpoint.lasting(self._digest, read_question(body, endpoint.refs))
        return None

    # --- what it reports ---------------------------------------------------------------------------------------------

    def _take_report(self, view: memoryview) -> None:
        rows, dropped = _ROWS.unpack_from(view)
        columns = (array("Q"), array("Q"), array("d"))
        start = _ROWS.size
        for column in columns:
            column.frombytes(view[start : start + 8 * rows])
            start += 8 * rows
        ids = bytes(view[start:]).decode().split("\n") if rows else []
        if not all(len(each) == rows for each in (*columns, ids)):
            raise ValueError("report")
        now = boot_seconds()
        self._edges.drop(min(dropped, int((now - self._counted) * _MOST_A_SECOND)))
        self._counted = now
        if self._waiting + rows > _MOST_WAITING or max(map(len, ids), default=0) > _LONGEST_ID:
            self._edges.drop(rows)
        elif rows:
            self._waiting += rows
            self._later(list(zip(*columns, ids, strict=True)), [])

    def _later(self, rows: list[_Row], released: list[int]) -> None:
        self._queue.append((rows, released))
        if self._working is None or self._working.done():
            self._working = asyncio.get_running_loop().create_task(self._work())
            self._edges.working.add(self._working)
            self._working.add_done_callback(self._edges.working.discard)

    async def _work(self) -> None:
        """Log what was reported, a few hundred at a time: decisions of others are answered between."""
        while self._queue:
            rows, released = self._queue.popleft()
            for start in range(0, len(rows), _ROWS_AT_ONCE):
                for row in rows[start : start + _ROWS_AT_ONCE]:
                    self._log(*row)
                self._waiting -= len(rows[start : start + _ROWS_AT_ONCE])
                await asyncio.sleep(0)
            for number in released:
                self._kept.pop(number, None)

    def _log(self, number: int, count: int, at: float, correspondence: str) -> None:
        kept, now = self._kept.get(number), self._memory.replica.now()
        is_one = bool(correspondence) and not _CONTROL.search(correspondence)
        is_recent = now - _LATE_SECONDS < at < now + _AHEAD_SECONDS
        if kept is None or self._leaf is None or not (is_one and is_recent and kept.could_be_given(at)):
            self._edges.drop(1)
            return
        about = (CORRESPONDENCE, correspondence)
        identifier = numbered_id(at, self._ids, count) if count else decision_id(at)
        self._edges.endpoint.wording.reported(self._leaf.caller, at, identifier, about, kept.judged)
        if (held := self._memory.replica.callers.get(self._digest)) is not None:
            held.use.at = max(held.use.at, at)


def _may_ask(caller: Caller) -> bool:
    return caller.revoked_at is None and Right.DECISIONS_EVALUATE in caller.scopes


def _is_answer(body: bytes, judged: Judged) -> bool:
    """Whether this is what was answered: else something has changed since."""
    before, after, end = judged.wire
    return body.startswith(before) and body.endswith(after + end)


def _answer(number: int, status: int, body: bytes, keep: bytes | None) -> bytes:
    return b'{"kind":"answer","number":%d,"status":%d,"body":%b,"keep":%b}' % (number, status, body, keep or b"null")


def _peer_of(connected: socket.socket) -> tuple[int, int]:
    """The process at the other end, and its user (SO_PEERCRED, unix(7))."""
    process, user, _ = _PEER.unpack(connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
    return process, user


class Edges:
    """The edges of this worker."""

    def __init__(self, path: Path, endpoint: DecisionEndpoint, services: Services, memory: Memory) -> None:
        """Listen on nothing yet."""
        self.memory = memory
        self.endpoint = endpoint
        self.admitted: set[EdgeConnection] = set()
        self.strangers: dict[EdgeConnection, int] = {}
        self.unknown_keys = services.unknown_keys
        self.working: set[asyncio.Task[None]] = set()
        self.turn = asyncio.Semaphore(1)
        self._path = path
        self._recorder = services.recorder

    def make_room(self) -> bool:
        """Whether a program that has connected may say who it is.

        Where too many have not said it, the user with most connections that say nothing loses the oldest of them.
        """
        if len(self.strangers) < _MOST_STRANGERS:
            return True
        silent = {each: user for each, user in self.strangers.items() if not each.has_spoken}
        if not silent:
            return False
        ((most, _),) = Counter(silent.values()).most_common(1)
        oldest = next(each for each, user in silent.items() if user == most)
        del self.strangers[oldest]
        oldest.close()
        return True

    def has_place_for(self, caller: UUID) -> bool:
        """Whether one more edge of a caller is served: where all places are taken, who has most gives one up."""
        if len(self.admitted) < MOST_EDGES:
            return True
        those = Counter(each.caller for each in self.admitted)
        ((most, number),) = those.most_common(1)
        if number <= those[caller] + 1:
            return False
        one = next(each for each in self.admitted if each.caller == most)
        self.admitted.remove(one)
        one.close()
        return True

    def may_keep(self, edge: EdgeConnection) -> bool:
        """Whether an edge may hold one more answer: a quarter above what it was told, for some are being released."""
        together = sum(each.kept for each in self.admitted)
        return edge.kept < MOST_KEPT + MOST_KEPT // 4 and together < _MOST_KEPT_TOGETHER

    def drop(self, number: int) -> None:
        """Count decisions that the log does not get."""
        if self._recorder is not None:
            self._recorder.log.counts.dropped += number

    async def serve(self) -> None:
        """Serve the edges of this host until cancelled: one worker of those that share the socket's path, at a time."""
        path = self._path.with_name(self._path.name + ".lock")
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(lock, "rb"):
            while not _is_ours(lock):  # noqa: ASYNC110 - the kernel knows, and sets no event
                await asyncio.sleep(_ELECTION_SECONDS)
            self._path.unlink(missing_ok=True)  # of a worker that has ended
            listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                os.fchmod(listening.fileno(), 0o660)  # before it has a name that others could connect to
                listening.bind(str(self._path))
                os.chmod(self._path, 0o660)  # noqa: PTH101 - whatever the umask has left of it
                server = await asyncio.get_running_loop().create_unix_server(
                    lambda: EdgeConnection(self), sock=listening
                )
                try:
                    await asyncio.Event().wait()
                finally:
                    server.close()
            finally:
                listening.close()
                self._path.unlink(missing_ok=True)

    async def stop(self) -> None:
        """End the leases of all edges, take in for a moment what they still report, and hang up."""
        self.memory.replica.leaves.close()
        await self.memory.replica.leaves.released()
        await asyncio.sleep(_AGAIN_SECONDS if self.admitted else 0)  # what they report at the end of a lease
        for connection in [*self.admitted, *self.strangers]:
            connection.close()
        if self.working:
            await asyncio.wait(self.working, timeout=_DRAIN_SECONDS)


def _is_ours(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@asynccontextmanager
async def serving_edges(path: Path | None, endpoint: DecisionEndpoint, services: Services) -> AsyncIterator[None]:
    """Serve edges on a socket while the block lasts; none where no path is set, or each decision reads the primary."""
    memory = services.memory
    if path is None or memory is None:
        if path is not None:
            log.warning("edges are not served: SCEAU_CACHE=strict reads the database for each decision")
        yield
        return
    edges = Edges(path, endpoint, services, memory)
    task = asyncio.create_task(edges.serve())
    task.add_done_callback(_tell_failure)
    try:
        yield
    finally:
        task.cancel()  # nobody else connects
        await asyncio.wait([task])
        await edges.stop()


def _tell_failure(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("edges are not served", why=error.strerror if isinstance(error, OSError) else type(error).__name__)
