"""Couriers and receivers in an event loop of their own, beside the application under test and the test itself."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar

import psycopg

from app.db.database import Database
from app.events.addresses import AddressPolicy
from app.events.sender import Sender
from app.operations.webhooks.deliver_webhooks import Courier, dispatch_events, run_events
from app.wiring.parts import deployment_of
from tests.clients.scenes import Behaviour
from tests.faults.service import HANGS, eventually
from tests.support.api import Api, settings_for
from tests.support.databases import TestDatabase
from tests.webhooks.receivers import Receiver, listening

SOURCE = "https://sceau.example.fr"
LOOPBACK = AddressPolicy.parse("127.0.0.0/8")
_Result = TypeVar("_Result")


class Stage:
    """An event loop in a thread, and what was entered there; all of it left in reverse at the end."""

    def __init__(self) -> None:
        """Start the loop."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="stage", daemon=True)
        self._thread.start()
        self._entered = AsyncExitStack()

    def run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """What a coroutine gives, run over there."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(HANGS)

    def enter(self, manager: AbstractAsyncContextManager[_Result]) -> _Result:
        """Enter a context over there, until the end of the stage."""
        return self.run(self._entered.enter_async_context(manager))

    @contextmanager
    def inside(self, manager: AbstractAsyncContextManager[_Result]) -> Iterator[_Result]:
        """A context over there, for the length of a block here."""
        entered = self.run(_entered(manager))
        try:
            yield entered
        finally:
            self.run(_left(manager))

    def end(self) -> None:
        """Leave everything, and stop the loop."""
        self.run(self._entered.aclose())
        self.run(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(HANGS)
        self._loop.close()


async def _entered(manager: AbstractAsyncContextManager[_Result]) -> _Result:
    return await manager.__aenter__()


async def _left(manager: AbstractAsyncContextManager[Any]) -> None:
    await manager.__aexit__(None, None, None)


@dataclass
class Post:
    """The application, its database, and a stage for couriers and receivers."""

    api: Api
    database: TestDatabase
    stage: Stage

    def receiver(self, behave: Behaviour) -> Receiver:
        """A receiver that listens until the end of the test."""
        return self.stage.enter(listening(behave))

    @asynccontextmanager
    async def courier(self, sender: Sender | None = None, **more: Any) -> AsyncIterator[Courier]:
        """A courier with a database pool of its own; nothing runs yet."""
        database = Database(self.database.app_url)
        sending = sender or Sender(LOOPBACK)
        deployment = deployment_of(settings_for(self.database))
        made = Courier(database, deployment, sending, SOURCE, chance=lambda: 0.0, look_again=0.02)
        try:
            yield replace(made, **more)
        finally:
            await sending.close()
            await database.close()

    @contextmanager
    def working(self, **more: Any) -> Iterator[Courier]:
        """A courier at work for as long as the block lasts."""
        with self.stage.inside(self._at_work(more)) as courier:
            yield courier

    @asynccontextmanager
    async def _at_work(self, more: dict[str, Any]) -> AsyncIterator[Courier]:
        async with self.courier(**more) as courier:
            task = asyncio.create_task(run_events(courier, lasting=timedelta(hours=1)))
            try:
                yield courier
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    def with_database(self, work: Callable[[Database], Awaitable[_Result]]) -> _Result:
        """What an operation gives on a database pool of its own."""

        async def run() -> _Result:
            database = Database(self.database.app_url)
            try:
                return await work(database)
            finally:
                await database.close()

        return self.stage.run(run())

    def dispatch(self, number: int) -> None:
        """Dispatch until so many events in all are, whatever other transactions of the server hold it up."""
        done = 0
        while done < number:
            done += self.with_database(dispatch_events)

    def endpoint(self, url: str, **more: Any) -> str:
        """Register an endpoint; its id."""
        identifier: str = self.api.ok("POST", "/v1/webhooks", {"url": url, **more})["id"]
        return identifier

    def registered(self, behave: Behaviour, **more: Any) -> tuple[Receiver, str]:
        """A receiver that listens until the end of the test, and the id of its endpoint."""
        receiver = self.receiver(behave)
        return receiver, self.endpoint(receiver.url, **more)

    def told(self, endpoint: str) -> dict[str, Any]:
        """What is told of an endpoint."""
        listed = self.api.ok("GET", "/v1/webhooks")["items"]
        return next(each for each in listed if each["id"] == endpoint)

    def deliveries(self, endpoint: str, status: str | None = None) -> list[dict[str, Any]]:
        """The deliveries of an endpoint, by event."""
        query = "" if status is None else f"&status={status}"
        items: list[dict[str, Any]] = self.api.ok("GET", f"/v1/webhooks/{endpoint}/deliveries?limit=500{query}")[
            "items"
        ]
        return items

    def delivered(self, endpoint: str, number: int) -> list[dict[str, Any]]:
        """The delivered deliveries of an endpoint, once there are so many."""
        delivered: list[dict[str, Any]] = eventually(
            lambda: done if len(done := self.deliveries(endpoint, "delivered")) == number else None
        )
        return delivered

    def owner(self) -> psycopg.Connection[Any]:
        """The owner's connection, each statement on its own."""
        return psycopg.connect(self.database.owner_url, autocommit=True)

    def make_due(self, *, claims: bool = False) -> None:
        """Let time pass until every wait between attempts is over; an attempt under way is left to end.

        With `claims` so long that those have run out too, of attempts that nobody makes any more among them.
        """
        ended = "(SELECT count(*) FROM webhook_attempt AS a WHERE a.endpoint = d.endpoint AND a.event = d.event)"
        waits = "TRUE" if claims else f"attempts - attempts_before <= {ended}"
        with self.owner() as connection:
            connection.execute(
                "UPDATE webhook_delivery AS d SET next_at = now() - interval '1 s' "
                f"WHERE next_at IS NOT NULL AND {waits}"
            )
