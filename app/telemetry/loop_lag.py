"""How long the event loop of this process kept waiting what was due: what holds it holds every answer."""

import asyncio
from collections import deque
from typing import Final

_EACH_SECONDS: Final = 0.25
_KEPT: Final = 60


class LoopLag:
    """Measures again and again how much later than asked a sleep ends."""

    def __init__(self) -> None:
        """Nothing is measured yet."""
        self._late: deque[float] = deque([0.0], maxlen=_KEPT)

    async def keep(self) -> None:
        """Measure four times a second, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _EACH_SECONDS
            await asyncio.sleep(_EACH_SECONDS)
            self._late.append(max(0.0, loop.time() - due))

    def longest(self) -> float:
        """The longest of the last fifteen seconds, in seconds."""
        return max(self._late)
