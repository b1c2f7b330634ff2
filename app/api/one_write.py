"""uvicorn's HTTP protocol, writing at the end of a pass of the event loop: one system call for each answer.

uvloop hands each write to the kernel at once, and an answer is two of them (head, body). Each also wakes a client that
sleeps, which on a virtual machine costs as much as the decision itself. So what is written is held until all that was
ready in this pass has run; then every connection's bytes go out together. The bytes are the same.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Final, cast

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from app.api.bounded_protocol import BoundedProtocol

WHOLE_ANSWER: Final = "sceau.whole_answer"
"""An ASGI extension: `(head, body) -> bool` answers 200 in one call, `head` being header lines that end in CRLF.

False when this answer is to be sent in ASGI's own way. Who calls it vouches for the lines: they are not looked at.
"""
WholeAnswer = Callable[[bytes, bytes], bool]
CYCLE: Final = "sceau.cycle"
"""An ASGI extension: uvicorn's own view of the exchange, whose `keep_alive` says whether the connection goes on."""

_MOST_HELD: Final = 65_536
_OK: Final = b"HTTP/1.1 200 OK\r\n"


class HeldWrites:
    """The transports of one event loop that have something to write."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Flush by that loop."""
        self.loop = loop
        self._transports: list[OneWriteTransport] = []

    def add(self, transport: "OneWriteTransport") -> None:
        """Have a transport flushed at the end of this pass."""
        if not self._transports:
            self.loop.call_soon(self._flush)
        self._transports.append(transport)

    def _flush(self) -> None:
        transports, self._transports = self._transports, []
        for transport in transports:
            try:
                transport.release()
            except Exception as error:  # noqa: BLE001 - one broken connection must not keep the others from theirs
                self.loop.call_exception_handler({"message": "an answer was not written", "exception": error})


class OneWriteTransport:
    """A transport that gathers what is written in one pass of the loop."""

    __slots__ = ("_ended", "_held", "_transport", "_writes")

    def __init__(self, transport: asyncio.Transport, writes: HeldWrites) -> None:
        """Write to `transport` when `writes` are flushed."""
        self._transport = transport
        self._writes = writes
        self._held = b""
        self._ended = False

    def write(self, data: bytes) -> None:
        """Hold bytes until the end of the pass, or until there are many."""
        if not self._held:
            self._held = data
            self._writes.add(self)
        else:
            self._held += data
        if len(self._held) > _MOST_HELD:
            self.release()

    def release(self) -> None:
        """Write what is held, unless the client has gone meanwhile."""
        held, self._held = self._held, b""
        if held and not self._ended and not self._transport.is_closing():
            self._transport.write(held)

    def write_eof(self) -> None:
        """Write what is held, then nothing more."""
        self.release()
        if not self._ended:
            self._ended = True
            self._transport.write_eof()

    def close(self) -> None:
        """Write what is held, then close."""
        self.release()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the transport has
        return getattr(self._transport, name)


class OneWriteProtocol(BoundedProtocol):
    """uvicorn's protocol on such a transport."""

    heads: ClassVar[tuple[list[tuple[bytes, bytes]], bytes]] = ([], _OK)
    """The status line and the server's own headers, written out; with the list that they are made of (the date)."""
    held: ClassVar[HeldWrites | None] = None
    """Of the loop that this process runs, for all of its connections."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Begin a connection."""
        writes = OneWriteProtocol.held
        if writes is None or writes.loop is not self.loop:
            writes = OneWriteProtocol.held = HeldWrites(self.loop)
        super().connection_made(cast("asyncio.Transport", OneWriteTransport(transport, writes)))

    def on_headers_complete(self) -> None:
        """Begin a request, and offer to answer it whole."""
        before = self.cycle
        super().on_headers_complete()
        cycle = self.cycle
        if cycle is not before:
            # Its task has been made and has not run yet.
            scope = cast("dict[str, Any]", cycle.scope)
            scope["extensions"] = {WHOLE_ANSWER: partial(_answer_whole, cycle), CYCLE: cycle}

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio asks, uvicorn has nothing to say
        """Answer a client that has closed its half after a whole request (Exim does, `nc -N` too), then close.

        uvicorn would close at once, and the answer would be lost.
        """
        cast("OneWriteTransport", self.transport).release()
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is None or cycle.response_complete or cycle.more_body:
            return False
        cycle.keep_alive = False
        return True


def ok(own: list[tuple[bytes, bytes]], head: bytes, body: bytes) -> bytes:
    """A whole answer of 200: the server's own headers, these header lines, and the body."""
    made_of, lines = OneWriteProtocol.heads
    if made_of is not own:
        lines = _OK + b"".join(b"%s: %s\r\n" % header for header in own)
        OneWriteProtocol.heads = (own, lines)
    return b"%scontent-length: %d\r\n%s\r\n%s" % (lines, len(body), head, body)


def _answer_whole(cycle: RequestResponseCycle, head: bytes, body: bytes) -> bool:
    """What `RequestResponseCycle.send` does for a 200 and its whole body, when nothing about it is unusual."""
    if cycle.disconnected:
        return True
    if cycle.response_started or not cycle.keep_alive or cycle.flow.write_paused or cycle.access_log:
        return False
    cycle.response_started = True
    cycle.transport.write(ok(cycle.default_headers, head, body))
    cycle.response_complete = True
    cycle.message_event.set()
    cycle.on_response()
    return True
