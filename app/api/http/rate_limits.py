"""Rate limits at the edge: of callers, counted for each, and of unknown keys, by where they come from.

The answer to a request that is counted says how its caller stands; `app.api.http.problems` words the 429, and
docs/limits.md tells clients what to do with it. A request with an unknown key is refused before anything is
read (`app.auth.callers`); only routes that want a key are concerned, so pages for people, probes and metrics are not.
"""

from typing import Final

from fastapi import Request
from starlette.types import Scope

from app.api.http.peers import peer_of
from app.api.http.services import Services
from app.auth.callers import Caller, Counted, QuotaStatus, RateLimits, key_digest, without_scheme

_STANDING: Final = "standing"


def charge(request: Request, limits: RateLimits, of: Counted | None, caller: Caller, units: int = 1) -> None:
    """Count a request, or the number of items that it holds, against its caller's quota.

    Raises:
        OverQuotaError: the caller's quota is used up.

    """
    if of is not None:
        note(request.scope, limits.take(of, caller.id, units))


def note(scope: Scope, standing: QuotaStatus | None) -> None:
    """Put into the answer to a request how much of its quota the caller has left."""
    if standing is not None:
        scope.setdefault("state", {})[_STANDING] = standing


def fields_of(scope: Scope) -> dict[str, str]:
    """The header fields about the caller's quota; empty if no limit applies."""
    standing: QuotaStatus | None = scope.get("state", {}).get(_STANDING)
    if standing is None:
        return {}
    policy, limit = standing.fields()
    return {"RateLimit-Policy": policy, "RateLimit": limit}


_WITH_A_KEY: Final = ("/v1/", "/access/")
_NOTHING: Final = b""
_UNAUTHORIZED: Final = 401


def refuses_unknown_key(services: Services, scope: Scope) -> QuotaStatus | None:
    """The quota status of a request that is refused before its key is looked up; None for every other request."""
    if not scope["path"].startswith(_WITH_A_KEY):
        return None
    return services.unknown_keys.refuses(peer_of(scope, services.proxies), _presented(scope))


def note_key(services: Services, scope: Scope, status: int) -> None:
    """Note whether the key of a request that was looked up belonged to a caller in force."""
    if not scope["path"].startswith(_WITH_A_KEY):
        return
    if status == _UNAUTHORIZED:
        services.unknown_keys.failed(peer_of(scope, services.proxies), _presented(scope))
    elif scope.get("state", {}).get("caller") is not None:
        services.unknown_keys.passed(_presented(scope))


def _presented(scope: Scope) -> bytes:
    """The SHA-256 of the credential that a request presents: for a key, the digest by which it is stored."""
    said = next((value for name, value in scope["headers"] if name == b"authorization"), _NOTHING)
    if not said:
        return _NOTHING
    return key_digest(without_scheme(said.partition(b" ")[2].decode("latin-1")))
