"""Routes of operation: whether the process is alive, whether it can decide, and its metrics."""

import asyncio
from enum import StrEnum
from typing import Annotated, Final, Literal

from fastapi import Query, Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials
from prometheus_client.core import Metric
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from app.api.http.problems import NO_STANDBY, RESTORED_BEHIND, SERVER_REFUSES, restored_behind, unavailable
from app.api.http.security import Needs, bearer, open_to_all, problems, strict_router
from app.api.http.services import MetricsAccessDep, MetricsDep, Services, ServicesDep
from app.api.metrics import (
    IssuerState,
    change_metrics,
    database_metrics,
    delivery_metrics,
    issuer_states,
    job_metrics,
    process_metrics,
    proof_metrics,
)
from app.auth.callers import Scope
from app.db.database import DatabaseUnavailableError, RestoredBehindError
from app.db.refusals import condition_of
from app.events.effects import load_counts
from app.operations.service.show_home import list_job_runs
from app.proof.anchors import NOT_ANCHORED, anchor_delay, anchored_log
from app.proof.store import merge_delay
from app.snapshot.tables import count_changes
from app.telemetry.logs import MetricsAccess
from app.telemetry.metrics import MEDIA_TYPE, build, exposition_of

router = strict_router("operation")

_NO_DATABASE: Final = (
    "The database cannot be reached: exempt purposes (L32-3, III) are still answered, nothing else is."
)
_JOURNAL_FAILS: Final = (
    "This process could not write its last note into the journal; a write that forbids is then answered 503. "
    "See docs/runbook.md, SceauJournalFails."
)
_STOPPING: Final = "The process is about to stop: send nothing new to it."
_CLOCKS_APART_SECONDS: Final = 5.0
_PATIENCE_SECONDS: Final = 1.0
"""How long a probe waits for the database: less than what load balancers and Kubernetes give it."""


class Live(BaseModel):
    """The process answers; `version` is that of its package."""

    status: str = "live"
    version: str


class Ready(BaseModel):
    """The process can decide.

    `status` is `degraded` while no lease is held or the database is away: exempt purposes (III) are answered, those
    that need consent (IV) only while the database is proven to be the primary. `/readyz?need=IV` is 503 then.
    `mode` is how it keeps its facts fresh; `leased` whether it holds a lease just now; `lag_seconds` since the beat was
    sent that its lease counts from, null without one; `hit_rate` the share (0 to 1) of requests that memory answered,
    null before the first. Those three say something only in the mode `leased`.
    `issuers` are those whose access tokens are taken, in the order in which they were set.
    `notes` say what is amiss and keeps nothing from being decided.
    """

    status: Literal["ready", "degraded"] = "ready"
    mode: Literal["leased", "strict"]
    leased: bool
    lag_seconds: float | None = None
    hit_rate: float | None = None
    issuers: list[IssuerState] = []
    notes: list[str] = []


@router.get("/livez", summary="Is the process alive?")
@open_to_all
async def livez() -> Live:
    """200 while the process answers at all; no dependency is looked at."""
    return Live(version=build()[0])


class Need(StrEnum):
    """What a process must be able to answer to be ready: exempt purposes, or those that need consent too."""

    III = "III"
    IV = "IV"


@router.get("/readyz", summary="Can the process decide?", response_model=Ready)
@open_to_all
async def readyz(
    services: ServicesDep,
    need: Annotated[
        Need, Query(description="What it must be able to answer: III (exempt purposes), or IV as well")
    ] = Need.III,
) -> Response:
    """200 while exempt purposes are answered, `degraded` while they alone may be; else 503, and while stopping.

    A load balancer that takes out processes that are not ready asks without `need`: otherwise an outage of the database
    would take out every process, and no question would be answered.
    """
    if services.stopping.is_set():
        return unavailable(_STOPPING)
    amiss = await _amiss(services, need)
    is_exempt_answered = amiss is RESTORED_BEHIND or services.known.knows_callers()
    if amiss is not None and (need is Need.IV or not is_exempt_answered):
        return restored_behind() if amiss is RESTORED_BEHIND else unavailable(amiss)
    notes = [amiss] if amiss is not None else await _notes(services)
    if (refusal := services.database.refusal) is not None:
        notes.append(f"{SERVER_REFUSES} {refusal}.")
    if services.journal.failing:
        notes.append(_JOURNAL_FAILS)
    notes += [*_silent_edges(services), *services.unprotected]
    ready = _ready(services, notes, decides=amiss is None)
    return Response(ready.model_dump_json(), media_type="application/json")


async def _amiss(services: Services, need: Need) -> str | None:
    """What keeps the process from deciding on consents; None if nothing does. A known outage is reported at once."""
    if services.outage.lasts:
        return _NO_DATABASE
    asking = asyncio.create_task(_ask(services, need))
    done, _ = await asyncio.wait({asking}, timeout=_PATIENCE_SECONDS)
    if not done:
        asking.add_done_callback(lambda task: task.cancelled() or task.exception())
        return _NO_DATABASE
    return asking.result()


async def _ask(services: Services, need: Need) -> str | None:
    try:
        if not await services.database.is_durable():
            return NO_STANDBY
        if need is Need.IV or services.fence.behind:
            async with services.reads.read():
                pass
        else:
            async with services.database.read() as session:
                await session.instant()
    except RestoredBehindError:
        return RESTORED_BEHIND
    except DatabaseUnavailableError:
        return _NO_DATABASE
    return None


def _ready(services: Services, notes: list[str], *, decides: bool) -> Ready:
    """`decides`: nothing keeps the process from deciding. In the mode `leased` it also needs its lease to be ready."""
    memory, check = services.memory, services.token_check
    members = {"issuers": list(issuer_states(check)) if check is not None else [], "notes": notes}
    if memory is None:
        status = "ready" if decides else "degraded"
        return Ready.model_validate({**members, "status": status, "mode": "strict", "leased": False})
    looks, leased = memory.hits + memory.misses, memory.replica.lease.held()
    status = "ready" if decides and leased else "degraded"
    members |= {"lag_seconds": round(memory.replica.lag(), 3) if leased else None}
    members |= {"hit_rate": round(memory.hits / looks, 4) if looks else None}
    return Ready.model_validate({**members, "status": status, "mode": "leased", "leased": leased})


def _silent_edges(services: Services) -> list[str]:
    """The note on edges that hold up withdrawals, if there are any."""
    silent = services.memory.replica.leaves.silent() if services.memory is not None else 0
    return [f"{silent} edges do not answer: a withdrawal waits once for the lease of each."] if silent else []


async def _notes(services: Services) -> list[str]:
    """The notes on the anchoring of the log and on the database's clock, for what is amiss."""
    try:
        async with services.database.read() as session:
            log, now = await anchored_log(session), await session.now()
            ahead = (await condition_of(session, services.wall_clock)).ahead
    except DatabaseUnavailableError:
        return []  # the caller has found out already whether it can decide
    note = NOT_ANCHORED.get(log.standing(now, is_on=services.stamps_log))
    notes = [] if note is None else [note]
    return [*notes, clock_note(ahead)] if abs(ahead) > _CLOCKS_APART_SECONDS else notes


def clock_note(ahead: float) -> str:
    """The note on a database's clock that is `ahead` seconds ahead of this host's, or behind it if that is negative."""
    way = "ahead of" if ahead > 0 else "behind"
    return (
        f"The database's clock is {abs(ahead):.0f} seconds {way} this host's: consents are dated and expire by it. "
        "See docs/runbook.md, SceauClockOffset."
    )


_METRICS_SCOPE: Final = Needs(Scope.AUDIT_READ)


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **problems()},
)
@open_to_all
async def metrics(
    request: Request,
    services: ServicesDep,
    access: MetricsAccessDep,
    counted: MetricsDep,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)] = None,
) -> Response:
    """Counters in the Prometheus text format, summed over the workers. SCEAU_METRICS says who may read them."""
    if access is MetricsAccess.OFF:
        raise HTTPException(404)
    if access is MetricsAccess.SCOPED:
        await _METRICS_SCOPE(request, credentials)
    read = exposition_of(await _read_metrics(services))
    return Response(counted.exposition() + read, media_type=MEDIA_TYPE)


async def _read_metrics(services: Services) -> list[Metric]:
    """The metrics that are read when Prometheus asks; without the database, those that the service has itself."""
    try:
        durable = await services.database.is_durable()
        async with services.database.read() as session:
            condition = await condition_of(session, services.wall_clock)
            return [
                *process_metrics(condition),
                *database_metrics(condition, durable=durable),
                *delivery_metrics(await load_counts(session)),
                *job_metrics(await list_job_runs(session, task=None, days=0)),
                *change_metrics(await count_changes(session)),
                *proof_metrics(await merge_delay(session), await anchor_delay(session)),
            ]
    except DatabaseUnavailableError:
        return [*process_metrics(None), *database_metrics(None)]
