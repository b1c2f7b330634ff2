"""Holds answers back until the end of a turn of the event loop, to write them together.

Each write to a socket wakes the process that reads it, which costs the writer 10 µs and more on a virtual machine: a
fifth of a decision. Answers that are written together wake a reader once, since it is still awake for the next ones.
Nothing is held while requests come singly: only the answer to a request that had arrived before the last answer left.
"""

import asyncio
from math import inf
from time import perf_counter
from typing import Any, Final

_BACK_TO_BACK: Final = 30e-6
"""Seconds from one answer to the next request within which no client can have read the one and sent the other."""
_LONGEST: Final = 200e-6
"""How many seconds an answer is held at most, and the work on one more request."""


class Cork:
    """The transports of one event loop that hold something back."""

    __slots__ = ("_holding", "_last", "_since")

    def __init__(self) -> None:
        """Hold nothing back."""
        self._holding: list[CorkedTransport] = []
        self._last = self._since = -inf

    def holds(self, transport: "CorkedTransport", began: float) -> bool:
        """Return whether a transport shall hold an answer back, to a request that began at `began` (`perf_counter`)."""
        if began - self._last >= _BACK_TO_BACK:
            return False
        if not self._holding:
            self._since = began
            asyncio.get_running_loop().call_soon(self.release)
        self._holding.append(transport)
        return True

    def answered(self) -> None:
        """Note that an answer was written or held; write what is held if it has been for long enough."""
        self._last = perf_counter()
        if self._holding and self._last - self._since > _LONGEST:
            self.release()

    def release(self) -> None:
        """Write all that is held, in the order in which it was answered."""
        holding, self._holding = self._holding, []
        for transport in holding:
            transport.release()


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
        """Write an answer, or hold it back for this turn; its request began at `began` (`perf_counter`)."""
        if self._cork.holds(self, began):
            self._held += data
        else:
            self.write(data)
        self._cork.answered()

    def release(self) -> None:
        """Write what is held, unless the connection has been lost meanwhile."""
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
