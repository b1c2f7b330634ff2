"""Domain events on their way to others: dispatched, delivered, and forgotten when they are old."""

from datetime import timedelta
from typing import Final

import procrastinate

from app.jobs.work import HOURLY, MINUTELY, RunOutcome, Work, periodic
from app.operations.webhooks.deliver_webhooks import count_deliveries
from app.operations.webhooks.run_events import run_events
from app.operations.webhooks.trim_events import trim_events

LASTING: Final = timedelta(seconds=58)
"""Of one run: the next one begins as it ends, in this worker or in another."""


def install(app: procrastinate.App, work: Work) -> None:
    """Register the two tasks, if there is something to deliver with."""
    courier = work.courier
    if courier is None:
        return

    async def deliver() -> RunOutcome:
        dispatched = await run_events(courier, lasting=LASTING, stopping=work.stopping)
        counts = await count_deliveries(work.database)
        waiting = sum(number for (_, status), number in counts.unfinished.items() if status == "pending")
        return RunOutcome(flagged=dispatched, backlog=counts.undispatched + waiting)

    async def trim() -> RunOutcome:
        trimmed = await trim_events(work.database, work.event_retention)
        return RunOutcome(flagged=trimmed.events, lost=trimmed.lost.total())

    periodic(app, work, "events.deliver", MINUTELY, deliver)
    periodic(app, work, "events.trim", HOURLY, trim)
