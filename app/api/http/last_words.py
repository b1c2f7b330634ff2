"""The transport of an answer that may come before the body of its request: it ends without a reset."""

import asyncio
from typing import Protocol


class Answering(Protocol):
    """A connection that answers."""

    transport: asyncio.Transport

    def end_after_answer(self) -> None:
        """Close, or let what is still sent come first."""


class LastWords:
    """What uvicorn writes an answer to, in the place of the connection's own transport."""

    def __init__(self, protocol: Answering) -> None:
        """Stand for that connection's."""
        self._protocol = protocol

    def write(self, data: bytes) -> None:
        """Send."""
        self._protocol.transport.write(data)

    def is_closing(self) -> bool:
        """Whether nothing more is sent."""
        return self._protocol.transport.is_closing()

    def close(self) -> None:
        """End the connection behind the answer."""
        self._protocol.end_after_answer()
