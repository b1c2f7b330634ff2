"""Where a task is made to wait at a chosen point, so that an interleaving can be placed by hand."""

import asyncio
import time
from collections.abc import Callable


class Gate:
    """Open until it is closed; counts the tasks that have come to it."""

    def __init__(self) -> None:
        """Stand open."""
        self.renew()

    def renew(self) -> None:
        """Stand open as at first, for another event loop."""
        self.arrivals = 0
        self._standing = 0
        self._allowed: int | None = None
        self._moved = asyncio.Event()

    @property
    def waiting(self) -> bool:
        """Whether a task waits at it."""
        return self._standing > 0

    @property
    def standing(self) -> int:
        """How many tasks wait at it."""
        return self._standing

    def close(self, *, after: int = 0) -> None:
        """Let `after` more tasks pass, and no others."""
        self._allowed = after
        self._moved.set()

    def open(self) -> None:
        """Let every task pass."""
        self._allowed = None
        self._moved.set()

    async def pass_through(self) -> None:
        """Wait while it is closed."""
        self.arrivals += 1
        self._standing += 1
        try:
            while self._allowed is not None and self._allowed <= 0:
                self._moved.clear()
                await self._moved.wait()
        finally:
            self._standing -= 1
        if self._allowed is not None:
            self._allowed -= 1


PAUSE = Gate()
"""Where mutants wait in the middle of a step."""


async def until(condition: Callable[[], object], *, seconds: float = 20.0) -> None:
    """Return when the condition holds.

    Raises:
        TimeoutError: it did not in time.

    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("what a scenario waits for did not happen")
        await asyncio.sleep(0.003)
