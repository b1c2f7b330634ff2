"""The jobs process, wired from settings: its own pools, and the courier that delivers webhooks."""

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from typing import Final

from app.db.database import Database, PoolLimits
from app.db.session import Clock
from app.events.sender import Sender
from app.jobs.tasks import make_jobs
from app.jobs.work import Work, run_jobs
from app.operations.service.check_deployment import check_deployment, check_durability
from app.operations.webhooks.deliver_webhooks import Courier
from app.settings import Settings
from app.settings.required import direct_url, required
from app.wiring.parts import deployment_of, is_synchronous, proof_plan_of, time_authority_of, traces_of

_JOBS_LIMITS: Final = PoolLimits(size=4, waiting=16, deadline=timedelta(seconds=30))
_COURIER_LIMITS: Final = PoolLimits(size=4, waiting=1_000, deadline=timedelta(seconds=30))  # attempts under way wait


async def work_until(
    settings: Settings, stopping: asyncio.Event, *, chance: Callable[[], float], clock: Clock | None = None
) -> bool:
    """Run background jobs until told to stop; return whether they ended within their deadline.

    Args:
        settings: as loaded.
        stopping: set when it is to stop.
        chance: returns a number from 0 up to 1, for the waits between attempts.
        clock: another clock than the database's for what is due by the law, for tests; deliveries keep to their own.

    Raises:
        DeploymentRefusedError: the database is not this deployment's, or its schema is behind.
        SettingsError: a setting is missing or wrong.

    """
    deployment, url = deployment_of(settings), required(settings.database_url, "database_url")
    own = Database(url, limits=_COURIER_LIMITS, synchronous=is_synchronous(settings))
    sender, source = Sender(settings.webhook_networks), str(settings.public_url).rstrip("/")
    courier = Courier(own, deployment, sender, source, chance=chance)
    database = Database(url, limits=_JOBS_LIMITS, clock=clock, synchronous=is_synchronous(settings))
    work = Work(database, deployment, courier, stopping, proof_plan_of(settings), time_authority_of(settings))
    try:
        await check_durability(database)
        async with database.write() as session:
            await check_deployment(session, deployment)
        async with traces_of(settings) or nullcontext():
            return await run_jobs(lambda: make_jobs(direct_url(settings), work), stopping)
    finally:
        await courier.close()
        await database.close()
