"""What runs for as long as the application does: the feed of changes, the log of decisions, the counts."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog

from app.api.http.services import Services
from app.db.database import DatabaseUnavailableError
from app.keyring.store import DECISION_KEYS, RECEIPT_KEYS
from app.operations.audit.keep_log import keep_log, turn_over
from app.operations.callers.create_key import create_first_key
from app.operations.callers.keep_uses import flush_uses, keep_uses
from app.operations.service.check_deployment import check_deployment
from app.operations.service.check_durability import check_durability, keep_checking
from app.operations.service.signing_keys import ensure_key
from app.operations.staff.publish_staff_notice import ensure_first_notice
from app.snapshot.upkeep import keep_up
from app.telemetry.metrics import Metrics

_LAST_FLUSH_SECONDS: Final = 5.0
_ALL_LOOKED_THROUGH_SECONDS: Final = 3_600

log = structlog.get_logger("sceau")


@asynccontextmanager
async def running(services: Services, first_key: str | None) -> AsyncIterator[None]:
    """Check the database before the first request, and close it after the last.

    Args:
        services: as wired.
        first_key: the key of the first caller, made if the database has none; None to make none.

    Raises:
        DeploymentRefusedError: the database is not this deployment's, or its schema is behind.

    """
    try:
        await check_durability(services.database)
        async with services.database.write() as session:
            for warning in await check_deployment(session, services.deployment):
                log.warning(warning)
            if first_key is not None and await create_first_key(session, first_key) is not None:
                log.info("first caller made from SCEAU_BOOTSTRAP_KEY")
            await ensure_first_notice(session)
            await ensure_key(session, services.deployment, DECISION_KEYS)
            await ensure_key(session, services.deployment, RECEIPT_KEYS)
            await services.tokens.read_keys(session)
        await _turn_over_once(services)
        async with _following(services):
            yield
    finally:
        await services.database.close()


async def _turn_over_once(services: Services) -> None:
    """Make the log's partitions before the first decision. A lock that somebody holds on it must not keep us down."""
    try:
        async with services.database.write() as session:
            await turn_over(session, services.log_retention)
    except DatabaseUnavailableError:
        log.warning("the decision log is turned over later")


@asynccontextmanager
async def _following(services: Services) -> AsyncIterator[None]:
    """Follow changes while the application runs, and hand on its counts every second."""
    lasting = (
        _settle(services.metrics),
        _collect_cycles(),
        keep_uses(services.database, services.uses),
        services.tokens.keep(),
        keep_checking(services.database),
        keep_up(services.database, services.pace),  # in strict mode too: workers that died leave their rows
    )
    tasks = [asyncio.create_task(each) for each in lasting]
    check = services.token_check
    if check is not None:
        tasks.append(asyncio.create_task(check.keep()))
    if services.recorder is not None:
        services.recorder.log.start()
        tasks.append(asyncio.create_task(keep_log(services.database, services.log_retention)))
    memory = services.memory
    if memory is not None:
        await memory.replica.pool.open()
        await memory.replica.start()
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        if check is not None:
            await check.close()
        if memory is not None:
            await memory.replica.stop()
            await memory.replica.pool.close()
        if services.recorder is not None:
            await services.recorder.log.stop(_LAST_FLUSH_SECONDS)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(flush_uses(services.database, services.uses), _LAST_FLUSH_SECONDS)


async def _settle(metrics: Metrics) -> None:
    while True:
        await asyncio.sleep(1)
        metrics.settle()


async def _collect_cycles() -> None:
    """Collect unreachable cycles once an hour.

    Python would do so each time that memory has grown by a quarter: with half a million subjects in it, for longer
    than an answer may take.
    """
    while True:
        await asyncio.sleep(_ALL_LOOKED_THROUGH_SECONDS)
        gc.collect()
