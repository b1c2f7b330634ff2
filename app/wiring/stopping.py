"""How a process stops: not ready first, then draining, then what is being answered is finished."""

import asyncio
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


def say_stopping() -> None:
    """Tell a person at a terminal that the signal was heard: what is being answered may take a while."""
    if sys.stderr.isatty():
        sys.stderr.write("Stopping …\n")


@contextmanager
def stopping_in_order(stopping: asyncio.Event, drain_seconds: float) -> Iterator[None]:
    """While the block lasts, have SIGTERM set `stopping` first, and end the server only after the drain.

    The server goes on accepting meanwhile: load balancers need a moment to see that it is not ready. SIGINT, or a
    second SIGTERM, ends it at once. In a thread that is not the main one, as in tests, nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = {each: signal.getsignal(each) for each in _SIGNALS}

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

    for each in _SIGNALS:
        signal.signal(each, heard)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
