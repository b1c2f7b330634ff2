"""The client for asyncio, whose calls are awaited."""

import time
from collections.abc import Mapping, Sequence
from typing import Self

from sceau_client.asking import AsyncAsking
from sceau_client.decisions import Decisions
from sceau_client.edge import Edge
from sceau_client.engine import Engine
from sceau_client.plan import Plan
from sceau_client.questions import Question
from sceau_client.refreshing import KeptRegister
from sceau_client.service import DEADLINE, NONE_EXEMPT, REFRESH, USUAL, Connections, service
from sceau_client.words import ExemptPurpose


class AsyncClient(AsyncAsking):
    """Asks Sceau over kept connections, from one event loop. `async with` it, or `close` it at the end."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        deadline: float = DEADLINE,
        exempt: Mapping[str, ExemptPurpose] = NONE_EXEMPT,
        refresh: float | None = REFRESH,
        connections: Connections = USUAL,
        edge: Edge | None = None,
    ) -> None:
        """See `Client`, whose parameters these are."""
        self._kept = KeptRegister(exempt)
        self._engine = Engine(service(url, key, deadline, refresh, connections), self._kept, edge)
        self._recall = edge.recall if edge is not None else lambda _: None

    async def __aenter__(self) -> Self:
        """Fetch the register, unless that takes longer than a question may."""
        await self._engine.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.close()

    async def close(self) -> None:
        """Stop fetching the register, and close the connections."""
        await self._engine.close()

    async def _ask(self, questions: Sequence[Question], deadline: float | None) -> Decisions:
        asked_at = time.monotonic()
        self._engine.keep_register()
        plan = Plan(questions, self._kept.current, self._engine.held, self._recall)
        if plan.open:
            await self._engine.carry_out(plan, deadline, asked_at)
        return plan.decisions()
