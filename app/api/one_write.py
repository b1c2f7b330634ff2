"""uvicorn's HTTP protocol, writing at the end of a pass of the event loop: one system call for each answer.

uvloop hands each write to the kernel at once, and an answer is two of them (head, body). Each also wakes a client that
sleeps, which on a virtual machine costs as much as the decision itself. So what is written is held until all that was
ready in this pass has run; then every connection's bytes go out together. The bytes are the same.
"""

import asyncio
from typing import Any, ClassVar, Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_MOST_HELD: Final = 65_536


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
            transport.release()


class OneWriteTransport:
    """A transport that gathers what is written in one pass of the loop."""

    __slots__ = ("_held", "_transport", "_writes")

    def __init__(self, transport: asyncio.Transport, writes: HeldWrites) -> None:
        """Write to `transport` when `writes` are flushed."""
        self._transport = transport
        self._writes = writes
        self._held = b""

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
        """Write what is held."""
        held, self._held = self._held, b""
        if held:
            self._transport.write(held)

    def close(self) -> None:
        """Write what is held, then close."""
        self.release()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the transport has
        return getattr(self._transport, name)


class OneWriteProtocol(HttpToolsProtocol):
    """uvicorn's protocol on such a transport."""

    held: ClassVar[HeldWrites | None] = None
    """Of the loop that this process runs, for all of its connections."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Begin a connection."""
        writes = OneWriteProtocol.held
        if writes is None or writes.loop is not self.loop:
            writes = OneWriteProtocol.held = HeldWrites(self.loop)
        super().connection_made(cast("asyncio.Transport", OneWriteTransport(transport, writes)))
