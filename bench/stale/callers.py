"""Callers of several replicas at once: they grant, narrow and ask, and every call is recorded with its times.

The times are CLOCK_MONOTONIC of this one machine. What the callers do is written in `bench.stale.episodes`.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from uuid import uuid4

from bench.stale.asking import Topic, manner, put
from bench.stale.client import CallError
from bench.stale.edges import EdgeProgram
from bench.stale.fleet import KEY, Worker
from bench.stale.history import Asked, History, Verdict, Written

_OK: Final = 200
_NOT_OURS_TO_REPEAT: Final = frozenset({400, 401, 403, 404, 405, 413, 415, 422})
_BY_EDGE: Final = 0.4
"""The share of questions that edges are asked, where there are any."""
_REPEATABLE: Final = 0.5
"""The share of writes with an Idempotency-Key."""

Body = Mapping[str, Any] | None


class RefusedError(Exception):
    """A narrowing write was refused for good: the run is not the one that was meant."""


@dataclass(slots=True)
class Plan:
    """How the callers behave: how many ask about one thing, and seconds that they rest at most."""

    askers: int = 2
    pause: float = 0.02


@dataclass(slots=True)
class Crew:
    """All callers of one run; `verdict` grows as episodes end."""

    workers: Sequence[Worker]
    chance: random.Random
    plan: Plan = field(default_factory=Plan)
    verdict: Verdict = field(default_factory=Verdict)
    edges: Sequence[EdgeProgram] = ()
    unanswered: int = 0
    refused: dict[int, int] = field(default_factory=dict)
    finishing: bool = False

    async def run(
        self,
        episodes: Sequence[Callable[[], Awaitable[History]]],
        seconds: float,
        *,
        until: Callable[[Verdict], bool] = lambda _: False,
    ) -> None:
        """Play each episode again and again for some seconds, or until the verdict is enough."""
        self.finishing = False
        try:
            async with asyncio.TaskGroup() as group:
                for episode in episodes:
                    group.create_task(self._again(episode))
                group.create_task(self._stop(seconds, until))
        finally:
            for worker in self.workers:
                worker.calls.close()

    async def _stop(self, seconds: float, until: Callable[[Verdict], bool]) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not until(self.verdict):  # noqa: ASYNC110 - a verdict has no event
            await asyncio.sleep(0.05)
        self.finishing = True

    async def _again(self, episode: Callable[[], Awaitable[History]]) -> None:
        while not self.finishing:
            self.verdict.add((await episode()).judge())

    def worker(self) -> int:
        """Any replica."""
        return self.chance.randrange(len(self.workers))

    def rest(self) -> float:
        """Some seconds."""
        return self.chance.random() * self.plan.pause

    async def ask(self, history: History, replica: int, topic: Topic, subject: str) -> None:
        """One question about a subject, in one manner or another, recorded when it was answered."""
        if self.edges and topic.key == KEY and not topic.together and self.chance.random() < _BY_EDGE:
            await self._ask_edge(history, replica, topic, subject)
            return
        try:
            found = await put(self.workers[replica].calls, replica, topic, subject, manner(self.chance))
        except CallError:
            self.unanswered += 1
            return
        history.asked += found.asked
        for status in found.refused:
            self.refused[status] = self.refused.get(status, 0) + 1

    async def _ask_edge(self, history: History, replica: int, topic: Topic, subject: str) -> None:
        """The same of an edge of that worker."""
        start = time.monotonic()
        try:
            permitted = await self.edges[replica].ask(subject, topic.processing)
        except CallError:
            self.unanswered += 1
            return
        if permitted is not None:
            asked = Asked(subject, topic.processing, topic.key, replica, start, time.monotonic(), permitted, ())
            history.asked.append(asked)

    async def write(
        self, history: History, kind: Written, where: tuple[str, str], body: Body, *, again: bool = False
    ) -> Any:  # noqa: ANN401 - JSON
        """One write, recorded. A narrowing one is repeated until it is answered, anywhere; `again`: even after that.

        Returns:
            The answer, or None when a widening one was not answered: nobody knows then whether it was done.

        Raises:
            RefusedError: the write is one that can never be answered.

        """
        more = f"Idempotency-Key: {uuid4()}\r\n" if self.chance.random() < _REPEATABLE else ""
        while True:
            start, status, said = time.monotonic(), 0, None
            try:
                status, said = await self.workers[self.worker()].calls.call(*where, body, KEY, more)
            except CallError:
                self.unanswered += 1
            done = _OK <= status < 300  # noqa: PLR2004 - HTTP
            history.written.append(replace(kind, start=start, end=time.monotonic() if done else None))
            if not done and status:
                self.refused[status] = self.refused.get(status, 0) + 1
            if not done and not kind.narrows:
                return None
            if status in _NOT_OURS_TO_REPEAT:
                raise RefusedError(f"{kind.kind}: {status} {said}")
            if done and not again:
                return said or True
            again = again and not done
            await asyncio.sleep(self.rest())

    async def probe(self, history: History, topic: Topic) -> None:
        """Ask every replica at once about every subject, right after an answer."""
        calls = [
            self.ask(history, replica, topic, subject)
            for replica in range(len(self.workers))
            for subject in topic.subjects
        ]
        await asyncio.gather(*calls)

    async def attended(self, history: History, topic: Topic, work: Callable[[], Awaitable[None]]) -> History:
        """Do something while askers ask about a topic; the history."""
        askers = [asyncio.create_task(self._asking(history, topic)) for _ in range(self.plan.askers)]
        try:
            await work()
        finally:
            for asker in askers:
                asker.cancel()
            await asyncio.gather(*askers, return_exceptions=True)
        return history

    async def _asking(self, history: History, topic: Topic) -> None:
        while True:
            await self.ask(history, self.worker(), topic, self.chance.choice(topic.subjects))
            await asyncio.sleep(self.rest())
