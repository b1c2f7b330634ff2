"""Make what the routes work with from settings: the database, the memory of this replica, the log of decisions."""

import os
import platform
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from app.api.decisions.endpoint import DecisionEndpoint
from app.api.decisions.words import Wording
from app.api.http.services import Services
from app.audit.decision_log import DecisionLog, LogPlan, Recorder, rules_digest
from app.auth.callers import Counted, RateLimits, UnknownKeyLimiter
from app.auth.sessions import Uses
from app.db.database import Database, ReadPool
from app.db.session import Clock
from app.journal.journal import Fence
from app.operations.decisions.answer_questions import DecisionPoint
from app.operations.decisions.from_database import Outage, Primary
from app.operations.decisions.from_memory import Memory, RememberedDecisions
from app.operations.decisions.judging import SEALED_FOR, DecidedBy
from app.operations.decisions.tokens import DecisionTokens
from app.operations.service.deployment import Deployment
from app.operations.service.outage_file import ExemptKnowledge
from app.settings import OUTAGE_FILE, Settings
from app.settings.required import direct_url, register_approval, required, unprotected
from app.settings.values import CacheMode, DecisionLogMode
from app.snapshot.feed import ReplicaPlan
from app.snapshot.last_known import KNOWN_SECONDS, LastKnown, PrimaryReads
from app.snapshot.replica import Replica
from app.snapshot.writer import Writer
from app.telemetry.room import shared_directory
from app.wiring.parts import (
    code_flow_of,
    database_of,
    deployment_of,
    fence_of,
    is_synchronous,
    journal_of,
    pace_of,
    pool_limits,
    token_check_of,
    wall_clock,
)

if TYPE_CHECKING:
    from app.auth.issuers import TokenCheck


def rate_limits_of(settings: Settings) -> RateLimits:
    """Return the limits of callers."""
    rates = settings.rate_limits
    limited = {of: quota for of in Counted if (quota := rates.quotas[of.value]) is not None}
    return RateLimits(limited, excepted=rates.excepted)


_LEASED_PATIENCE: Final = 0.03
"""In seconds. Without its lease a process has not heard the database for two seconds: it hardly waits for a read."""
_STRICT_PATIENCE: Final = 0.5
"""In seconds. In strict mode only a read shows that the database is away, and a slow one is no outage."""


def services_of(settings: Settings, *, clock: Clock | None = None) -> Services:
    """Make what the routes work with. This opens no connection.

    Args:
        settings: as loaded.
        clock: another clock than the database's, for tests. There is then no memory, which needs the database's.

    Raises:
        SettingsError: a key or a URL is missing, or a key is wrong.

    """
    limits, for_reading = pool_limits(settings).shared()
    database = database_of(settings, clock=clock, limits=limits)
    reading, deployment, pace = database.apart(for_reading), deployment_of(settings), pace_of(settings)
    uses, check = Uses(), token_check_of(settings, deployment.pseudonyms)
    journal = journal_of(settings)
    fence = fence_of(settings, database, journal)
    memory = _memory(settings, fence, decided_by(deployment), uses, check) if clock is None else None
    replica = memory.replica if memory is not None else None
    if replica is not None:
        reading.follow(replica.feed.primary.accepts)
    known, reads = _known(replica, check), _reads(settings, fence, database, replica)
    longest, shared = pace.lease + pace.margin, shared_directory()
    # A worker that is started again in an outage finds in the shared directory what the others knew.
    path = settings.outage_file or (shared / OUTAGE_FILE if shared is not None else None)
    writer = Writer(database, replica, longest=longest, journal=journal, known=known, fence=fence, reading=reading)
    return Services(
        database=database,
        reading=reading,
        deployment=deployment,
        reads=reads,
        searches=_reads(settings, fence, reading, replica),
        writer=writer,
        tokens=DecisionTokens(database, deployment),
        wall_clock=wall_clock,
        public_url=str(settings.public_url),
        memory=memory,
        known=known,
        outage=Outage(reads, known),
        fence=fence,
        journal=journal,
        uses=uses,
        token_check=check,
        code_flow=code_flow_of(settings, check),
        recorder=_recorder(settings, deployment),
        pace=pace,
        metrics_access=settings.metrics,
        log_retention=settings.decision_log_retention,
        webhook_policy=settings.webhook_networks,
        limits=rate_limits_of(settings),
        unknown_keys=UnknownKeyLimiter(settings.rate_limits.quotas["unknown_keys"]),
        proxies=settings.trusted_proxies,
        register_approval=register_approval(settings),
        return_origins=settings.return_to_origins,
        logo=settings.logo,
        brand=settings.brand,
        stamps_log=settings.tsa_url is not None,
        exempt=ExemptKnowledge(path, deployment.vault, known, reads, replica.feed if replica is not None else None),
        unprotected=tuple(each.note for each in unprotected(settings)),
    )


def _known(replica: Replica | None, check: "TokenCheck | None") -> LastKnown:
    """Return what is remembered for an outage; it forgets keys that an issuer withdraws."""
    known = replica.known if replica is not None else LastKnown(KNOWN_SECONDS)
    if check is not None:
        check.withdrawn = known.forget_signed_by
    return known


def _reads(settings: Settings, fence: Fence, database: Database, replica: Replica | None) -> PrimaryReads:
    patience = min(pace_of(settings).lease, settings.database_timeout.total_seconds())
    feed = replica.feed if replica is not None else None
    return PrimaryReads(database, feed, fence.look, synchronous=is_synchronous(settings), patience=patience)


def _memory(settings: Settings, fence: Fence, by: DecidedBy, uses: Uses, check: "TokenCheck | None") -> Memory | None:
    if settings.cache is CacheMode.STRICT:
        return None
    url = required(settings.database_url, "database_url")
    plan = ReplicaPlan(
        direct_url(settings),
        pace_of(settings),
        settings.cache_subjects,
        about=f"{platform.node()} {os.getpid()}",
        fence=fence,
        synchronous=is_synchronous(settings),
    )
    pool = ReadPool(url, pool_limits(settings))
    replica = Replica(plan, fence.database, pool, uses, check.remembered if check is not None else lambda _: None)
    return Memory(replica, by, RememberedDecisions(settings.cache_subjects))


def decided_by(deployment: Deployment) -> DecidedBy:
    """Return what decides in this process."""
    seal = partial(deployment.vault.seal_apart, SEALED_FOR)
    return DecidedBy(deployment.policy, seal, rules_digest(), version("sceau"))


def _recorder(settings: Settings, deployment: Deployment) -> Recorder | None:
    if settings.decision_log is DecisionLogMode.OFF:
        return None
    url = required(settings.database_url, "database_url")
    patience, directory = pace_of(settings).lease, settings.state_directory
    plan = LogPlan(url, deployment.pseudonyms.opaque, patience=patience, directory=directory)
    durable = settings.decision_log is DecisionLogMode.DURABLE
    return Recorder(DecisionLog(plan), durable, settings.decision_log_exempt_share)


def decisions_of(services: Services) -> DecisionEndpoint:
    """Make the object that answers the decision endpoints."""
    by = decided_by(services.deployment)
    patience = _STRICT_PATIENCE if services.memory is None else _LEASED_PATIENCE
    primary = Primary(services.reads, services.known, services.outage, patience, services.uses, by, services.limits)
    point = DecisionPoint(services.memory, primary, services.instant)
    wording = Wording(services.metrics.decisions, services.recorder, partial(services.tokens.of, services.source))
    return DecisionEndpoint(services, point, wording)
