"""Decide in this process: hold Sceau's answers and give them again, until Sceau reports a change.

An `Edge` is connected to the socket of a Sceau on the same host (`SCEAU_EDGE_SOCKET`; docs/edge.md has the messages).
It holds decisions, never rules, keys or consents, and uses them only while it holds a lease, which Sceau extends
several times a second. A withdrawal is answered only when every edge has forgotten what rests on the consent, or can
use it no more: so nothing is answered here that Sceau would not answer. Sceau's log gets what is decided here.
"""

import itertools
import json
import os
import selectors
import socket
import struct
import threading
import time
import weakref
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from time import CLOCK_BOOTTIME, clock_gettime
from typing import Any, Final, Self

from sceau_client import wire
from sceau_client.decisions import Decision
from sceau_client.held import LONGEST_HANDLE, HeldDecisions
from sceau_client.questions import Question
from sceau_client.words import Outcome

PROTOCOL: Final = 1
_LENGTH: Final = struct.Struct(">I")
_MOST_BYTES: Final = 4 * 1024 * 1024
_MOST_UNSENT: Final = 4 * 1024 * 1024
_READ_BYTES: Final = 256 * 1024
_RELEASED_AT_ONCE: Final = 5_000
_REPORT_SECONDS: Final = 0.05
_RETRY_SECONDS: Final = (0.05, 0.2, 0.5, 1.0)
_CONNECT_SECONDS: Final = 2.0
_CLOSE_SECONDS: Final = 2.0

Asked = Future[Decision | None]


class Edge:
    """Answers from memory while it has a lease, in any thread. Use it in a `with` block, or `close` it at the end.

    After a fork the child has neither memory nor connection: it connects by itself when it first asks.
    """

    def __init__(self, path: str | os.PathLike[str], key: str) -> None:
        """Prepare to ask by the socket at `path`, with an API key of the scope `decisions:evaluate`.

        Raises:
            ValueError: the key has characters that no key has.

        """
        if not key or not key.isascii() or not key.isprintable() or " " in key:
            raise ValueError("the key is empty or holds what no key holds")
        self._path, self._key = os.fspath(path), key
        self._closed = False
        self.begin_anew()
        _edges.add(self)

    def begin_anew(self) -> None:
        """Begin without a connection, at first and in the child of a fork."""
        self._memory = HeldDecisions()
        self._link: _Link | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        """Connect, and wait for the first lease, for two seconds at most."""
        self._connected().leased.wait(_CONNECT_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def start(self) -> None:
        """Begin to connect, without waiting. Questions before the connection stands are left to HTTP."""
        self._connected()

    def close(self) -> None:
        """Stop deciding from memory, report the decisions so far, and close the connection."""
        self._closed = True
        link = self._link
        if link is not None:
            link.stop()

    @property
    def leased(self) -> bool:
        """Whether memory may be used now."""
        return clock_gettime(CLOCK_BOOTTIME) < self._memory.lease[0]

    def __len__(self) -> int:
        """How many decisions are held."""
        return len(self._memory)

    @property
    def unreported(self) -> int:
        """How many decisions wait to be reported to Sceau's log."""
        return self._memory.unreported

    def permits(self, user: str, processing: str, handle: str) -> bool | None:
        """Whether a processing may analyse a message for a user, as usual: automated, private, online, in France.

        Args:
            user: an id of the type `user`.
            processing: its id in the register; all elements that it declares are touched.
            handle: what stands for the message (`Correspondence.handle`).

        Returns:
            None where that is not held: ask (`ask`, `Client.evaluate`).

        """
        # `HeldDecisions.use`, written out: half the time of a decision is calls. No id is told, so none is counted.
        memory, now = self._memory, clock_gettime(CLOCK_BOOTTIME)
        if now < memory.lease[0]:  # before the look-up
            try:
                held = memory.tables[processing][user]
            except KeyError:
                return None
            at = now + memory.ahead
            if at < held.until and len(handle) <= LONGEST_HANDLE:
                held.used = True
                memory.decided.extend((held.number, handle, at, 0))
                return held.permitted
        return None

    def recall(self, question: Question) -> Decision | None:
        """The answer to a question, if it is held; its id is that of the decision in Sceau's log."""
        return None if question.token else self._memory.use(question)

    def ask(self, question: Question) -> Asked:
        """Ask Sceau by the socket, and hold its answer; the first call connects.

        The result is None where Sceau is not there, or does not answer: then use HTTP.
        """
        asked: Asked = Future()
        try:
            link = self._connected()
            item = wire.item(question) if self.leased else None
            sent = item is not None and link.asks(question, item.body, asked)
        except (OSError, RuntimeError):  # no file or thread is left for it, or it is closed
            sent = False
        if not sent:
            asked.set_result(None)
        return asked

    def use(self, memory: HeldDecisions) -> None:
        """Use what a new connection brings for answers from now on."""
        self._memory = memory

    def forked(self) -> None:
        """In the child of a fork: leave the connection to the parent."""
        link = self._link
        self.begin_anew()
        if link is not None:
            link.leave()

    def _connected(self) -> "_Link":
        if self._link is not None and self._link.process != os.getpid():
            self.forked()  # Python has not heard of the fork
        link = self._link
        if link is None or not link.is_alive():
            with self._lock:
                if self._closed:
                    raise RuntimeError("the edge is closed")
                if self._link is None or not self._link.is_alive():
                    self._link = _Link(self, self._path, self._key)
                link = self._link
        return link


class _Link(threading.Thread):
    """The thread that keeps an edge connected; no other thread changes what is held."""

    def __init__(self, edge: Edge, path: str, key: str) -> None:
        super().__init__(name="sceau-edge", daemon=True)
        self.leased = threading.Event()
        self._edge, self._path, self._key = edge, path, key
        self.process = os.getpid()
        self._asked: dict[int, tuple[Question, Asked]] = {}
        self._numbers = itertools.count(1)
        self._outbox: deque[bytes] = deque()
        self._up = self._stopping = False
        self._memory = HeldDecisions()
        self._left = HeldDecisions()  # of the connection before: a thread may be about to decide in it
        self._sock: socket.socket | None = None
        self._in, self._out = bytearray(), deque[tuple[memoryview, int]]()  # messages, with how many decisions each has
        self._unsent = 0  # bytes of `_out`
        self._waker, self._woken = socket.socketpair()
        for each in (self._waker, self._woken):
            each.settimeout(0)
        self.start()

    def asks(self, question: Question, body: bytes, asked: Asked) -> bool:
        """Send a question, from any thread; False where there is no connection."""
        if not self._up:
            return False
        number = next(self._numbers)
        self._asked[number] = (question, asked)
        self._outbox.append(b'{"kind":"ask","number":%d,"question":%b}' % (number, body))
        self._wake()
        # Lost meanwhile, it is settled by the one that takes it out.
        return self._is_up() or self._asked.pop(number, None) is None

    def stop(self) -> None:
        """End the thread; any thread may call this."""
        self._memory.lease[0] = 0.0
        self._stopping = True
        self._wake()
        self.join(_CLOSE_SECONDS)

    def leave(self) -> None:
        """In the child of a fork, where this thread does not run, close its files and send nothing."""
        for each in (self._sock, self._waker, self._woken):
            if each is not None:
                with suppress(OSError):
                    os.close(each.detach())

    def run(self) -> None:
        """Connect, again whenever the connection is lost, until told to stop."""
        failures = 0
        while not self._stopping:
            began = time.monotonic()
            try:
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
                    self._sock = sock
                    sock.settimeout(_CONNECT_SECONDS)
                    sock.connect(self._path)
                    self._serve(sock)
            except (OSError, ValueError, LookupError, TypeError):
                pass  # what is asked goes over HTTP meanwhile
            finally:
                self._lose()
            failures = 0 if time.monotonic() - began > 1 else failures + 1
            self._rest(_RETRY_SECONDS[min(failures, len(_RETRY_SECONDS) - 1)])
        for each in (self._waker, self._woken):
            each.close()

    def _is_up(self) -> bool:
        return self._up

    def _wake(self) -> None:
        with suppress(OSError):  # it is awake, or has ended
            self._waker.send(b".")

    def _rest(self, seconds: float) -> None:
        if not self._stopping:
            with selectors.DefaultSelector() as waiting:
                waiting.register(self._woken, selectors.EVENT_READ)
                waiting.select(seconds)
            self._calm()

    def _calm(self) -> None:
        with suppress(BlockingIOError):
            self._woken.recv(4096)

    def _lose(self) -> None:
        """Forget everything, and leave the open questions to HTTP."""
        self._up = False
        self._sock = None
        self.leased.clear()
        before = self._memory
        before.forget(None, end=True)
        unsent = sum(decisions for _, decisions in self._out)
        lost = before.lost + self._left.give_up() + before.give_up() + unsent
        self._memory, self._left = HeldDecisions(lost), before
        self._edge.use(self._memory)
        self._outbox.clear()
        self._in, self._out, self._unsent = bytearray(), deque(), 0
        for number in list(self._asked):
            waiting = self._asked.pop(number, None)
            if waiting is not None:
                _settle(waiting[1], None)

    def _serve(self, sock: socket.socket) -> None:
        """Serve one connection, until it is lost or the edge is closed."""
        sock.settimeout(0)
        self._edge.use(self._memory)
        hello = {"kind": "hello", "protocol": PROTOCOL, "key": self._key, "clock": _boot_clock()}
        self._put(json.dumps(hello).encode())
        report_at = time.monotonic() + _REPORT_SECONDS
        with selectors.DefaultSelector() as waiting:
            waiting.register(sock, selectors.EVENT_READ)
            waiting.register(self._woken, selectors.EVENT_READ)
            while not self._stopping:
                while self._outbox:
                    self._put(self._outbox.popleft())
                self._flush(sock, waiting)
                for ready, events in waiting.select(max(0.0, report_at - time.monotonic())):
                    if ready.fileobj is self._woken:
                        self._calm()
                    elif events & selectors.EVENT_READ:
                        self._receive(sock)
                if time.monotonic() >= report_at:
                    self._report()
                    report_at = time.monotonic() + _REPORT_SECONDS
        self._memory.lease[0] = 0.0  # whatever was granted since it was told to stop
        self._report()
        self._put(b'{"kind":"bye"}')
        sock.settimeout(_CLOSE_SECONDS)
        for message, _ in self._out:
            sock.sendall(message)
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(_READ_BYTES):  # until Sceau has read all: what it writes to a closed socket ends its reading
            pass

    def _put(self, message: bytes, decisions: int = 0) -> None:
        self._out.append((memoryview(_LENGTH.pack(len(message)) + message), decisions))
        self._unsent += _LENGTH.size + len(message)

    def _flush(self, sock: socket.socket, waiting: selectors.BaseSelector) -> None:
        with suppress(BlockingIOError):
            while self._out:
                first, decisions = self._out[0]
                sent = sock.send(first)
                self._unsent -= sent
                if sent < len(first):
                    self._out[0] = (first[sent:], decisions)
                else:
                    self._out.popleft()
        waiting.modify(sock, selectors.EVENT_READ | (selectors.EVENT_WRITE if self._out else 0))

    def _report(self) -> None:
        self._memory.lost += self._left.give_up()
        messages, over = self._memory.reports(may_send=self._up and self._unsent < _MOST_UNSENT)
        for message, decisions in messages:
            self._put(message, decisions)
        for start in range(0, len(over), _RELEASED_AT_ONCE):
            numbers = over[start : start + _RELEASED_AT_ONCE]
            self._put(json.dumps({"kind": "released", "numbers": numbers}).encode())

    def _receive(self, sock: socket.socket) -> None:
        try:
            data = sock.recv(_READ_BYTES)
        except BlockingIOError:
            return
        if not data:
            raise ConnectionResetError
        self._in += data
        forgot = 0
        while len(self._in) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._in)
            if not 0 < length <= _MOST_BYTES:
                raise ValueError("length")
            end = _LENGTH.size + length
            if len(self._in) < end:
                break
            said = json.loads(self._in[_LENGTH.size : end])
            del self._in[:end]
            forgot = self._take(said) or forgot
        if forgot:  # everything up to there was forgotten just now
            self._put(b'{"kind":"forgot","number":%d}' % forgot)

    def _take(self, said: Mapping[str, Any]) -> int | None:
        """Do what a message says; return the number of a change that is now forgotten."""
        kind, memory = said["kind"], self._memory
        if kind == "changed":
            memory.forget(said["forget"], end=said["end"])
            return int(said["number"])
        if kind == "lease":
            memory.ahead, memory.lease[0] = float(said["ahead"]), float(said["end"])
            self.leased.set()
        elif kind == "answer":
            self._answered(said)
        elif kind == "welcome":
            if said["protocol"] != PROTOCOL:
                raise ValueError("protocol")
            memory.most, memory.ids, self._up = int(said["most"]), int(said["ids"]), True
        return None

    def _answered(self, said: Mapping[str, Any]) -> None:
        waiting = self._asked.pop(said["number"], None)
        if waiting is None:
            return
        question, asked = waiting
        decision = wire.decision_of(said["body"], said["status"])
        if said["keep"] is not None and decision.outcome is not Outcome.UNKNOWN:
            self._memory.hold(question, decision, said["keep"])
        _settle(asked, decision)


def _settle(asked: Asked, decision: Decision | None) -> None:
    if asked.set_running_or_notify_cancel():
        asked.set_result(decision)


def _boot_clock() -> str:
    """Which clock CLOCK_BOOTTIME is: that of the time namespace of this process; "" if the kernel has none."""
    try:
        return str(Path("/proc/self/ns/time").readlink())
    except OSError:
        return ""


_edges: "weakref.WeakSet[Edge]" = weakref.WeakSet()


def _after_fork() -> None:
    for edge in list(_edges):
        edge.forked()


os.register_at_fork(after_in_child=_after_fork)
