"""Rate limits at the edge: a request is counted for its caller, and its answer says how the caller stands.

`app.api.problems` words the 429; docs/limits.md tells clients what to do with it.
"""

from typing import Final

from fastapi import Request
from starlette.types import Scope

from app.api.services import Services
from app.auth.callers import Caller
from app.auth.quotas import Standing
from app.auth.rate_limits import Counted

_STANDING: Final = "standing"


def charge(request: Request, services: Services, of: Counted | None, caller: Caller) -> None:
    """Count a request for its caller.

    Raises:
        OverQuotaError: the caller's quota is used up.

    """
    if of is not None:
        note(request.scope, services.limits.take(of, caller.id))


def note(scope: Scope, standing: Standing | None) -> None:
    """Have the answer to a request say how its caller stands."""
    if standing is not None:
        scope.setdefault("state", {})[_STANDING] = standing


def fields_of(scope: Scope) -> dict[str, str]:
    """The fields that say how the caller of a request stands; none where no limit applies."""
    standing: Standing | None = scope.get("state", {}).get(_STANDING)
    if standing is None:
        return {}
    policy, limit = standing.fields()
    return {"RateLimit-Policy": policy, "RateLimit": limit}
