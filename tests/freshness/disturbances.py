"""What a worker under test may be told to suffer, by its environment. Nothing of this is reachable from `app`.

STALE_MUTANT: a mechanism of the protocol to switch off (`tests.freshness.mutants`). STALE_WALL_HOURS: how far its wall
clock is off. STALE_NO_NOTIFY: its commits wake nobody. STALE_SLOW_LANDING: seconds, at most, between a read and its
keeping.
"""

import os
import random
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta, tzinfo
from typing import Any, Self

from tests.freshness.mutants import IN_A_WORKER


def disturb() -> None:
    """Do to this process what the environment says."""
    mutant = os.environ.get("STALE_MUTANT")
    if mutant:
        IN_A_WORKER[mutant](setattr)
    hours = float(os.environ.get("STALE_WALL_HOURS", "0"))
    if hours:
        shift_wall_clock(hours)
    if os.environ.get("STALE_NO_NOTIFY"):
        suppress_notify()
    slow = float(os.environ.get("STALE_SLOW_LANDING", "0"))
    if slow:
        slow_landing(slow)


def shift_wall_clock(hours: float) -> None:
    """Put this process's wall clock off; clocks that count from the machine's start stay as they are."""
    real_time, seconds = time.time, hours * 3600

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + timedelta(hours=hours)

    time.time = lambda: real_time() + seconds
    time.time_ns = lambda: int((real_time() + seconds) * 1e9)
    import app.main as root

    vars(root)["datetime"] = Shifted


def suppress_notify() -> None:
    """Commits of this process wake no feed."""
    from app.snapshot.notifier import Notifier

    setattr(Notifier, "poke", lambda *_: None)  # noqa: B010 - not a method to mypy


def slow_landing(longest: float) -> None:
    """Wait between what a read found and its keeping, so that changes overtake it."""
    import asyncio

    from app.snapshot.replica import Replica

    read: Callable[..., Awaitable[Any]] = Replica._read_subjects

    async def slowly(self: Replica, refs: Any) -> Any:
        found = await read(self, refs)
        await asyncio.sleep(random.uniform(0, longest))
        return found

    setattr(Replica, "_read_subjects", slowly)  # noqa: B010 - not a method to mypy
