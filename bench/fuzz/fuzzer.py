"""Rounds of writes and plays against one service, each answer checked; what is wrong is kept with what led to it."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from bench.fuzz.checking import Checker
from bench.fuzz.heads import Heads
from bench.fuzz.lines import Answer, Line, NoAnswerError
from bench.fuzz.plays import Flight, Play, Playwright, Track
from bench.fuzz.reading import Heard, Unreadable
from bench.fuzz.world import IDLE_SECONDS, World

_REFUSALS = frozenset({400, 408, 413, 414, 431})
_SOON = 1.0
_POOL = 60
Read = list[tuple[Heard | Unreadable, bool]]
"""What was sent as another reader reads it, and whether something odd was sent on the connection by then."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong: in which round, what, and the track up to it; `play` is all that was sent at the time."""

    round: int
    what: str
    track: Track
    play: Play


@dataclass(slots=True)
class Fuzzer:
    """Plays against the service of a world; `seen` counts what happened, `without` names variants left out."""

    world: World
    checker: Checker
    seed: str
    without: Collection[str] = ()
    findings: list[Finding] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    _pool: list[Line] = field(default_factory=list)

    async def run(
        self, *, requests: int, seconds: float, most: int = 5, look: Callable[[], str | None] = lambda: None
    ) -> None:
        """Play until so many requests were answered, or so long, or until so much was found.

        `look` tells what is wrong outside of the answers, such as an id in a log; it is asked after each round.
        """
        chance = random.Random(self.seed)
        self.world.chance = chance
        written = Playwright(self.world, chance, Heads(chance, self.without), self.without)
        until = time.monotonic() + seconds
        number = 0
        while self.seen["answered"] < requests and time.monotonic() < until and len(self.findings) < most:
            number += 1
            for _ in range(chance.choice([0, 0, 1, 1, 3])):
                await self.world.change()
                self.seen["writes"] += 1
            play = written.write()
            self.findings += (await self.play(play, number))[:1]
            found = look()
            if found is not None:
                self.findings.append(Finding(number, found, play[0], play))
        self.seen["rounds"] += number

    def close(self) -> None:
        """Drop every connection."""
        for line in self._pool:
            line.close()
        self._pool.clear()

    async def play(self, play: Play, number: int = 0) -> list[Finding]:
        """Run the tracks of a play at the same time; what is wrong with any."""
        found = await asyncio.gather(*(self._follow(track) for track in play))
        return [Finding(number, what, track, play) for each in found if each is not None for what, track in [each]]

    async def _follow(self, track: Track) -> tuple[str, Track] | None:
        """Run one track; what is wrong, with the track up to there."""
        line = await self._line(track)
        for at, flight in enumerate(track.flights):
            ends = track.ends and at + 1 == len(track.flights)
            early = line.early()
            wrong = f"came unasked: {early!r}" if early else await self._fly(line, flight, ends=ends)
            if wrong is not None:
                line.close()
                return wrong, replace(track, flights=track.flights[: at + 1])
            if not line.clean or line.heard.over:
                break
        if line.clean and line.heard.idle and not (track.ends or track.narrow) and len(self._pool) < _POOL:
            line.used = time.monotonic()
            self._pool.append(line)
        else:
            line.close()
        return None

    async def _line(self, track: Track) -> Line:
        """A connection for a track: one that was kept, unless it wants a new one."""
        since = time.monotonic() - IDLE_SECONDS
        for line in [each for each in self._pool if each.used < since]:
            self._pool.remove(line)
            line.close()
        if self._pool and not (track.fresh or track.narrow):
            return self._pool.pop(0)
        return await Line.open(self.world.port, narrow=track.narrow)

    async def _fly(self, line: Line, flight: Flight, *, ends: bool) -> str | None:
        """Send a flight and check every answer to it; the client closes its half if the flight `ends`."""
        read = self._read(line, flight)
        began = datetime.now(UTC)
        await line.send(flight.data, flight.cuts, flight.pause)
        if not flight.cuts:
            await asyncio.sleep(flight.pause)
        if ends:
            line.end()
        for heard, odd in read:
            if isinstance(heard, Unreadable):
                return await self._refused(line, heard)
            wrong = await self._answered(line, heard, began, odd=odd, ends=ends)
            if wrong is not None or not line.clean:
                return wrong
        if line.odd and not (line.heard.idle or line.heard.over):
            return await self._begun(line)
        if ends or line.heard.over:
            line.clean = False
            return await self._closed(line)
        return None

    async def _answered(self, line: Line, heard: Heard, began: datetime, *, odd: bool, ends: bool) -> str | None:
        """Check the answer to one request; the line is clean after it if more are to come."""
        try:
            answer = await line.answer()
        except NoAnswerError as error:
            line.clean = False
            if not (line.heard.excess or (odd and ends) or line.may_end):
                return f"no answer ({error}) to {_told(heard)}"
            # A service that closes while something comes resets the connection, and what it said may be lost.
            self.seen["no answer, the service closed while something came"] += 1
            return None
        if odd and _refuses(answer):
            self.seen["odd, refused"] += 1
            line.clean = False
            return await self._closed(line)
        line.may_end = line.may_end or odd
        self._count(heard, answer)
        judged = _closing_as(heard, answer) if ends else heard
        wrong = self.checker.wrong(judged, answer, began, datetime.now(UTC))
        return f"{_told(heard)}: {wrong}" if wrong is not None else None

    async def _begun(self, line: Line) -> str | None:
        """Check what is said to the beginning of something that can still become a request for one reader alone."""
        line.clean = False
        await asyncio.sleep(0.01)
        early = line.early().removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
        return f"came unasked: {early[:300]!r}" if early and not early.startswith(b"HTTP/1.1 4") else None

    def _read(self, line: Line, flight: Flight) -> Read:
        """What a flight is, request by request."""
        read: Read = []
        for sent in flight.requests:
            line.odd = line.odd or sent.odd
            read += [(each, line.odd) for each in line.heard.read(sent.data)]
        return read

    async def _refused(self, line: Line, unreadable: Unreadable) -> str | None:
        """Check that what is no request is refused, or that nothing is said to it."""
        line.clean = False
        try:
            async with asyncio.timeout(_SOON):
                answer = await line.answer()
        except (NoAnswerError, TimeoutError):
            self.seen["garbage, no answer"] += 1
            return None
        if not _refuses(answer):
            return f"answered {answer.status} {answer.body[:200]!r} to what is no request: {unreadable.why}"
        self.seen["garbage, refused"] += 1
        return await self._closed(line)

    async def _closed(self, line: Line) -> str | None:
        """Check that nothing more comes on a connection that is over."""
        rest = await line.rest(_SOON)
        if rest is None:
            rest = line.early()
            self.seen["not closed at once"] += 1
        return f"came after the last answer: {rest[:300]!r}" if rest else None

    def _count(self, heard: Heard, answer: Answer) -> None:
        self.seen["answered"] += 1
        self.seen[f"status {answer.status}"] += 1
        self.seen["by the documented route"] += heard.query is not None


def _refuses(answer: Answer) -> bool:
    """Whether it is the refusal of what could not be read, and the end."""
    return answer.status in _REFUSALS and answer.closes


def _closing_as(heard: Heard, answer: Answer) -> Heard:
    """A request whose client has closed its half: the answer may have been under way by then, or say that it closes."""
    return replace(heard, closes=answer.closes)


def _told(heard: Heard) -> str:
    return f"{heard.method} {heard.path} of {heard.request_id or 'one without an id'}"
