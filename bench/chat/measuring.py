"""Times of messages on two servers that differ in the module alone, taken in turns; and what they cost in processor."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from operator import sub
from pathlib import Path
from statistics import median, quantiles

_PAUSE = 0.05
"""Seconds after each message: what the module still does for it must not disturb the next."""
_WARM_UP = 30
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Times:
    """Of one message, in seconds: until the sender's request was answered (None: it is not), until it was received."""

    sent: float | None
    received: float


@dataclass
class Side:
    """A server, with the module or without: how to send a message on it, and what came of it."""

    name: str
    message: Callable[[], Times]
    pid: int
    times: list[Times] = field(default_factory=list)
    processor: float = 0.0

    @property
    def sent(self) -> list[float]:
        """The senders' times."""
        return [each.sent for each in self.times if each.sent is not None]

    @property
    def received(self) -> list[float]:
        """The receivers' times."""
        return [each.received for each in self.times]


def take_turns(sides: tuple[Side, Side], messages: int) -> Iterator[int]:
    """Send so many messages on each side, the other one first each time; yields how many are done."""
    for _ in range(_WARM_UP):
        for side in sides:
            side.message()
            time.sleep(_PAUSE)
    for number in range(messages):
        for side in sides if number % 2 else sides[::-1]:
            before = processor_seconds(side.pid)
            side.times.append(side.message())
            time.sleep(_PAUSE)
            side.processor += processor_seconds(side.pid) - before
        yield number + 1


def processor_seconds(pid: int) -> float:
    """What a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def report(server: str, without: Side, asking: Side) -> dict[str, float | str]:
    """The figures of a pair in milliseconds: medians, 95th percentiles, and the median of what each round added."""
    figures: dict[str, float | str] = {"server": server, "messages": len(asking.times)}
    for name, taken in (("sent", lambda side: side.sent), ("received", lambda side: side.received)):
        if not taken(asking):
            continue
        figures[f"{name} without"] = _milliseconds(median(taken(without)))
        figures[f"{name} with"] = _milliseconds(median(taken(asking)))
        figures[f"{name} added"] = _milliseconds(median(map(sub, taken(asking), taken(without))))
        figures[f"{name} p95 without"] = _milliseconds(quantiles(taken(without), n=20)[-1])
        figures[f"{name} p95 with"] = _milliseconds(quantiles(taken(asking), n=20)[-1])
    figures["processor without"] = _milliseconds(without.processor / len(without.times))
    figures["processor with"] = _milliseconds(asking.processor / len(asking.times))
    return figures


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1_000, 2)
