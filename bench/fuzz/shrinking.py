"""The shortest requests that show a finding again, on new connections, with the facts as they stand."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bench.fuzz.plays import Flight, Play, Track

if TYPE_CHECKING:
    from bench.fuzz.fuzzer import Finding, Fuzzer

_AGAIN = 2


@dataclass(frozen=True, slots=True)
class Reproduction:
    """What to send to see it again; `what` is wrong then, "" where it was not seen again by any part of the play."""

    what: str
    play: Play


async def shortest(fuzzer: "Fuzzer", finding: "Finding", seconds: float) -> Reproduction:
    """The shortest play that still shows a finding: requests and cuts are left out while it does, for some seconds."""
    until = time.monotonic() + seconds
    track = replace(finding.track, fresh=True)
    whole = [replace(each, fresh=True) for each in finding.play]
    last = track.flights[-1]
    candidates: list[Play] = [
        *([Track([Flight([each])], fresh=True)] for each in last.requests),
        [replace(track, flights=[last])],
        [track],
        whole,
    ]
    found = None
    for play in candidates:
        found = await _seen(fuzzer, play)
        if found is not None:
            break
    if found is None:
        return Reproduction("", [track])
    while time.monotonic() < until:
        shorter = await _first_seen(fuzzer, found.play, until)
        if shorter is None:
            break
        found = shorter
    return found


async def _first_seen(fuzzer: "Fuzzer", play: Play, until: float) -> Reproduction | None:
    for each in _shorter(play):
        if time.monotonic() > until:
            break
        found = await _seen(fuzzer, each)
        if found is not None:
            return found
    return None


async def _seen(fuzzer: "Fuzzer", play: Play) -> Reproduction | None:
    """The play, if it shows something wrong; it is played twice, since the first time may be cold."""
    for _ in range(_AGAIN):
        found = await fuzzer.play(play)
        if found:
            return Reproduction(found[0].what, play)
    return None


def _shorter(play: Play) -> Iterator[Play]:
    """Plays with one track, flight, request or cut less."""
    if len(play) > 1:
        for at in range(len(play)):
            yield play[:at] + play[at + 1 :]
        return
    (track,) = play
    flights = list(track.flights)
    if len(flights) > 1:
        for at in range(len(flights)):
            yield [replace(track, flights=flights[:at] + flights[at + 1 :])]
    for at, flight in enumerate(flights):
        for shorter in _shorter_flights(flight):
            yield [replace(track, flights=[*flights[:at], shorter, *flights[at + 1 :]])]


def _shorter_flights(flight: Flight) -> Iterator[Flight]:
    requests, cuts = list(flight.requests), list(flight.cuts)
    if len(requests) > 1:
        for at in range(len(requests)):
            fewer = requests[:at] + requests[at + 1 :]
            size = len(Flight(fewer).data)
            yield Flight(fewer, [cut for cut in cuts if cut < size], flight.pause)
    if len(cuts) > 1:
        yield replace(flight, cuts=[])
        yield replace(flight, cuts=cuts[: len(cuts) // 2])
        yield replace(flight, cuts=cuts[len(cuts) // 2 :])
