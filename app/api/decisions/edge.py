"""The edge: programs on this host that repeat this worker's answers by themselves until something changes.

docs/edge.md gives the messages, docs/freshness.md the protocol. A question that such a program has not met is asked
here and answered as over HTTP; what the worker itself would remember of it goes with the answer. The program reports
what it decides, and the log takes it as a decision of this worker.
"""

import asyncio
import contextlib
import fcntl
import math
import os
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec
import structlog
from msgspec import Struct
from starlette.types import Scope

from app.api.decisions.edge_answers import EdgeAnswers
from app.api.decisions.endpoint import SINGLE, DecisionEndpoint, Pending, RequestHead
from app.api.decisions.reading import read_question
from app.api.decisions.words import Reply, reply_to
from app.api.http.problems import MalformedError
from app.api.http.services import Services
from app.auth.callers import Caller, key_digest
from app.auth.callers import Scope as Right
from app.db.database import DatabaseUnavailableError
from app.operations.decisions.from_memory import Lasting, Memory
from app.snapshot.leases import Leaf, boot_clock, boot_seconds

PROTOCOL: Final = 1
"""Of the messages below. Another one is hung up on."""
MOST_KEPT: Final = 100_000
"""Decisions that one edge may hold."""
MOST_EDGES: Final = 64
"""Connections of one worker whose key is in force; further ones are hung up on."""
_MOST_STRANGERS: Final = 64
"""Connections whose key was not looked up yet. For one more, this worker hangs up on one that has said nothing."""
_MOST_KEPT_TOGETHER: Final = 4 * MOST_KEPT
"""Answers that all edges of a worker may hold: half a kilobyte of the worker's memory each."""
_HELLO_BYTES: Final = 4 * 1024
_MOST_BYTES: Final = 256 * 1024
"""Of one message; before its key was looked up an edge sends nothing but a hello."""
_MOST_UNDER_WAY: Final = 1_000
_DRAIN_SECONDS: Final = 2.0
_HELLO_SECONDS: Final = 5.0
_AGAIN_SECONDS: Final = 0.05
_LAST_REPORT_SECONDS: Final = 0.2
_ELECTION_SECONDS: Final = 1.0
_MOST_UNREAD: Final = 4 * 1024 * 1024
_LENGTH: Final = struct.Struct(">I")
_PEER: Final = struct.Struct("3i")
log = structlog.get_logger("sceau.edge")


class Hello(Struct, tag_field="kind", tag="hello"):
    """The first message: the protocol, the API key, and which clock the program reads (`boot_clock`)."""

    protocol: int
    key: str
    clock: str

    def __repr__(self) -> str:
        """Without the key."""
        return f"Hello({self.protocol})"


class Ask(Struct, tag_field="kind", tag="ask"):
    """A question: the body of `POST /access/v1/evaluation`."""

    number: int
    question: msgspec.Raw


class Forgot(Struct, tag_field="kind", tag="forgot"):
    """The program has forgotten every change up to this number."""

    number: int


class Released(Struct, tag_field="kind", tag="released"):
    """The program no longer holds these answers, and will report no more decisions by them."""

    numbers: list[int]


class Bye(Struct, tag_field="kind", tag="bye"):
    """The program decides nothing from memory any more, even if its lease still runs."""


_read_first: Final = msgspec.json.Decoder(Hello | Bye).decode
_read: Final = msgspec.json.Decoder(Ask | Forgot | Released | Bye).decode
_write: Final = msgspec.json.Encoder().encode


class EdgeConnection(asyncio.Protocol):
    """The connection of one edge."""

    def __init__(self, edges: "Edges") -> None:
        """Wait for its first message."""
        self._edges = edges
        self._memory = edges.memory
        self._buffer = bytearray()
        self._leaf: Leaf | None = None  # once it was admitted, like its answers
        self._answers: EdgeAnswers | None = None
        self._digest = b""
        self._key = ""
        self._answering: set[asyncio.Task[None]] = set()
        self._admitting: asyncio.Task[None] | None = None
        self._process: int | None = None
        self._hung_up = False

    # --- the connection ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as it is for streams
        """Begin a connection, which ends if the program does not say hello in time."""
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
        """Read each message once it is whole; what is no message ends the connection without an answer."""
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
        """Note that the connection is lost: the program may decide until its lease ends, unless its process has."""
        del exc
        self._late.cancel()
        self._edges.admitted.discard(self)
        self._edges.strangers.pop(self, None)
        for task in self._answering:
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
        """Let the edge go: its program has ended, or its lease is over."""
        if self._process is not None:
            asyncio.get_running_loop().remove_reader(self._process)
            os.close(self._process)
            self._process = None
        if self._leaf is not None:
            self._memory.replica.leaves.ended(self._leaf)
            self._leaf.let_go()

    @property
    def caller(self) -> UUID | None:
        """The caller of this edge, once its key was found to be in force."""
        return self._leaf.caller if self._leaf is not None else None

    @property
    def has_spoken(self) -> bool:
        """Whether the program has said hello."""
        return bool(self._key)

    @property
    def kept(self) -> int:
        """How many answers this edge holds."""
        return len(self._answers) if self._answers is not None else 0

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
        if self._leaf is None or self._answers is None:
            first = _read_first(payload)
            if isinstance(first, Bye):
                self.close()
            else:
                self._greet(first)
            return
        if payload[0] == ord("R"):
            self._answers.report(memoryview(payload)[1:])
            return
        message = _read(payload)
        if isinstance(message, Ask):
            self._ask(message)
        elif isinstance(message, Forgot):
            self._memory.replica.leaves.forgot(self._leaf, message.number)
        elif isinstance(message, Released):
            self._answers.release(message.numbers)
        else:
            self._memory.replica.leaves.ended(self._leaf)
            self.close()

    # --- who it is ---------------------------------------------------------------------------------------------------

    def _greet(self, hello: Hello) -> None:
        if self._admitting is not None or hello.protocol != PROTOCOL:
            raise ValueError("hello")
        if hello.clock != boot_clock():  # a lease ends at an instant of this clock
            log.warning("an edge was refused: its time namespace is another one than this worker's")
            self.close()
            return
        self._key, self._digest = hello.key, key_digest(hello.key)
        self._admit()

    def _admit(self) -> None:
        """Look up whether the key is in force, again after each change of the caller; until then there is no lease."""
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
            caller = record.caller
            if caller is None or record.signed_by is not None or Right.DECISIONS_EVALUATE not in caller.scopes:
                log.warning("an edge was refused: its key is not in force, or lacks the scope decisions:evaluate")
                unknown_keys.failed(self._from, self._digest)
                if self._leaf is not None:  # it has lost its lease, and reports what it decided under it
                    await asyncio.sleep(_LAST_REPORT_SECONDS)
                self.close()
                return
            now = replica.now_if_leased()
            caller_record = replica.callers.get(self._digest) if now is not None else None
            if now is not None and caller_record is record and now < caller_record.until:
                self._let_in(caller, boot_seconds() + (caller_record.until - now))
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
            self._answers = self._edges.answers_of(caller.id, self._digest)
            leaves.join(self._leaf)
            welcome = {"kind": "welcome", "protocol": PROTOCOL, "most": MOST_KEPT, "ids": self._answers.ids}
            self._send(_write(welcome))
        if self._leaf.caller == caller.id:
            leaves.admit(self._leaf, limit)
        else:
            self.close()

    def _tell(self, number: int, forgotten: Sequence[int] | None, end: bool) -> None:  # noqa: FBT001 - as Leaf has it
        if self._leaf is not None and self._answers is not None:
            self._answers.end(forgotten, max(0.0, self._leaf.until - boot_seconds()))
        self._send(_write({"kind": "changed", "number": number, "forget": forgotten, "end": end}))

    def _grant(self, end: float) -> None:
        # By this worker's own reading of the database's clock, which never goes back: whatever the edge decides by an
        # answer is then later than the answer.
        ahead = self._memory.replica.now() - boot_seconds()
        self._send(_write({"kind": "lease", "end": end, "ahead": ahead}))

    # --- what it asks ------------------------------------------------------------------------------------------------

    def _ask(self, ask: Ask) -> None:
        request = RequestHead(SINGLE, f"Bearer {self._key}", b"application/json", "", b"")
        body = bytes(ask.question)
        if len(self._answering) >= _MOST_UNDER_WAY:
            self._send(_answer(ask.number, 503, b"{}", None))
            return
        try:
            outcome = self._edges.endpoint.at_once(request, body)
        except Exception as error:  # noqa: BLE001 - what says nothing to a client is logged there
            outcome = reply_to(error)
        if isinstance(outcome, Reply):
            self._reply(ask.number, outcome, body)
            return
        task = asyncio.get_running_loop().create_task(self._answer_later(ask.number, outcome, body))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer_later(self, number: int, pending: Pending, body: bytes) -> None:
        scope: Scope = {"type": "http", "client": None, "headers": [], "state": {}}
        self._reply(number, await self._edges.endpoint.finish_or_refuse(pending, scope), body)

    def _reply(self, number: int, reply: Reply, body: bytes) -> None:
        """Send an answer, and what may be kept of it, found by another look under the lease: nothing is awaited here.

        Whatever changes after that look is told after this message.
        """
        keep: bytes | None = None
        if reply.status == 200 and self._edges.may_keep(self):  # noqa: PLR2004 - HTTP
            lasting, leaf, answers = self._lasting(body), self._leaf, self._answers
            if lasting and leaf and answers is not None and lasting.judged.is_worded(reply.body):
                until = None if lasting.until == math.inf else lasting.until
                rests_on = [leaf.opaque(kind, ref) for kind, ref in lasting.rests_on]
                kept = answers.keep(lasting.judged, lasting.until, rests_on)
                keep = _write({"number": kept, "on": rests_on, "until": until})
        self._send(_answer(number, reply.status, reply.body, keep))

    def _lasting(self, body: bytes) -> Lasting | None:
        endpoint = self._edges.endpoint
        if self._leaf is None or not self._leaf.is_admitted:
            return None
        with contextlib.suppress(MalformedError):
            return endpoint.lasting(self._digest, read_question(body, endpoint.refs))
        return None


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

    def answers_of(self, caller: UUID, digest: bytes) -> EdgeAnswers:
        """The record of what a new edge of a caller holds, empty so far."""
        return EdgeAnswers(self.memory.replica, self.endpoint.wording, caller, digest, self.working)

    def make_room(self) -> bool:
        """Whether a program that has just connected may stay to say hello.

        If too many have not said it yet, it hangs up on the oldest silent one of the user who has most of them.
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
        """Whether one more edge of a caller is served; if no place is free, the caller with most edges loses one."""
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
        """Whether an edge may hold one more answer: a quarter more than its limit, since it may be releasing some."""
        together = sum(each.kept for each in self.admitted)
        return edge.kept < MOST_KEPT + MOST_KEPT // 4 and together < _MOST_KEPT_TOGETHER

    async def serve(self) -> None:
        """Serve the edges of this host until cancelled; one worker at a time does, of those that share the path."""
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
        """End the leases of all edges, accept their last reports for a moment, and close the connections."""
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
    """Serve edges on a socket while the block lasts; none if no path is set, or if each decision reads the primary."""
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
