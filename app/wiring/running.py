"""What runs for as long as the application does: the feed, the logs, the counts, the journal, the outage file."""

import asyncio
import contextlib
import gc
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from math import inf
from pathlib import Path
from time import monotonic
from typing import Final

import structlog

from app.api.http.services import Services
from app.db.database import DatabaseUnavailableError
from app.journal.files import JournalError
from app.keyring import DECISION_KEYS, RECEIPT_KEYS
from app.operations.audit import keep_log, turn_over
from app.operations.callers import create_first_key, flush_uses, keep_uses
from app.operations.service.check_deployment import (
    DeploymentRefusedError,
    check_deployment,
    check_durability,
    keep_checking,
)
from app.operations.service.outage_file import (
    ExemptFacts,
    OutageFileError,
    learn,
    read_file,
    read_kept,
    remember,
    write_file,
)
from app.operations.service.signing_keys import ensure_key
from app.operations.staff import ensure_first_notice
from app.snapshot.leases import boot_seconds
from app.snapshot.tables import keep_up
from app.telemetry.metrics import Metrics
from app.wiring.stopping import end_all, note_admitted, was_admitted

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
        if not (await _answers(services) or _learn_from_file(services) or was_admitted()):
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
    if not await _answers(services) or not (await learn_exempt(services) or await _answers(services)):
        raise DatabaseUnavailableError
    await _turn_over_once(services)
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


def _learn_from_file(services: Services) -> bool:
    """Take what exempt purposes need from the outage file; return whether it was there and could be used."""
    path = services.outage_file
    if path is None:
        return False
    try:
        remember(read_file(path, services.deployment.vault), services.known, services.wall_clock())
    except OutageFileError as error:
        log.error("the outage file is not used", why=str(error))  # noqa: TRY400 - the message is for an operator
        return False
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
        services.database.admission.open()
        log.info("the database is checked: everything is answered")
        async with _following(services):
            await stopping.wait()

    late = asyncio.create_task(admit_and_follow())
    services.database.admission.hold_back(late)
    late.add_done_callback(_end_if_refused)
    try:
        yield
    finally:
        if services.database.admission.is_open:
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


async def _turn_over_once(services: Services) -> None:
    """Make the log's partitions before the first decision. A lock that others hold on it must not prevent the start."""
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
        services.metrics.loop_lag.keep(),
        _collect_cycles(),
        keep_uses(services.database, services.uses),
        services.tokens.keep(),
        keep_checking(services.database),
        # In strict mode too: workers that died leave their rows.
        keep_up(services.database, services.pace, services.fence.pulse),
        keep_exempt_known(services),
        services.fence.keep_watching(),
        keep_journal(services),
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
        with contextlib.suppress(DatabaseUnavailableError):  # then others keep these notes a second time
            await services.journal.mark_kept(services.database)
        if services.recorder is not None:
            await services.recorder.log.stop(_LAST_FLUSH_SECONDS)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(flush_uses(services.database, services.uses), _LAST_FLUSH_SECONDS)
        await end_all(tasks)


async def _settle(metrics: Metrics) -> None:
    while True:
        await asyncio.sleep(1)
        metrics.settle()


async def _collect_cycles() -> None:
    """Collect unreachable cycles once an hour.

    Python would do so each time that memory has grown by a quarter: with half a million subjects in memory, that takes
    longer than an answer may.
    """
    while True:
        await asyncio.sleep(_ALL_LOOKED_THROUGH_SECONDS)
        gc.collect()


_JOURNAL_SECONDS: Final = 1.0
_LEFT: Final = timedelta(seconds=10)
"""A note that waits for longer was left by its process, which otherwise keeps it before answering and says so here."""


async def keep_journal(services: Services) -> None:
    """Keep the notes that were left, until cancelled; also record what this process has kept, and note a new epoch."""
    failed, looked = False, -inf
    while True:
        await asyncio.sleep(_JOURNAL_SECONDS)
        try:
            await services.journal.mark_kept(services.database)
            chores = services.fence.pulse.chores(looked)
            if chores is None or chores.left:
                await services.journal.keep_waiting(services.database, left_for=_LEFT)
                looked = monotonic()
            await services.journal.note_epoch()
        except DatabaseUnavailableError:
            continue  # others report that
        except JournalError as error:
            if not failed:
                log.error("notes wait in the database", why=str(error))  # noqa: TRY400 - the message is for an operator
            failed = True
        else:
            failed = False


_OUTAGE_FILE_SECONDS: Final = 30.0
_RETRY_SECONDS: Final = 0.1


async def keep_exempt_known(services: Services) -> None:
    """Read what exempt purposes need every half minute, and at once on a new server of the feed, until cancelled.

    At its first beat on a server a process forgets all that it knew: if that server goes away too before any request
    came, none could be answered.
    """
    while True:
        turned = services.memory.replica.feed.turned if services.memory is not None else asyncio.Event()
        if await learn_exempt(services):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_OUTAGE_FILE_SECONDS):
                    await turned.wait()
        await asyncio.sleep(_RETRY_SECONDS)  # a feed may begin and end several times a second


async def learn_exempt(services: Services) -> bool:
    """Read once what exempt purposes need, take it as known, and write it to the outage file.

    It is read from a server that is proven to be the primary: another may have missed a suspension.

    Returns:
        False where the database is away or was set back, or where something has changed since it was read.

    """
    since, began = services.known.forgettings, boot_seconds()
    try:
        async with services.reads.read() as session:
            kept = await read_kept(session)
    except DatabaseUnavailableError:
        return False
    if services.known.forgettings != since:
        return False
    services.known.is_back()
    learn(kept, services.known, began)
    if services.outage_file is not None:
        await _write(services, services.outage_file, kept)
    return True


async def _write(services: Services, path: Path, kept: ExemptFacts) -> None:
    """Write the file; a failure to do so keeps nothing from being answered."""
    try:
        await asyncio.to_thread(write_file, path, kept, services.deployment.vault)
    except OSError as error:
        log.error("the outage file cannot be written", why=error.strerror)  # noqa: TRY400 - the cause says nothing more
