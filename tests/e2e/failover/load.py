"""Light writers and askers on every service, for as long as a test goes on."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final
from uuid import uuid4

from tests.e2e.failover.calls import Decided, Outcome, Services
from tests.e2e.failover.worlds import World
from tests.linearizability.consent import Answer
from tests.support.api import processing, question

_WORLDS: Final = 5
_EXEMPT_ASKERS: Final = 2
"""For each service, so that no worker is left out for long."""
_BETWEEN_QUESTIONS: Final = 0.1
_AGAIN: Final = 0.3


@dataclass(slots=True)
class Load:
    """Some worlds at a time, one after the other; and who asks about an exempt purpose all the time."""

    services: Services
    chance: random.Random
    exempt: str = field(default_factory=lambda: f"filter-{uuid4().hex[:12]}")
    worlds: list[World] = field(default_factory=list)
    finishing: bool = False

    async def begin(self) -> None:
        """Register the exempt purpose, and see it permitted everywhere."""
        body = processing(self.exempt, purpose="unsolicited_content_detection")
        made = await self.services.write(0, "POST", "/v1/processings", body)
        assert made.outcome is Outcome.DONE, "nothing is wrong yet, and nothing can be registered"
        for service in range(len(self.services)):
            while (await self._ask_exempt(service)).answer is not Answer.PERMIT:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(_AGAIN)

    async def keep_living(self) -> None:
        """Let one world follow another until told to finish; the last one lives to its end."""
        while not self.finishing:
            world = World(self.services, self.chance)
            self.worlds.append(world)
            await world.live()

    async def keep_asking_exempt(self, service: int) -> None:
        """Ask about the exempt purpose until told to finish, each question once the last is answered."""
        while not self.finishing:
            self.services.records.exempt.append(await self._ask_exempt(service))
            await asyncio.sleep(_BETWEEN_QUESTIONS)

    async def _ask_exempt(self, service: int) -> Decided:
        return await self.services.ask(service, question("anybody@example.test", self.exempt))


@asynccontextmanager
async def loaded(services: Services, seed: int) -> AsyncIterator[Load]:
    """A load that runs while the block does, and then comes to its end."""
    load = Load(services, random.Random(seed))
    await load.begin()
    async with asyncio.TaskGroup() as group:
        for _ in range(_WORLDS):
            group.create_task(load.keep_living())
        for service in range(len(services)):
            for _ in range(_EXEMPT_ASKERS):
                group.create_task(load.keep_asking_exempt(service))
        try:
            yield load
        finally:
            load.finishing = True
