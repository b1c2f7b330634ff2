"""Holds answers back until the end of a turn of the event loop, to write them together.

Each write to a socket wakes the process that reads it, which costs the writer 10 µs and more on a virtual machine: a
fifth of a decision. Answers that are written together wake their reader once, as it is still awake for the next ones.
Answers to requests that come right after one another are held; what comes singly is answered at once.
"""

import asyncio
from math import inf
from time import perf_counter
from typing import Any, Final

import structlog

_BACK_TO_BACK: Final = 30e-6
"""A request that begins less than so many seconds after the last answer had, nearly always, arrived before it."""
_LONGEST: Final = 200e-6
"""While answers keep coming, those that are held are written once the oldest has been for so many seconds. Otherwise
they wait for the end of the turn, and so for what else was ready in it."""
log = structlog.get_logger("sceau.http")


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

    def abort(self) -> None:
        """Cut the connection off."""
        self._transport.abort()

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
