"""Dispatch and deliver, again and again, for a while: what a background job does with the outbox."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

import structlog

from app.db.database import DatabaseUnavailableError
from app.operations.webhooks.deliver_webhooks import Courier, deliver_webhooks
from app.operations.webhooks.dispatch_events import dispatch_events

log = structlog.get_logger("sceau.webhooks")


async def run_events(courier: Courier, *, lasting: timedelta, stopping: asyncio.Event | None = None) -> int:
    """Look for new events and due deliveries until the time is over, then finish the attempts under way.

    An idle look is two statements on indexes. Several processes may run this at once. When it is cancelled, attempts
    under way are given up, and are due again when their claims run out.

    Args:
        courier: delivers.
        lasting: how long to look.
        stopping: set when this process is to stop. Nothing more is begun then.

    Returns:
        How many events were dispatched.

    Raises:
        asyncio.CancelledError: the process stops. The job is given back, so that another process goes on with it.

    """
    stopping = stopping if stopping is not None else asyncio.Event()
    loop = asyncio.get_running_loop()
    end = loop.time() + lasting.total_seconds()
    serving: dict[UUID, asyncio.Task[None]] = {}
    dispatched, ended = 0, False
    try:
        while loop.time() < end and not stopping.is_set():
            try:
                dispatched += await dispatch_events(courier.database)
                await deliver_webhooks(courier, serving, end)
            except DatabaseUnavailableError:
                log.warning("the outbox cannot be read now")
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), courier.look_again)
        ended = True
    finally:
        await _finish(serving, cancelled=not ended)
    if stopping.is_set():
        raise asyncio.CancelledError
    return dispatched


async def _finish(serving: dict[UUID, asyncio.Task[None]], *, cancelled: bool) -> None:
    """Wait for the attempts under way, which end by themselves, unless they are to be given up."""
    for task in serving.values():
        if cancelled:
            task.cancel()
    await asyncio.gather(*serving.values(), return_exceptions=True)
