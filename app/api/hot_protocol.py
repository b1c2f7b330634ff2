"""The hot path at the connection: a request whose head was read before, byte for byte, is answered where it arrives.

A mail server asks on a few connections, each time with the same head. What uvicorn's parser and the ASGI endpoint made
of those bytes once, they would make of them again: so the head of a request that was answered from memory is remembered
(by its SHA-256, for it holds a key) with what it means, and the next request with it is answered without parser, scope
or task. An id that a client makes anew for each request (X-Request-ID, traceparent) is cut out of its head first. When
memory lacks something, it is read first, and what the client sends meanwhile waits. Everything else takes the ordinary
way: an unknown head, a body that is not whole, a question that only the documented route answers. Nothing is decided
here, and a key that was revoked is looked up as it always is.
"""

import asyncio
import re
from hashlib import sha256
from typing import Any, ClassVar, Final, cast

import structlog
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from app.api.edge import LONGEST_ID
from app.api.hot_endpoint import LEARN_HEAD, KnownHead, Missed
from app.api.one_write import OneWriteProtocol, ok
from app.snapshot.cache import RecordCache

_END: Final = b"\r\n\r\n"
_START: Final = b"POST /access/v1/evaluation"
_LONGEST_HEAD: Final = 9_216  # an access token of the longest kind, and what else stands in a head
_MOST_HEADS: Final = 4_096
_ID: Final = re.compile(rb"\r\nx-request-id: ?([!-~]{1,%d})(?=\r\n[^ \t])" % LONGEST_ID, re.IGNORECASE)
_TRACE: Final = re.compile(rb"\r\n(?:traceparent|tracestate|baggage): ?[!-~]{1,512}(?=\r\n[^ \t])", re.IGNORECASE)
_ANY_ID: Final = re.compile(rb"\nx-request-id[ \t]*:", re.IGNORECASE)
"""Fields that are new in each request of many clients, and change nothing about it but the id that is echoed."""
_PATIENCE_SECONDS: Final = 0.5
_MOST_WAITING: Final = 65_536
log = structlog.get_logger("sceau.http")


class HotProtocol(OneWriteProtocol):
    """uvicorn's protocol, with a shorter way for what it has seen before."""

    known: ClassVar[RecordCache[bytes, KnownHead]] = RecordCache(_MOST_HEADS)
    """What heads mean, by their SHA-256: for all connections of this process."""

    _between = True
    _unknown: bytes | None = None
    _first_half = b""
    _patience: asyncio.TimerHandle | None = None
    _answered_at = 0.0
    _under_way: Missed | None = None
    _next = b""
    _ends = False

    def data_received(self, data: bytes) -> None:
        """Answer at once what can be; hand everything else to the parser."""
        if self._under_way is not None:
            self._next += data
            if len(self._next) > _MOST_WAITING:
                self.flow.pause_reading()
            return
        if self._first_half:
            data = self._take_first_half() + data
        if not (self._idle() and data.startswith(_START) and self._answered(data)):
            super().data_received(data)
            self._unknown = None

    def _idle(self) -> bool:
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return self._between and (cycle is None or cycle.response_complete)

    def _answered(self, data: bytes) -> bool:
        """Whether this was a whole request with a known head, and is answered (or its body is waited for)."""
        end = data.find(_END) + len(_END)
        if not len(_END) <= end <= _LONGEST_HEAD:
            return False
        name, given = sha256(data[:end]).digest(), b""
        head = self.known.get(name)
        if head is None:
            text, given = _without_what_is_new(data[:end])
            name = sha256(text).digest()
            head = self.known.get(name)
            if head is None:
                if data.count(b"\n", 0, end) == data.count(b"\r\n", 0, end) and _ANY_ID.search(text) is None:
                    self._unknown = name
                return False
        if len(data) == end:
            # Many clients send the body after the head: it is on its way.
            self._first_half = data
            self._patience = self.loop.call_later(_PATIENCE_SECONDS, self._go_on)
            return True
        if len(data) - end != head.length or self.flow.write_paused or self.transport.is_closing():
            return False
        return self._answered_from(head, data, end, given)

    def _answered_from(self, head: KnownHead, data: bytes, end: int, given: bytes) -> bool:
        try:
            found = head.endpoint.answer_known(head, data[end:], given)
        except Exception:  # the ordinary way meets it again, and answers it as a failure
            log.exception("failed on the short way")
            return False
        if found is None:
            return False
        if isinstance(found, Missed):
            self._under_way = found
            task = self.loop.create_task(self._answer_missed(found, data))
            self.tasks.add(task)  # a server that stops waits for those
            task.add_done_callback(self.tasks.discard)
            return True
        self._write(found)
        return True

    async def _answer_missed(self, missed: Missed, data: bytes) -> None:
        """Answer after what memory lacks was read, then go on with what has come since."""
        try:
            found = await missed.head.endpoint.answer_missed(missed)
        except Exception:
            log.exception("failed on the short way")
            found = None
        self._under_way = None
        if self.transport.is_closing():
            return
        if found is not None:
            self._write(found)
        else:
            super().data_received(data)
        self.flow.resume_reading()
        since, self._next = self._next, b""
        if since and not self.transport.is_closing():
            self.data_received(since)
        if self._ends:
            self.shutdown()

    def _write(self, found: tuple[bytes, bytes]) -> None:
        self.transport.write(ok(self.server_state.default_headers, *found))
        self.server_state.total_requests += 1
        self._answered_at = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def _take_first_half(self) -> bytes:
        held, self._first_half = self._first_half, b""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        return held

    def _go_on(self) -> None:
        """Give the parser a head whose body does not come, so that what limits slow clients applies to it."""
        held = self._take_first_half()
        if held and self.parser is not None:
            super().data_received(held)

    def on_message_begin(self) -> None:
        """Begin to read a message."""
        self._between = False
        super().on_message_begin()

    def on_message_complete(self) -> None:
        """A message has been read."""
        self._between = True
        super().on_message_complete()

    def on_headers_complete(self) -> None:
        """Begin a request, and offer to remember its head."""
        before = self.cycle
        super().on_headers_complete()
        if self._unknown is not None and self.cycle is not before:
            extensions: dict[str, Any] = cast("dict[str, Any]", self.cycle.scope)["extensions"]
            extensions[LEARN_HEAD] = (self.known, self._unknown)
        self._unknown = None

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection if nothing was answered on it meanwhile; else look again later.

        One timer stands for many answers: to set one for each costs as much as the answer.
        """
        quiet = self.loop.time() - self._answered_at
        self.timeout_keep_alive_task = None
        if self._first_half or self._under_way is not None or quiet < self.timeout_keep_alive:
            rest = max(self.timeout_keep_alive - quiet, _PATIENCE_SECONDS)
            self.timeout_keep_alive_task = self.loop.call_later(rest, self.timeout_keep_alive_handler)
        else:
            super().timeout_keep_alive_handler()

    def _waits_in_vain(self) -> bool:
        """Not on a connection whose requests were answered without the parser, which knows of none."""
        served = self._answered_at or self._first_half or self._under_way is not None
        return not (self._between and served)

    def shutdown(self) -> None:
        """Finish what has been received, then close."""
        if self._under_way is not None:
            self._ends = True
            return
        self._go_on()
        super().shutdown()

    def eof_received(self) -> bool:  # type: ignore[override]  # as below
        """Answer what was received, also while something is read for it, then close."""
        if self._under_way is None:
            return super().eof_received()
        self._ends = True
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a head whose body will not come."""
        self._take_first_half()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)


def _without_what_is_new(head: bytes) -> tuple[bytes, bytes]:
    """A head without the fields that are new in each request, and the request id that it gave, if any.

    What is left means the same but for that id: to a worker it is the head of a client that sends no such field. A
    field that is not written as clients write it stays, and so does an id that stands twice.
    """
    cut = _TRACE.sub(b"", head)
    given = _ID.search(cut)
    if given is None:
        return cut, b""
    return cut[: given.start()] + cut[given.end() :], given[1]
