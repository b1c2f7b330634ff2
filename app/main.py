"""The composition root: `create_app(settings)` wires everything, once. Tests wire the same application."""

import asyncio
import gc
import os
import platform
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.metadata import version
from typing import Final

import structlog
from fastapi import FastAPI

from app.api import problems
from app.api.application import Sceau
from app.api.hot import HotPath
from app.api.hot_endpoint import HotEndpoint
from app.api.openapi import DESCRIPTION
from app.api.quick import QuickReader
from app.api.replica_metrics import watch_replica
from app.api.routers import ROUTERS
from app.api.security import scopes_by_route
from app.api.services import MetricsAccess, Services
from app.audit.decision_log import DecisionLog, LogPlan
from app.audit.recorder import Recorder
from app.core.errors import InvalidNoticeError, InvalidPeriodError
from app.core.period import ConsentPeriod, Counting, PeriodPolicy
from app.core.renewal import parse_notices
from app.db.database import Database, PoolLimits
from app.db.read_pool import ReadPool
from app.db.session import Clock
from app.events.sender import Sender
from app.jobs.application import make_jobs
from app.jobs.work import Work
from app.jobs.worker import run_jobs
from app.ledger.pseudonym import Pseudonyms, SubjectIds
from app.ledger.vault import Vault
from app.operations.answer_from_memory import Memory
from app.operations.check_deployment import check_deployment
from app.operations.deliver_webhooks import Courier
from app.operations.deployment import Deployment
from app.operations.keep_log import keep_log, turn_over
from app.operations.manage_keys import create_first_key
from app.operations.search_decisions import correspondence_ref
from app.pages import assets, consent
from app.settings import (
    LogFormat,
    Settings,
    SettingsError,
    bootstrap_key,
    direct_url,
    jobs_url,
    master_keys,
    pseudonym_key,
    required,
    webhook_policy,
)
from app.snapshot.last_known import LastKnown
from app.snapshot.lease import LONGEST_LEASE, SHORTEST_LEASE, Pace
from app.snapshot.replica import Replica, ReplicaPlan
from app.snapshot.writer import Writer
from app.telemetry.logs import configure_logs
from app.telemetry.metrics import Metrics

log = structlog.get_logger("sceau")

_LAST_FLUSH_SECONDS = 5.0


def deployment_of(settings: Settings) -> Deployment:
    """The keys and choices of this deployment.

    Raises:
        SettingsError: one is missing or wrong.

    """
    try:
        policy = PeriodPolicy(Counting(settings.period_counting), ConsentPeriod.parse(settings.consent_validity))
    except InvalidPeriodError as error:
        raise SettingsError(f"SCEAU_CONSENT_VALIDITY: {error.detail}") from None
    except ValueError:
        raise SettingsError("SCEAU_PERIOD_COUNTING is start_of_day or same_instant") from None
    try:
        ids = SubjectIds.parse(settings.subject_ids)
    except ValueError:
        raise SettingsError("SCEAU_SUBJECT_IDS is casefold or exact, with exceptions such as mxid=exact") from None
    try:
        pause = ConsentPeriod.parse(settings.solicitation_pause)
    except InvalidPeriodError as error:
        raise SettingsError(f"SCEAU_SOLICITATION_PAUSE: {error.detail}") from None
    return Deployment(
        pseudonyms=Pseudonyms(pseudonym_key(settings), ids),
        vault=Vault(master_keys(settings)),
        policy=policy,
        max_backdating=settings.max_backdating,
        lease=settings.lease,
        solicitation_pause=pause,
        link_validity=settings.consent_link_validity,
        notices=_notices(settings),
    )


def _notices(settings: Settings) -> tuple[int, ...]:
    try:
        return parse_notices(settings.renewal_notice)
    except InvalidNoticeError:
        raise SettingsError("SCEAU_RENEWAL_NOTICE is days or weeks, at most 365 days, such as P60D,P30D,P7D") from None


def database_of(settings: Settings, *, clock: Clock | None = None) -> Database:
    """The database as the application role.

    Raises:
        SettingsError: its URL is not set.

    """
    limits = PoolLimits(settings.pool_size, settings.pool_waiting, settings.database_timeout)
    return Database(required(settings.database_url, "database_url"), limits=limits, clock=clock)


def create_app(settings: Settings, *, clock: Clock | None = None) -> FastAPI:
    """Wire the application; nothing is opened until it starts.

    Args:
        settings: as loaded.
        clock: another clock than the database's, for tests.

    """
    try:
        metrics_access = MetricsAccess(settings.metrics)
    except ValueError:
        raise SettingsError("SCEAU_METRICS is open, scoped or off") from None
    services = services_of(settings, metrics_access, clock=clock)
    first_key = bootstrap_key(settings)
    app = Sceau(
        title="Sceau",
        version=version("sceau"),
        description=DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        openapi_url=None,  # app.api.docs serves the document and the page
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"logs": False, "tracing": False, "metrics": False},
        lifespan=lambda _: _running(services, first_key),
    )
    app.state.services = services
    app.state.hot = _hot_path(services)
    watch_replica(services)
    problems.install(app)
    for router in (*ROUTERS, assets.router, consent.router):
        app.include_router(router)
    scopes_by_route(app)
    return app


def services_of(settings: Settings, metrics_access: MetricsAccess, *, clock: Clock | None = None) -> Services:
    """The parts of the application, wired."""
    database = database_of(settings, clock=clock)
    deployment = deployment_of(settings)
    memory = _memory(settings, database, deployment.policy) if clock is None else None
    pace = pace_of(settings)
    return Services(
        database=database,
        deployment=deployment,
        writer=Writer(database, memory.replica if memory is not None else None, longest=pace.lease + pace.margin),
        wall_clock=lambda: datetime.now(UTC),
        public_url=str(settings.public_url),
        memory=memory,
        known=memory.replica.known if memory is not None else LastKnown(),
        recorder=_recorder(settings, deployment),
        metrics_access=metrics_access,
        max_body_bytes=settings.max_body_bytes,
        keep_answers=settings.idempotency_retention,
        log_retention=settings.decision_log_retention,
        webhook_policy=webhook_policy(settings),
        webhook_key_overlap=settings.webhook_key_overlap,
    )


def pace_of(settings: Settings) -> Pace:
    """The times of the freshness protocol; the heartbeat is an eighth of the lease.

    Raises:
        SettingsError: the lease is not between 100 ms and ten seconds.

    """
    lease = settings.lease.total_seconds()
    if not SHORTEST_LEASE <= lease <= LONGEST_LEASE:
        raise SettingsError("SCEAU_LEASE lies between PT0.1S and PT10S")
    return Pace(lease=lease, heartbeat=lease / 8)


def _memory(settings: Settings, database: Database, policy: PeriodPolicy) -> Memory | None:
    if settings.cache == "strict":
        return None
    if settings.cache != "leased":
        raise SettingsError("SCEAU_CACHE is leased or strict")
    url = required(settings.database_url, "database_url")
    plan = ReplicaPlan(
        direct_url(settings), pace_of(settings), settings.cache_subjects, about=f"{platform.node()} {os.getpid()}"
    )
    pool = ReadPool(url, PoolLimits(settings.pool_size, settings.pool_waiting, settings.database_timeout))
    return Memory(Replica(plan, database, pool), policy)


def _recorder(settings: Settings, deployment: Deployment) -> Recorder | None:
    if settings.decision_log == "off":
        return None
    if settings.decision_log not in {"buffered", "durable"}:
        raise SettingsError("SCEAU_DECISION_LOG is off, buffered or durable")
    plan = LogPlan(required(settings.database_url, "database_url"))
    reference = partial(correspondence_ref, deployment)
    durable = settings.decision_log == "durable"
    return Recorder(DecisionLog(plan), reference, durable, settings.decision_log_exempt_share)


def _hot_path(services: Services) -> HotEndpoint | None:
    if services.memory is None:
        return None
    reader = QuickReader(services.deployment.pseudonyms.ref)
    path = HotPath(services.memory, reader, services.metrics.decisions, services.recorder)
    return HotEndpoint(path, services.metrics, max_body_bytes=services.max_body_bytes)


@asynccontextmanager
async def _running(services: Services, first_key: str | None) -> AsyncIterator[None]:
    """Check the database before the first request, and close it after the last."""
    try:
        async with services.database.write() as session:
            for warning in await check_deployment(session, services.deployment):
                log.warning(warning)
            if first_key is not None and await create_first_key(session, first_key) is not None:
                log.info("first caller made from SCEAU_BOOTSTRAP_KEY")
            await turn_over(session, services.log_retention)
        async with _following(services):
            yield
    finally:
        await services.database.close()


@asynccontextmanager
async def _following(services: Services) -> AsyncIterator[None]:
    """Follow changes while the application runs, and hand on its counts every second."""
    tasks = [asyncio.create_task(_settle(services.metrics)), asyncio.create_task(_collect_cycles())]
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
        if memory is not None:
            await memory.replica.stop()
            await memory.replica.pool.close()
        if services.recorder is not None:
            await services.recorder.log.stop(_LAST_FLUSH_SECONDS)


_JOBS_LIMITS = PoolLimits(size=4, waiting=16, deadline=timedelta(seconds=30))
_COURIER_LIMITS = PoolLimits(size=4, waiting=1_000, deadline=timedelta(seconds=30))  # attempts under way wait for one


async def work_through_jobs(settings: Settings, stopping: asyncio.Event, *, clock: Clock | None = None) -> bool:
    """Run background jobs until told to stop; whether that ended within its deadline.

    Raises:
        DeploymentRefusedError: the database is not this deployment's, or its schema is behind.
        SettingsError: a setting is missing or wrong.

    """
    work = _work(settings, clock)
    try:
        async with work.database.write() as session:
            await check_deployment(session, work.deployment)
        return await run_jobs(lambda: make_jobs(jobs_url(settings), work), stopping)
    finally:
        if work.courier is not None:
            await work.courier.close()
        await work.database.close()


def _work(settings: Settings, clock: Clock | None) -> Work:
    deployment, url = deployment_of(settings), required(settings.database_url, "database_url")
    own = Database(url, limits=_COURIER_LIMITS)
    sender, source = Sender(webhook_policy(settings)), str(settings.public_url).rstrip("/")
    courier = Courier(own, deployment, sender, source, chance=random.random)
    database = Database(url, limits=_JOBS_LIMITS, clock=clock)
    return Work(database, deployment, courier, settings.event_retention)


async def _settle(metrics: Metrics) -> None:
    while True:
        await asyncio.sleep(1)
        metrics.settle()


_LOOKED_THROUGH: Final = (10_000, 50, 100_000)
_ALL_LOOKED_THROUGH_SECONDS: Final = 3_600


async def _collect_cycles() -> None:
    """Look through everything for cycles that nobody holds any more, once an hour.

    Python would do so each time that memory has grown by a quarter: with half a million subjects in it, for longer
    than an answer may take.
    """
    while True:
        await asyncio.sleep(_ALL_LOOKED_THROUGH_SECONDS)
        gc.collect()


def create_app_from_environment() -> FastAPI:
    """What uvicorn's workers call: settings from the environment, logs as they say, a process of its own."""
    gc.set_threshold(*_LOOKED_THROUGH)
    gc.freeze()  # modules and classes stay: they need not be looked through
    settings = Settings.load()
    configure_logs(level=settings.log_level, as_json=settings.log_format is LogFormat.JSON)
    return create_app(settings)
