"""Put refusals of administrative acts (403) into the audit trail, beside the answer that the caller gets anyway."""

from typing import Final
from uuid import UUID

import structlog
from fastapi import Request

from app.api.http.services import services_of
from app.operations.audit.record_refusal import record_refusal

_ADMINISTRATIVE: Final = "/v1/"
log = structlog.get_logger("sceau.http")


async def note_refusal(request: Request, problem: str) -> None:
    """Record that the caller of a request was refused, if it is one of an administrative route.

    A refusal stands whether it can be recorded or not: nothing was done, and nothing is told.
    """
    caller: str | None = getattr(request.state, "caller", None)
    route = getattr(request.scope.get("route"), "path", None)
    if caller is None or route is None or not route.startswith(_ADMINISTRATIVE):
        return
    try:
        async with services_of(request).database.write() as session:
            await record_refusal(session, UUID(caller), request.method, route, problem)
    except Exception:
        log.exception("a refusal was not recorded")
