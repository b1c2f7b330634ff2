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

from bench.stale.client import CallError
from bench.stale.fleet import KEY, Worker
from bench.stale.history import Asked, History, Verdict, Written

_OK: Final = 200
_REPEATABLE: Final = 0.5
"""The share of writes with an Idempotency-Key."""

Body = Mapping[str, Any] | None


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

    async def ask(self, history: History, replica: int, subject: str, processing: str, *, key: str = KEY) -> None:
        """One decision, recorded when it was answered."""
        body = {
            "subject": {"type": "user", "id": subject},
            "action": {"name": processing},
            "resource": {"type": "correspondence", "id": "h"},
        }
        start = time.monotonic()
        try:
            status, said = await self.workers[replica].calls.call("POST", "/access/v1/evaluation", body, key)
        except CallError:
            self.unanswered += 1
            return
        end = time.monotonic()
        if status == _OK:
            history.asked.append(Asked(subject, processing, key, replica, start, end, said["decision"]))
        else:
            self.refused[status] = self.refused.get(status, 0) + 1

    async def write(
        self, history: History, kind: Written, where: tuple[str, str], body: Body, *, again: bool = False
    ) -> Any:  # noqa: ANN401 - JSON
        """One write, recorded. A narrowing one is repeated until it is answered, anywhere; `again`: even after that.

        Returns:
            The answer, or None when a widening one was not answered: nobody knows then whether it was done.

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
            if done and not again:
                return said or True
            again = again and not done
            await asyncio.sleep(self.rest())

    async def probe(self, history: History, subjects: Sequence[str], processing: str, *, key: str = KEY) -> None:
        """Ask every replica at once, right after an answer."""
        calls = [
            self.ask(history, replica, subject, processing, key=key)
            for replica in range(len(self.workers))
            for subject in subjects
        ]
        await asyncio.gather(*calls)

    async def attended(
        self,
        history: History,
        about: tuple[Sequence[str], str, str],
        work: Callable[[], Awaitable[None]],
    ) -> History:
        """Do something while askers ask about some subjects and a processing with a key; the history."""
        askers = [asyncio.create_task(self._asking(history, *about)) for _ in range(self.plan.askers)]
        try:
            await work()
        finally:
            for asker in askers:
                asker.cancel()
            await asyncio.gather(*askers, return_exceptions=True)
        return history

    async def _asking(self, history: History, subjects: Sequence[str], processing: str, key: str) -> None:
        while True:
            await self.ask(history, self.worker(), self.chance.choice(subjects), processing, key=key)
            await asyncio.sleep(self.rest())
