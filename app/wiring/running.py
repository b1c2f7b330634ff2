"""What runs for as long as the application does: the feed, the logs, the counts, the journal, the outage file."""

import asyncio
import contextlib
import gc
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog

from app.api.http.services import Services
from app.db.database import DatabaseUnavailableError
from app.keyring import DECISION_KEYS, RECEIPT_KEYS
from app.operations.audit import keep_log, turn_over_at_start
from app.operations.callers import create_first_key, flush_uses, keep_uses
from app.operations.service.check_deployment import (
    DeploymentRefusedError,
    check_deployment,
    check_durability,
    keep_checking,
)
from app.operations.service.signing_keys import ensure_key
from app.operations.staff import ensure_first_notice
from app.snapshot.tables import keep_up
from app.telemetry.room import note_admitted, was_admitted
from app.wiring.stopping import end_all

_LAST_FLUSH_SECONDS: Final = 5.0
_ALL_LOOKED_THROUGH_SECONDS: Final = 3_600
_ADMIT_AGAIN_SECONDS: Final = 0.5

log = structlog.get_logger("sceau")


@asynccontextmanager
async def running(services: Services, first_key: str | None) -> AsyncIterator[None]:
    """Check the database before the first request, and close it after the last.

    A process that cannot check the database may start nevertheless (`_admitted`): nothing is answered but exempt
    purposes that are known until the database has been checked.

    Args:
        services: as wired.
        first_key: the key of the first caller, made if the database has none; None to make none.

    Raises:
        DeploymentRefusedError: the database is not this deployment's, or its schema is behind.
        DatabaseUnavailableError: the database is away, and nothing is known that could be answered without it.

    """
    try:
        if await _admitted(services, first_key):
            async with _following(services):
                yield
        else:
            async with _admitted_later(services, first_key):
                yield
    finally:
        await services.outage.close()
        await services.reading.close()
        await services.database.close()


async def _admitted(services: Services, first_key: str | None) -> bool:
    """Check the database; return False when this process starts nevertheless, and checks it later.

    A database that answers, be it busy or full, is waited for, and what a file says is not used: it may have recorded a
    revocation or a suspension since. One that is away may have a wrong address, so that it is waited for
    only if the outage file says what exempt purposes need, or another worker has found it right.
    """
    try:
        await _admit(services, first_key)
    except DatabaseUnavailableError:
        if not (await _answers(services) or services.exempt.take_from_file(services.wall_clock()) or was_admitted()):
            raise
        return False
    return True


async def _admit(services: Services, first_key: str | None) -> None:
    """Check the database, and make what a new one lacks."""
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
    await services.fence.look_by_itself()
    # The database may go away as soon as the first request comes: by then this process should know what exempt purposes
    # need. Where it cannot read that, the database has gone away, or answers and is busy, set back, or not proven.
    if not await _answers(services) or not (await services.exempt.learn() or await _answers(services)):
        raise DatabaseUnavailableError
    await turn_over_at_start(services.database, services.log_retention)
    note_admitted()


async def _answers(services: Services) -> bool:
    """Return whether the database answers, be it busy, full, set back or not proven; if so, forget what a file said."""
    try:
        async with services.database.read() as session:
            await session.now()
    except DatabaseUnavailableError:
        if not await services.database.refuses():
            return False
    services.known.forget_all()
    return True


@asynccontextmanager
async def _admitted_later(services: Services, first_key: str | None) -> AsyncIterator[None]:
    """Answer what is known, and check the database as soon as it answers; only then does anything else use it."""
    log.warning("started before the database could be checked: only exempt purposes are answered until it is")
    stopping = asyncio.Event()
    services.outage.begin()

    async def admit_and_follow() -> None:
        while True:
            try:
                await _admit(services, first_key)
                break
            except DatabaseUnavailableError:
                await _answers(services)
                await asyncio.sleep(_ADMIT_AGAIN_SECONDS)
        services.database.admission.checking = None
        log.info("the database is checked: everything is answered")
        async with _following(services):
            await stopping.wait()

    late = asyncio.create_task(admit_and_follow())
    services.database.admission.checking = late
    late.add_done_callback(_end_if_refused)
    try:
        yield
    finally:
        if services.database.admission.checking is not late:
            stopping.set()
        else:
            late.cancel()
        with contextlib.suppress(asyncio.CancelledError, DeploymentRefusedError):
            await late


def _end_if_refused(late: "asyncio.Task[None]") -> None:
    """End the process if the database was refused, which would have kept the process from starting."""
    if not late.cancelled() and (error := late.exception()) is not None:
        log.error("the database is refused: this process ends", why=str(error))
        signal.raise_signal(signal.SIGTERM)


@asynccontextmanager
async def _following(services: Services) -> AsyncIterator[None]:
    """Follow changes while the application runs, and hand on its counts every second."""
    lasting = (
        services.metrics.keep(),
        services.metrics.loop_lag.keep(),
        _collect_cycles(),
        keep_uses(services.database, services.uses),
        services.tokens.keep(),
        keep_checking(services.database),
        # In strict mode too: workers that died leave their rows.
        keep_up(services.database, services.pace, services.fence.pulse),
        services.exempt.keep(),
        services.fence.keep_watching(),
        services.fence.keep_notes(),
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
        with contextlib.suppress(DatabaseUnavailableError):  # then others keep these notes a second time
            await services.journal.mark_kept(services.database)
        if services.recorder is not None:
            await services.recorder.log.stop(_LAST_FLUSH_SECONDS)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(flush_uses(services.database, services.uses), _LAST_FLUSH_SECONDS)
        await end_all(tasks)


async def _collect_cycles() -> None:
    """Collect unreachable cycles once an hour.

    Python would do so each time that memory has grown by a quarter: with half a million subjects in memory, that takes
    longer than an answer may.
    """
    while True:
        await asyncio.sleep(_ALL_LOOKED_THROUGH_SECONDS)
        gc.collect()
