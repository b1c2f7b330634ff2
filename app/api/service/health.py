"""Whether the process lives, whether it can decide, and its metrics."""

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from app.api.http.problems import NO_STANDBY, unavailable
from app.api.http.routing import PROBLEMS
from app.api.http.security import Needs, bearer, open_to_all
from app.api.http.services import DatabaseDep, MemoryDep, MetricsAccessDep, MetricsDep, StampsLogDep, TokenCheckDep
from app.api.service.metrics import (
    IssuerState,
    change_metrics,
    delivery_metrics,
    issuer_states,
    job_metrics,
    proof_metrics,
)
from app.auth.scopes import Scope
from app.db.database import Database, DatabaseUnavailableError
from app.operations.service.list_job_runs import list_job_runs
from app.operations.webhooks.count_deliveries import count_deliveries
from app.proof.anchoring import NOT_ANCHORED
from app.proof.anchors import anchor_delay, anchored_log
from app.proof.store import merge_delay
from app.snapshot.upkeep import count_changes
from app.telemetry.access import MetricsAccess
from app.telemetry.families import exposition_of
from app.telemetry.metrics import MEDIA_TYPE

router = APIRouter(tags=["operation"])

_NO_DATABASE = "The database cannot be reached: purposes of III are still answered, nothing else is."


class Live(BaseModel):
    """The process answers."""

    status: str = "live"


class Ready(BaseModel):
    """The process can decide.

    `status` is `degraded` while no lease is held: III is answered, IV only if the database is proven to be the primary.
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
    return Live()


@router.get("/readyz", summary="Can the process decide?", responses={503: PROBLEMS[503]})
@open_to_all
async def readyz(
    database: DatabaseDep, memory: MemoryDep, token_check: TokenCheckDep, stamps_log: StampsLogDep
) -> Response:
    """200 while the database answers and records as durably as SCEAU_DURABILITY says, else 503."""
    try:
        await database.ping()
        if not await database.is_durable():
            return unavailable(NO_STANDBY)
        notes = await _notes(database, is_on=stamps_log)
    except DatabaseUnavailableError:
        return unavailable(_NO_DATABASE)
    issuers = list(issuer_states(token_check)) if token_check is not None else []
    if memory is None:
        ready = Ready(mode="strict", leased=False, issuers=issuers, notes=notes)
    else:
        asked = memory.hits + memory.misses
        leased = memory.replica.lease.held()
        ready = Ready(
            status="ready" if leased else "degraded",
            mode="leased",
            leased=leased,
            lag_seconds=round(memory.replica.lag(), 3) if leased else None,
            hit_rate=round(memory.hits / asked, 4) if asked else None,
            issuers=issuers,
            notes=notes,
        )
    return Response(ready.model_dump_json(), media_type="application/json")


async def _notes(database: Database, *, is_on: bool) -> list[str]:
    """What is to be said of the log that outsiders check."""
    try:
        async with database.read() as session:
            log, now = await anchored_log(session), await session.now()
    except DatabaseUnavailableError:
        return []  # whether it can decide was found out before
    note = NOT_ANCHORED.get(log.standing(now, is_on=is_on))
    return [] if note is None else [note]


_METRICS_SCOPE: Final = Needs(Scope.AUDIT_READ)


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **PROBLEMS},
)
@open_to_all
async def metrics(
    request: Request,
    database: DatabaseDep,
    access: MetricsAccessDep,
    counted: MetricsDep,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)] = None,
) -> Response:
    """Counters in the Prometheus text format, summed over the workers. SCEAU_METRICS says who may read them."""
    if access is MetricsAccess.OFF:
        raise HTTPException(404)
    if access is MetricsAccess.SCOPED:
        await _METRICS_SCOPE(request, credentials)
    try:
        counts = await count_deliveries(database)
        async with database.read() as session:
            runs = await list_job_runs(session, task=None, days=0)
            changes: int | None = await count_changes(session)
            of_log = list(proof_metrics(await merge_delay(session), await anchor_delay(session)))
    except DatabaseUnavailableError:
        counts, runs, changes, of_log = None, (), None, []  # what this process counted itself is still told
    read = exposition_of([*delivery_metrics(counts), *job_metrics(runs), *change_metrics(changes), *of_log])
    return Response(counted.exposition() + read, media_type=MEDIA_TYPE)
