"""uvicorn's HTTP protocol with bounds on what a client may send before anything of it is understood (docs/limits.md).

The parser keeps whatever comes: an endless header, a thousand of them, a byte a minute. Here a head is bounded in size,
lines and time, and so is the time until a request is whole; what goes beyond is answered as a problem document, and the
connection closed. Nothing is decided here. Answers that are ready together are written together (`Cork`).
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from math import inf
from time import perf_counter
from typing import Any, ClassVar, Final, cast

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.api.http.exchange import (
    HEAD_TOO_LARGE,
    HEAD_TOO_SLOW,
    LONGEST_HEAD,
    LONGEST_TARGET,
    MALFORMED,
    MOST_FIELDS,
    TARGET_TOO_LONG,
    UPGRADE,
    Refusal,
    answer_to,
    first_fields,
    head_length,
    refusal_of,
)

HEAD_SECONDS: Final = 15.0
"""How long a head may take, from the connection or the head's first byte on."""
REQUEST_SECONDS: Final = 40.0
"""How long the rest may take, from the end of the head on. The application answers 408 long before; this ends what is
sent on without an end after an answer."""
LAST_SECONDS: Final = 1.0
"""How long a connection without a request stays open once the server accepts no more."""
LINGER_SECONDS: Final = 2.0
"""How long a client that was refused may go on sending before it is cut off."""


log = structlog.get_logger("sceau.http")


class _RefusedError(Exception):
    """Raised in a callback of the parser, which then stops and says that it failed."""


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with those bounds.

    A connection has one timer. Each step of a request moves the deadline; the timer looks at it when it fires and is
    set again for the rest, so that a request costs no timer of its own.
    """

    refused: ClassVar[Counter[str]] = Counter()
    """How many requests of this process were refused here, by the word of their problem."""

    # Slots: with uvicorn's own attributes there would be more than an instance keeps inline (30), and each look slower.
    __slots__ = (
        "_begun",
        "_deadline",
        "_ended",
        "_half_closed",
        "_handed_on",
        "_head_bytes",
        "_in_head",
        "_in_message",
        "_last",
        "_read_bytes",
        "_refusal",
        "_refused_next",
        "_seconds",
        "_step_begun",
        "_timer",
        "_timer_due",
        "_trailers",
    )

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Begin a connection, and the time that its first head may take."""
        super().connection_made(transport)
        self._in_head = self._in_message = self._ended = self._half_closed = self._step_begun = self._handed_on = False
        self._last = False
        self._head_bytes = self._read_bytes = self._begun = self._trailers = 0
        self._refusal: Refusal = MALFORMED
        self._refused_next: Refusal | None = None
        self._seconds = self._deadline = self._timer_due = inf
        self._timer: asyncio.TimerHandle | None = None
        self.begin_step(HEAD_SECONDS)
        self._move_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """End a connection."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, up to the longest head; what arrives after a refusal is dropped."""
        if self._ended or self._refused_next is not None:
            return
        self._read_bytes, self._begun = len(data), 0
        in_head, in_message = self._in_head, self._in_message
        super().data_received(data)
        if self._in_head and not self._ended:
            # The parser may hold the beginning of a field, so all bytes count that can be the head's alone. If other
            # requests stand before it in the read in which it begins, only what was read of it counts there.
            if in_head and not self._begun:
                self._head_bytes += len(data)
            else:
                alone = self._begun == 1 and not in_message
                self._head_bytes = len(data) if alone else head_length(self.url, self.headers)
            if self._head_bytes > LONGEST_HEAD:
                self.refuse(HEAD_TOO_LARGE)
        if self._step_begun:
            self._move_deadline()

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio asks, uvicorn has nothing to say
        """Answer a client that has closed its half after a whole request (Exim does, `nc -N` too), then close.

        uvicorn would close at once, and the answer would be lost.
        """
        if self.is_answering():
            self._half_closed = True
            self.cycle.keep_alive = False
        else:
            self.transport.close()  # not by asyncio, which would end the connection before an answer that is held back
        return True

    def on_message_begin(self) -> None:
        """Begin a head. The application's scope is made later, once it is known that the application will answer."""
        self.url, self.headers, self._trailers = b"", [], 0
        self._in_head = self._in_message = True
        self._handed_on, self._head_bytes = False, 0
        self._begun += 1
        self.begin_step(HEAD_SECONDS)

    def on_url(self, url: bytes) -> None:
        """Read a piece of the target."""
        self.url += url
        if len(self.url) > LONGEST_TARGET:
            self._refusal = TARGET_TOO_LONG
            raise _RefusedError

    def on_header(self, name: bytes, value: bytes) -> None:
        """Read a field of the head; a trailer behind a chunked body is counted and dropped (RFC 9110, 6.5.1)."""
        if self._in_head:
            self.headers.append((name.lower(), value))
        else:
            self._trailers += 1
        if len(self.headers) + self._trailers > MOST_FIELDS:
            self._refusal = HEAD_TOO_LARGE
            raise _RefusedError

    def on_headers_complete(self) -> None:
        """End a head, check it, and begin its request."""
        if self.transport.is_closing():
            raise _RefusedError  # behind the last answer of a connection: nobody would hear what became of it
        if self.parser.should_upgrade():
            # The parser takes a request that asks to upgrade (or CONNECT) to end with its head, whatever body the head
            # announces: that body would be read as the connection's next request, with a proxy's next key.
            self._refusal = UPGRADE
            raise _RefusedError
        if self._head_bytes + self._read_bytes > LONGEST_HEAD and head_length(self.url, self.headers) > LONGEST_HEAD:
            self._refusal = HEAD_TOO_LARGE
            raise _RefusedError
        fields = first_fields(self.headers)
        refusal = refusal_of(self.parser.get_http_version(), self.headers, fields)
        if refusal is not None:
            self._refusal = refusal
            raise _RefusedError
        self._in_head = False
        self.begin_request(fields)

    def begin_request(self, fields: Mapping[bytes, bytes]) -> None:  # noqa: ARG002 - for who takes it before
        """Begin a request whose head is whole: the application handles it in a separate task.

        `fields`: the header fields, as `first_fields` gives them.
        """
        self.begin_step(REQUEST_SECONDS)
        url, headers = self.url, self.headers
        super().on_message_begin()  # makes the scope, and begins the head anew
        self.url, self.headers = url, headers
        self.scope["headers"] = headers
        self.expect_100_continue = (b"expect", b"100-continue") in [(name, value.lower()) for name, value in headers]
        super().on_headers_complete()
        self._handed_on = True  # from here on uvicorn's cycle is that of this request
        if self._last:
            self.cycle.keep_alive = False
        if self.expect_100_continue or not self.cycle.keep_alive:
            # An answer that ends the connection may come before the body, which may be sent all the same.
            self.cycle.transport = cast("asyncio.Transport", LastWords(self))

    def on_message_complete(self) -> None:
        """End a request."""
        self._in_message = False
        self.begin_step(inf)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Begin the next request, or refuse what arrived behind the last whole one."""
        if self._ended:
            self.pipeline.clear()  # whole requests behind the last answer of a connection get none
            return
        super().on_response_complete()
        if self.is_answering():
            return
        if self._refused_next is not None:
            self._end_with(self._refused_next)
        elif self._half_closed:
            self.transport.close()  # the rest of what was begun will not come

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's own words
        """Answer a request that the parser could not read, or that a callback refused."""
        self.refuse(self._refusal)

    def is_answering(self) -> bool:
        """Whether a whole request on this connection awaits its answer, or an answer has begun."""
        cycle = self._open_cycle()
        if cycle is None:
            return False
        # uvicorn keeps the last request here; those queued before it are whole.
        return not cycle.more_body or bool(self.pipeline) or cycle.response_started

    def _open_cycle(self) -> RequestResponseCycle | None:
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return None if cycle is None or cycle.response_complete else cycle

    def refuse(self, refusal: Refusal) -> None:
        """Answer with a problem, then send nothing more; earlier whole requests are answered first.

        What still arrives is read for a while: a socket that is closed with something unread resets the connection,
        and the client could lose the answer (RFC 9112, section 9.6).
        """
        if self._ended or self.transport.is_closing():
            return
        in_body, self._in_head = self._in_message and not self._in_head, False
        if self.is_answering():
            self._refused_next = refusal
            if self.cycle.more_body:
                # The answer that has begun is the only one of this request: the connection ends behind it.
                self.cycle.keep_alive, self.cycle.transport = False, cast("asyncio.Transport", LastWords(self))
            self.begin_step(REQUEST_SECONDS)
            self._move_deadline()
            return
        if in_body and self._handed_on and self.cycle.response_complete:
            self.linger()  # a request has one answer
        else:
            self._end_with(refusal)

    def _end_with(self, refusal: Refusal) -> None:
        if self._ended or self.transport.is_closing():
            return
        self.refused[refusal.slug] += 1
        self.transport.write(answer_to(refusal, self.server_state.default_headers))
        self.linger()

    def linger(self) -> None:
        """Close the sending half, and drop what arrives until the client closes too, for a while at most."""
        self._ended = True
        cycle = self._open_cycle()
        if cycle is not None:
            # The application has a request whose rest will not be read. To it, that client has left: what it says is
            # dropped, and a "100 Continue" too, since nothing may be written behind the end.
            cycle.disconnected, cycle.waiting_for_100_continue = True, False
            cycle.message_event.set()
        self.transport.write_eof()
        self.begin_step(LINGER_SECONDS)
        self._move_deadline()

    def shutdown(self) -> None:
        """Answer what has been received or is just being received, then close.

        A request may be on its way to a connection that looks idle: it has a moment to arrive.
        """
        self._last = True
        cycle = self._open_cycle()
        if cycle is not None:
            cycle.keep_alive = False
        elif not self._in_message:
            self.begin_step(LAST_SECONDS)
            self._move_deadline()

    def end_after_answer(self) -> None:
        """Close after an answer, once the rest of an unread body has arrived."""
        if self._in_message and not self._ended and not self.transport.is_closing():
            self.linger()
        else:
            self.transport.close()

    def begin_step(self, seconds: float) -> None:
        """Set how long the next step may take, in the place of the last deadline; `inf` means without limit.

        The deadline moves after everything received has been read, since most requests arrive whole.
        """
        self._seconds, self._step_begun = seconds, True

    def _move_deadline(self) -> None:
        self._step_begun = False
        self._deadline = self.loop.time() + self._seconds
        if self._deadline < self._timer_due:
            if self._timer is not None:
                self._timer.cancel()
            self._set_timer()

    def _set_timer(self) -> None:
        self._timer_due = self._deadline
        self._timer = self.loop.call_at(self._deadline, self._look_at_deadline)

    def _look_at_deadline(self) -> None:
        self._timer, self._timer_due = None, inf
        if self._deadline == inf:
            return
        if self.loop.time() < self._deadline:
            self._set_timer()
        elif self._in_head:
            self.refuse(HEAD_TOO_SLOW)
        else:
            self.too_late()

    def too_late(self) -> None:
        """End a connection on which nothing came in time: no request, no end of a body, no end after a refusal."""
        self.transport.close()


class LastWords:
    """Takes the place of the transport to which uvicorn writes an answer, to end the connection behind it."""

    def __init__(self, protocol: "BoundedProtocol") -> None:
        """Stand for the transport of that connection."""
        self._protocol = protocol

    def write(self, data: bytes) -> None:
        """Send."""
        self._protocol.transport.write(data)

    def is_closing(self) -> bool:
        """Whether the connection is closing."""
        return self._protocol.transport.is_closing()

    def close(self) -> None:
        """End the connection behind the answer."""
        self._protocol.end_after_answer()


# Answers are held back until the end of a turn of the event loop, to be written together.
#
# Each write to a socket wakes the process that reads it, which costs the writer 10 µs and more on a virtual machine: a
# fifth of a decision. Answers that are written together wake their reader once, as it is still awake for the next ones.
# Answers to requests that come right after one another are held; what comes singly is answered at once.

_BACK_TO_BACK: Final = 30e-6
"""A request that begins less than so many seconds after the last answer had, nearly always, arrived before it."""
_LONGEST: Final = 200e-6
"""While answers keep coming, those that are held are written once the oldest has been for so many seconds. Otherwise
they wait for the end of the turn, and so for what else was ready in it."""


class Cork:
    """The transports of one event loop that hold an answer back. Times are those of `perf_counter`."""

    __slots__ = ("holding", "last", "since")

    def __init__(self) -> None:
        """Hold nothing back."""
        self.holding: list[CorkedTransport] = []
        self.since = -inf
        """Since when the oldest answer that is held has been."""
        self.last = -inf
        """When the last answer was written or held."""

    def release(self) -> None:
        """Write all that is held; a connection that cannot be written to keeps no other waiting."""
        holding, self.holding = self.holding, []
        for transport in holding:
            try:
                transport.release()
            except Exception:
                log.exception("an answer could not be written")


class CorkedTransport(asyncio.Transport):
    """A connection's transport that can hold an answer back; whatever is written or ended later goes behind it."""

    __slots__ = ("_cork", "_held", "_transport")

    def __init__(self, transport: asyncio.Transport, cork: Cork) -> None:
        """Stand for `transport`; `cork` is that of its event loop."""
        super().__init__()
        self._transport = transport
        self._cork = cork
        self._held = b""

    def answer(self, data: bytes, began: float) -> None:
        """Write the answer to a request whose head was whole at `began`, or hold it back for this turn."""
        cork = self._cork
        if began - cork.last >= _BACK_TO_BACK:
            self.write(data)
        else:
            if not cork.holding:
                cork.since = perf_counter()
                asyncio.get_running_loop().call_soon(cork.release)
            cork.holding.append(self)
            self._held += data
        cork.last = perf_counter()
        if cork.holding and cork.last - cork.since > _LONGEST:
            cork.release()

    def release(self) -> None:
        """Write what is held, unless the connection has been lost or cut off meanwhile."""
        held, self._held = self._held, b""
        if held and not self._transport.is_closing():
            self._transport.write(held)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write behind what is held."""
        self.release()
        self._transport.write(data)

    def write_eof(self) -> None:
        """Close the sending half behind what is held."""
        self.release()
        self._transport.write_eof()

    def close(self) -> None:
        """Close the connection behind what is held."""
        self.release()
        self._transport.close()

    def is_closing(self) -> bool:
        """Whether the connection is closing."""
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        """Read no more for now."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        self._transport.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - as asyncio's own
        """What the transport knows of the connection."""
        return self._transport.get_extra_info(name, default)
