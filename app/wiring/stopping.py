"""How a process ends: in order when it is told to, and with what it still has to write."""

import asyncio
import signal
import sys
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

import structlog

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


def say_stopping() -> None:
    """Tell a person at a terminal that the signal was heard: what is being answered may take a while."""
    if sys.stderr.isatty():
        sys.stderr.write("Stopping …\n")


@contextmanager
def stopping_in_order(stopping: asyncio.Event, drain_seconds: float) -> Iterator[None]:
    """While the block lasts, make SIGTERM set `stopping` first, and end the server only after the drain.

    The server goes on accepting meanwhile: load balancers need a moment to see that it is not ready. SIGINT, or a
    second SIGTERM, ends it at once. In a thread that is not the main one, as in tests, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = {signum: signal.getsignal(signum) for signum in _SIGNALS}

    def hand_on(number: int, frame: FrameType | None) -> None:
        handler = before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    def heard(number: int, frame: FrameType | None) -> None:
        again = stopping.is_set()
        loop.call_soon_threadsafe(stopping.set)
        if number == signal.SIGINT or again or not drain_seconds:
            hand_on(number, frame)
        else:
            loop.call_soon_threadsafe(loop.call_later, drain_seconds, hand_on, number, None)
        if not again:
            say_stopping()

    for signum in _SIGNALS:
        signal.signal(signum, heard)
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


_EACH_SECONDS: Final = 0.5
_TIMES: Final = 10
log = structlog.get_logger("sceau")


async def end_all(tasks: Collection["asyncio.Task[Any]"]) -> None:
    """Cancel tasks again and again until they have ended, for some seconds at most.

    Once is not always enough: a library may take a cancellation for its own, and its loop then goes on.
    """
    waiting = {task for task in tasks if not task.done()}
    for _ in range(_TIMES):
        if not waiting:
            return
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=_EACH_SECONDS)
    if waiting:
        log.warning("something does not end", tasks=len(waiting))
