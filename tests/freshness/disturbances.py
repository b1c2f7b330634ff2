"""Disturbances that a worker under test takes from its environment. Nothing of this is reachable from `app`.

STALE_MUTANT: a mechanism of the protocol to switch off (`tests.freshness.mutants`). STALE_WALL_HOURS: how far its wall
clock is off. STALE_NO_NOTIFY: its commits wake no feed. STALE_SLOW_LANDING: seconds, at most, between a read and its
keeping. STALE_SLOW_PEEK: seconds, at most, between the parts of a peek; now and then the process is stopped for three
seconds between forgetting and acknowledging.
"""

import os
import random
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from tests.freshness import ways
from tests.freshness.mutants import IN_A_WORKER

_STOPPED = 0.03


def disturb() -> None:
    """Do to this process what the environment says."""
    mutant = os.environ.get("STALE_MUTANT")
    if mutant:
        IN_A_WORKER[mutant](setattr)
    if os.environ.get("STALE_NO_NOTIFY"):
        suppress_notify()
    measured = {"STALE_WALL_HOURS": shift_wall_clock, "STALE_SLOW_LANDING": slow_landing, "STALE_SLOW_PEEK": slow_peek}
    for name, act in measured.items():
        if measure := float(os.environ.get(name, "0")):
            act(measure)


def shift_wall_clock(hours: float) -> None:
    """Put this process's wall clock off; clocks that count from the machine's start stay as they are."""
    real_time, seconds = time.time, hours * 3600
    time.time = lambda: real_time() + seconds
    time.time_ns = lambda: int((real_time() + seconds) * 1e9)
    import app.wiring.parts
    import app.wiring.services

    for module in (app.wiring.parts, app.wiring.services):
        real = vars(module)["wall_clock"]  # a KeyError if the clock is read elsewhere by now
        vars(module)["wall_clock"] = lambda real=real: real() + timedelta(hours=hours)


def suppress_notify() -> None:
    """Commits of this process wake no feed."""
    from app.snapshot.feed import Notifier

    setattr(Notifier, "poke", lambda *_: None)  # noqa: B010 - not a method to mypy


def slow_landing(longest: float) -> None:
    """Wait between what a read found and its keeping, so that changes overtake it."""
    import asyncio

    from app.snapshot.replica import Replica

    read: Callable[..., Awaitable[Any]] = Replica._read_subjects

    async def slowly(self: Replica, refs: Any) -> Any:
        records = await read(self, refs)
        await asyncio.sleep(random.uniform(0, longest))
        return records

    setattr(Replica, "_read_subjects", slowly)  # noqa: B010 - not a method to mypy


def slow_peek(longest: float) -> None:
    """Wait before what a peek read is forgotten, and before it is acknowledged; stop there altogether now and then."""
    import asyncio

    from app.snapshot.feed import Feed

    peek: Callable[..., Awaitable[Any]] = vars(Feed)["_peek"]
    acknowledge: Callable[..., Awaitable[Any]] = vars(Feed)["_acknowledge"]

    async def slowly(self: Feed, *arguments: Any) -> Any:
        read = await peek(self, *arguments)
        await asyncio.sleep(random.uniform(0, longest))
        return read

    async def late(self: Feed, *arguments: Any) -> Any:
        await asyncio.sleep(random.uniform(0, longest))
        if random.random() < _STOPPED:
            stop_for(3)
            ways.happened[ways.STOPPED] += 1
        return await acknowledge(self, *arguments)

    setattr(Feed, "_peek", slowly)  # noqa: B010 - not a method to mypy
    setattr(Feed, "_acknowledge", late)  # noqa: B010


def stop_for(seconds: int) -> None:
    """Stop this process (SIGSTOP) until another one lets it go on."""
    subprocess.Popen(["sh", "-c", f"sleep {seconds}; kill -CONT {os.getpid()}"])
    os.kill(os.getpid(), signal.SIGSTOP)
