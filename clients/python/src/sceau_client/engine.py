"""The engine of both clients, in one event loop: connections, the kept register, and plans with a deadline."""

import asyncio
import logging
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from sceau_client.decisions import Decision
from sceau_client.edge import Edge
from sceau_client.plan import Plan
from sceau_client.refreshing import KeptRegister
from sceau_client.service import Service
from sceau_client.transport import Request, Transport
from sceau_client.words import Outcome

_FORBIDDEN: Final = 403
_ABOUT_THE_QUESTION: Final = frozenset({400, 413})
log = logging.getLogger("sceau_client")


class Engine:
    """Asks one service from one event loop."""

    def __init__(self, service: Service, kept: KeptRegister, edge: Edge | None = None) -> None:
        """Prepare; questions that the edge can ask go to the edge."""
        self._edge = edge
        self._service = service
        self._kept = kept
        self._transport = Transport(service)
        self._keeping: asyncio.Task[None] | None = None
        self._tried: asyncio.Event | None = None
        self._failing = False

    async def start(self) -> None:
        """Fetch the register once, unless that takes longer than a question may."""
        self.keep_register()
        if self._tried is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._service.deadline):
                    await self._tried.wait()

    def keep_register(self) -> None:
        """Keep fetching the register in the background."""
        if self._keeping is None and self._service.refresh is not None:
            self._tried = asyncio.Event()
            keeping = self._kept.keep(self._transport, self._service.refresh, self._tried)
            self._keeping = asyncio.create_task(keeping, name="sceau-client register")

    @property
    def held(self) -> float:
        """For how many seconds only exempt questions are asked; 0 until the register says which ones are exempt."""
        return self._transport.held if self._kept.fetched else 0

    async def carry_out(self, plan: Plan, deadline: float | None, asked_at: float) -> None:
        """Send the plan's requests and give it the replies, all within the deadline.

        `asked_at` is when the caller asked (time.monotonic): the call may have waited before this.
        """
        waited = time.monotonic() - asked_at
        until = asyncio.get_running_loop().time() + (deadline or self._service.deadline) - waited
        if self._edge is not None:
            await self._ask_edge(self._edge, plan, until)
        for exchange in plan.exchanges():
            request = Request("POST", exchange.path, exchange.largest_answer, exchange.body)
            decisions = exchange.read(await self._transport.send(request, until))
            plan.take(exchange, decisions)
            self._notice(decisions)

    async def _ask_edge(self, edge: Edge, plan: Plan, until: float) -> None:
        """Ask by the edge's socket for half of the time; questions without an answer by then go over HTTP."""
        asked = {asyncio.wrap_future(edge.ask(question)): place for place, question in plan.open}
        if not asked:
            return
        done, late = await asyncio.wait(asked, timeout=max(0.0, until - asyncio.get_running_loop().time()) / 2)
        for each in done:
            if (decision := each.result()) is not None:
                plan.answer(asked[each], decision)
        for each in late:
            each.cancel()

    async def close(self) -> None:
        """Stop, and close the connections."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait([self._keeping])
        await self._transport.close()

    def _notice(self, decisions: Iterable[Decision]) -> None:
        """Log once that Sceau cannot be asked, and once that it can again, without naming a user."""
        troubles = [each for each in decisions if each.outcome is Outcome.UNKNOWN]
        if any(each.status in _ABOUT_THE_QUESTION for each in troubles):
            return
        if troubles and not self._failing:
            first = troubles[0]
            cause, status = first.cause.value if first.cause else "", first.status or "no"
            log.warning("Sceau cannot be asked: %s (%s status, request %s)", cause, status, first.request_id)
            if first.status == _FORBIDDEN:
                log.warning("the key lacks the scope decisions:evaluate, or may not name the processing")
        elif self._failing and not troubles:
            log.info("Sceau answers again")
        self._failing = bool(troubles)
