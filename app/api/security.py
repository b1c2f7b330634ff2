"""Who calls, and with which scope: said in each route's signature, checked before the route runs.

Deny by default: an application with a route that names no scope does not start (`check_every_route`).
"""

from collections.abc import Callable
from typing import Annotated, Any, Final

from fastapi import FastAPI, Request, Security
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from app.api.problems import UnauthorizedError
from app.api.rate_limiting import charge
from app.api.services import Services, services_of
from app.auth.callers import Authenticated, Caller, Credential, key_digest
from app.auth.rate_limits import counted_by
from app.auth.scopes import Scope
from app.auth.store import authenticate
from app.auth.tokens import LONGEST_TOKEN, BadTokenError, looks_like_token
from app.db.database import DatabaseUnavailableError

_LONGEST_KEY: Final = 512
bearer = HTTPBearer(
    auto_error=False,
    scheme_name="key",
    description="An API key, `sceau_…`, or an access token of an issuer that this deployment takes.",
)
_open: set[Callable[..., Any]] = set()
_inside: dict[Callable[..., Any], Scope] = {}


class Needs:
    """A dependency that gives the caller if it has a scope, and refuses otherwise (401, 403)."""

    def __init__(self, scope: Scope, *, counted: bool = True) -> None:
        """Remember the scope, for the check and for the documentation; and whether rate limits count the route."""
        self.scope = scope
        self.counted = counted_by(scope) if counted else None

    async def __call__(
        self, request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]
    ) -> Caller:
        """Find the caller by its key.

        Raises:
            UnauthorizedError: no key, or none that is in force.
            OverQuotaError: the caller has used up its quota.
            ScopeMissingError: the caller lacks the scope.

        """
        services = services_of(request)
        found = await _found(services, credentials.credentials if credentials is not None else None)
        request.state.caller = str(found.caller.id)
        charge(request, services, self.counted, found.caller)
        found.caller.require(self.scope)
        return found.caller


async def _found(services: Services, text: str | None) -> Authenticated:
    """Who presented this.

    Raises:
        UnauthorizedError: nobody who is known.
        IssuerUnavailableError: it is a token, and its issuer's keys cannot be read.
        DatabaseUnavailableError: it cannot be known.

    """
    presented, since = await credential_of(services, text), services.known.forgettings
    async with services.database.read() as session:
        found = await authenticate(session, presented)
    services.known.remember_caller(presented.digest, found, since)
    if found is None:
        raise UnauthorizedError(presented=True)
    services.uses.note(found)
    return found


async def credential_of(services: Services, text: str | None) -> Credential:
    """What a client presented, if it can be anybody's at all. A token's signature is checked here, the first time.

    Raises:
        UnauthorizedError: nothing, something that no key looks like, or a token that is not good.
        IssuerUnavailableError: it is a token, and its issuer's keys cannot be read.

    """
    if not text:
        raise UnauthorizedError
    if len(text) > LONGEST_TOKEN or not text.isascii():
        raise UnauthorizedError(presented=True)
    digest, tokens = key_digest(text), services.token_check
    if tokens is None or not looks_like_token(text):
        if len(text) > _LONGEST_KEY:
            raise UnauthorizedError(presented=True)
        return Credential(digest)
    try:
        return Credential(digest, await tokens.check(text, digest, services.instant()))
    except BadTokenError:
        raise UnauthorizedError(presented=True) from None


def bearer_of(request: Request) -> str | None:
    """What stands in the `Authorization` of a request under the scheme Bearer (RFC 6750, section 2.1)."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    return text.strip() if scheme.lower() == "bearer" else None


async def refuse_strangers(request: Request) -> None:
    """Before a request is told what is wrong with it: who is nobody learns nothing about how one should look.

    Raises:
        UnauthorizedError: nobody who is known, or was when that could last be known.
        IssuerUnavailableError, DatabaseUnavailableError: it cannot be known.

    """
    services, text = services_of(request), bearer_of(request)
    try:
        await _found(services, text)
    except DatabaseUnavailableError:
        presented = await credential_of(services, text)
        if services.known.caller(presented.digest, services.wall_clock()) is None:
            raise


def open_to_all(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a route that needs no key on purpose; each is listed in design section 4."""
    _open.add(endpoint)
    return endpoint


def guarded_inside(scope: Scope) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Mark a route that finds its caller and checks this scope itself, in the read that also finds its facts."""

    def mark(endpoint: Callable[..., Any]) -> Callable[..., Any]:
        _inside[endpoint] = scope
        return endpoint

    return mark


class UnguardedRouteError(Exception):
    """A route names no scope and is not marked as open."""


def scopes_by_route(app: FastAPI) -> dict[tuple[str, str], Scope | None]:
    """The scope of each route by method and path; None for those marked as open.

    Raises:
        UnguardedRouteError: a route names no scope and is not marked as open, so the application must not start.

    """
    found: dict[tuple[str, str], Scope | None] = {}
    for context in iter_route_contexts(app.routes):
        dependant: Dependant | None = getattr(context, "dependant", None)
        endpoint: Any = getattr(context, "endpoint", None)
        scope = _inside.get(endpoint) or (_scope_of(dependant) if dependant is not None else None)
        if scope is None and endpoint not in _open:
            raise UnguardedRouteError(f"{context.path} names no scope")
        for method in sorted(context.methods or ()):
            found[method, context.path or ""] = scope
    return found


def names_a_scope(dependant: Dependant) -> bool:
    """Whether a route lets in callers alone."""
    return _scope_of(dependant) is not None


def _scope_of(dependant: Dependant) -> Scope | None:
    if isinstance(dependant.call, Needs):
        return dependant.call.scope
    return next((scope for each in dependant.dependencies if (scope := _scope_of(each)) is not None), None)
