"""Dispatch and deliver, again and again, for a while: what a background job does with the outbox."""

import asyncio
from datetime import timedelta
from uuid import UUID

import structlog

from app.db.database import DatabaseUnavailableError
from app.operations.webhooks.deliver_webhooks import Courier, deliver_webhooks
from app.operations.webhooks.dispatch_events import dispatch_events

log = structlog.get_logger("sceau.webhooks")


async def run_events(courier: Courier, *, lasting: timedelta) -> int:
    """Look for new events and due deliveries until the time is over, then finish the attempts under way.

    An idle look is two statements on indexes. Several processes may run this at once. When it is cancelled, attempts
    under way are given up, and are due again when their claims run out.

    Returns:
        How many events were dispatched.

    """
    loop = asyncio.get_running_loop()
    end = loop.time() + lasting.total_seconds()
    serving: dict[UUID, asyncio.Task[None]] = {}
    dispatched = 0
    try:
        while loop.time() < end:
            try:
                dispatched += await dispatch_events(courier.database)
                await deliver_webhooks(courier, serving, end)
            except DatabaseUnavailableError:
                log.warning("the outbox cannot be read now")
            await asyncio.sleep(courier.look_again)
    finally:
        await _finish(serving, cancelled=loop.time() < end)
    return dispatched


async def _finish(serving: dict[UUID, asyncio.Task[None]], *, cancelled: bool) -> None:
    """Wait for the attempts under way, which end by themselves, unless they are to be given up."""
    for task in serving.values():
        if cancelled:
            task.cancel()
    await asyncio.gather(*serving.values(), return_exceptions=True)
