"""Routes that read JSON strictly, and let in callers alone, as often as these may ask.

Each route names its scope, which is checked before it runs. Deny by default: an application with a route that names no
scope does not start (`scopes_by_route`).
"""

import math
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final, get_args, get_origin

from fastapi import APIRouter, Depends, FastAPI, Request, Response, Security
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute, iter_route_contexts
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException
from starlette.types import Scope as AsgiScope

from app.api.http.peers import peer_of
from app.api.http.services import Services, services_of
from app.api.http.wire import BadJsonError, is_json, parse
from app.auth.callers import (
    Authenticated,
    Caller,
    Counted,
    Credential,
    QuotaStatus,
    RateLimits,
    Scope,
    UnauthorizedError,
    counted_by,
    key_digest,
    without_scheme,
)
from app.auth.store import authenticate
from app.auth.tokens import LONGEST_TOKEN, BadTokenError, looks_like_token
from app.db.database import Database, DatabaseUnavailableError
from app.snapshot.leases import boot_seconds

_LONGEST_KEY: Final = 512
bearer = HTTPBearer(
    auto_error=False,
    scheme_name="key",
    description="An API key, `sceau_…`, or an access token of an issuer that this deployment takes. Pasted with "
    "the word `Bearer` in front, it works too.",
)
_open: set[Callable[..., Any]] = set()
_inside: dict[Callable[..., Any], frozenset[Scope]] = {}


class Needs:
    """A dependency that gives the caller if it has one of some scopes, and refuses the request otherwise (401, 403)."""

    def __init__(self, *scopes: Scope, counted: bool = True) -> None:
        """Keep the scopes for the check and for the documentation. One of them is enough.

        `counted`: whether rate limits count the route. The first scope says among which requests.
        """
        self.scopes = frozenset(scopes)
        self._named = scopes
        self.counted = None if not counted else counted_by(scopes[0]) if scopes else Counted.ADMINISTRATION

    async def __call__(
        self, request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]
    ) -> Caller:
        """Find the caller by its key or token.

        Raises:
            UnauthorizedError: there is no credential, or it is not in force.
            OverQuotaError: the caller has used up its quota.
            ScopeMissingError: the caller has none of the scopes.

        """
        services = services_of(request)
        text = credentials.credentials if credentials is not None else None
        presented = await credential_of(services, text)
        database = services.reading if self.counted is Counted.SEARCHES else services.database
        authenticated = await _authenticated(services, database, presented)
        request.state.authenticated, request.state.presented = authenticated, presented
        request.state.caller = str(authenticated.caller.id)
        charge(request, services.limits, self.counted, authenticated.caller)
        self.check(authenticated.caller)
        return authenticated.caller

    def check(self, caller: Caller) -> None:
        """Refuse a caller who has none of the scopes.

        Raises:
            ScopeMissingError: it has none of them, or none is named.

        """
        caller.require(*self._named)


class AnyCaller(Needs):
    """A dependency that gives the caller, whatever its scopes."""

    def check(self, caller: Caller) -> None:
        """Refuse nobody."""


class NeedsRemembered(Needs):
    """Like `Needs`, but from memory if this process may use it: for routes that look the caller up as they write."""

    async def __call__(
        self, request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]
    ) -> Caller:
        """Find the caller in memory, under the lease, or as every route does."""
        services = services_of(request)
        presented = await credential_of(services, credentials.credentials if credentials is not None else None)
        caller = await remembered_caller(services, presented)
        if caller is None:
            return await super().__call__(request, credentials)
        request.state.presented, request.state.caller = presented, str(caller.id)
        charge(request, services.limits, self.counted, caller)
        self.check(caller)
        return caller


def as_shown(needs: Needs) -> Callable[..., Awaitable[Authenticated]]:
    """A dependency like `needs` that gives the credential too, which the operation checks again in its transaction."""

    async def shown(request: Request, _: Annotated[Caller, Depends(needs)]) -> Authenticated:
        authenticated: Authenticated = request.state.authenticated
        return authenticated

    return shown


def everywhere(needs: Needs) -> Callable[..., Awaitable[Caller]]:
    """A dependency like `needs` that refuses a caller limited to some processings, because the route is about none."""

    async def unlimited(caller: Annotated[Caller, Depends(needs)]) -> Caller:
        caller.require_processing(None)
        return caller

    return unlimited


async def _authenticated(services: Services, database: Database, presented: Credential) -> Authenticated:
    """The caller who presented this credential.

    Raises:
        UnauthorizedError: no credential in force.
        IssuerUnavailableError: it is a token, and its issuer's keys cannot be read.
        DatabaseUnavailableError: the database cannot be read.

    """
    began = boot_seconds()
    async with database.read() as session:
        authenticated = await authenticate(session, presented)
    # Nothing proves that this server is the primary: what it says may contradict what is known, and is not kept.
    services.known.remember_caller(presented.digest, authenticated, began if authenticated is None else -math.inf)
    if authenticated is None:
        raise UnauthorizedError(presented=True)
    services.uses.note(authenticated)
    return authenticated


async def remembered_caller(services: Services, presented: Credential) -> Caller | None:
    """The caller from this process's memory, which reads it if it lacks it; None if memory may not be used."""
    memory = services.memory
    if memory is None or not memory.replica.lease.held():
        return None
    replica = memory.replica
    try:
        record = replica.callers.get(presented.digest) or await replica.load_caller(presented.digest)
    except DatabaseUnavailableError:
        return None  # memory cannot be read into: the primary is asked
    now = replica.now()
    if record.caller is None or now >= record.until or not replica.lease.held():
        return None
    record.use.at = now
    return record.caller


async def credential_of(services: Services, text: str | None) -> Credential:
    """The credential that a client presented, if it has the form of one. Checks the signature of a new token.

    Raises:
        UnauthorizedError: there is none, it cannot be a key, or it is a token that is not valid.
        IssuerUnavailableError: it is a token, and its issuer's keys cannot be read.

    """
    text = without_scheme(text or "")
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


async def refuse_strangers(services: Services, text: str | None) -> None:
    """Refuse a client without a credential in force before any answer says what is wrong with its request.

    Raises:
        UnauthorizedError: no credential in force, or none when that could last be known.
        IssuerUnavailableError, DatabaseUnavailableError: it cannot be known.

    """
    presented = await credential_of(services, text)
    if await remembered_caller(services, presented) is not None:
        return
    try:
        await _authenticated(services, services.database, presented)
    except DatabaseUnavailableError:
        if services.known.caller(presented.digest, datetime.fromtimestamp(services.instant(), UTC)) is None:
            raise


def open_to_all(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a route that needs no key on purpose; each is listed in design section 4."""
    _open.add(endpoint)
    return endpoint


def guarded_inside(scope: Scope) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Mark a route that looks up its caller and checks this scope itself, in the read that finds its facts."""

    def mark(endpoint: Callable[..., Any]) -> Callable[..., Any]:
        _inside[endpoint] = frozenset({scope})
        return endpoint

    return mark


class UnguardedRouteError(Exception):
    """A route names no scope and is not marked as open."""


def scopes_by_route(app: FastAPI) -> dict[tuple[str, str], frozenset[Scope] | None]:
    """The scopes of each route by method and path, one of which it needs; None for those marked as open.

    An empty set: any caller. Paths are as the document has them: a part that takes slashes is written like any other.

    Raises:
        UnguardedRouteError: a route names no scope and is not marked as open, so the application must not start.

    """
    by_route: dict[tuple[str, str], frozenset[Scope] | None] = {}
    for context in iter_route_contexts(app.routes):
        dependant: Dependant | None = getattr(context, "dependant", None)
        endpoint: Any = getattr(context, "endpoint", None)
        needs = _needs_of(dependant) if dependant is not None else None
        scopes = _inside.get(endpoint) or (needs.scopes if needs is not None else None)
        if scopes is None and endpoint not in _open:
            raise UnguardedRouteError(f"{context.path} names no scope")
        for method in sorted(context.methods or ()):
            by_route[method, (context.path or "").replace(":path}", "}")] = scopes
    return by_route


def _needs_of(dependant: Dependant) -> Needs | None:
    if isinstance(dependant.call, Needs):
        return dependant.call
    return next((needs for each in dependant.dependencies if (needs := _needs_of(each)) is not None), None)


# Routes whose JSON bodies are read strictly (`app.api.http.wire`); each path stands whole where it is made.

# A reference, not the model itself: FastAPI would build a reader of the model for each of five hundred answers.
_PROBLEM: Final = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}

_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"description": description, "content": _PROBLEM}
    for status, description in (
        (400, "The request is malformed."),
        (401, "No key, or none that is in force."),
        (403, "The caller lacks the scope, or may not name this processing."),
        (413, "The body is too large."),
        (429, "The caller asks too often, or a client without a key at its address does; `Retry-After` says when."),
        (503, "The database cannot be reached; nothing was recorded, or that is not known: the type tells."),
    )
}


def problems(*more: tuple[int, str]) -> dict[int | str, dict[str, Any]]:
    """The problem documents of a route: those of every route, and these."""
    return {**_PROBLEMS, **{status: {**_PROBLEMS[400], "description": each} for status, each in more}}


UNFIT: Final = problems((415, "The body is not said to be JSON."), (422, "Some fields are not as they should be."))
"""Those of a route that reads a body or parameters."""


class UnreadError(HTTPException):
    """What is wrong with a body that cannot be read; only a client that the route admits is told."""


class StrictRequest(Request):
    """A request whose JSON is I-JSON."""

    async def json(self) -> Any:  # noqa: ANN401 - any JSON value
        """Read the body strictly.

        Raises:
            UnreadError: 400, and why.

        """
        try:
            return parse(await self.body())
        except BadJsonError as error:
            raise UnreadError(400, str(error)) from None


class StrictRoute(APIRoute):
    """A route that hands a `StrictRequest` to FastAPI, and refuses what FastAPI would pass over in silence.

    That is a body that is not said to be JSON, and a parameter of the query that the route does not have, or that is
    given twice where one value counts: a filter that is misspelt would filter nothing. A model that it answers with
    leaves out what there is not: no member is null.
    """

    def __init__(self, *args: Any, **how: Any) -> None:  # noqa: ANN401 - as FastAPI's own
        """Take what FastAPI's routes take."""
        super().__init__(*args, **{**how, "response_model_exclude_none": True})

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap FastAPI's handler."""
        handle = super().get_route_handler()
        times = _times(self.dependant)

        async def handle_strictly(request: Request) -> Response:
            strict = StrictRequest(request.scope, request.receive)
            if faults := _passed_over(strict, times):
                await self._admit(strict)
                raise RequestValidationError(faults)
            try:
                if self.body_field is not None and not says_json(strict) and await strict.body():
                    raise UnreadError(415, "Send the body as application/json.")  # noqa: TRY301 - as below
                return await handle(strict)
            except UnreadError:
                await self._admit(strict)
                raise

        return handle_strictly

    async def _admit(self, request: Request) -> None:
        """Refuse whom the route refuses, and count the request: FastAPI reads a body before it looks for the caller."""
        if (needs := _needs_of(self.dependant)) is not None:
            await needs(request, await bearer(request))


def _times(dependant: Dependant) -> dict[str, float]:
    """How often each parameter of a route's query may be given: once, or any number of times."""
    times: dict[str, float] = {}
    for each in dependant.dependencies:
        times |= _times(each)
    for field in dependant.query_params:
        kind = field.field_info.annotation
        times[field.alias] = math.inf if any(get_origin(each) is list for each in (kind, *get_args(kind))) else 1
    return times


def _passed_over(request: Request, times: Mapping[str, float]) -> list[dict[str, Any]]:
    """What FastAPI would not read of a query, as pydantic tells faults."""
    given = Counter(name for name, _ in request.query_params.multi_items())
    return [
        {"type": "extra", "loc": ("query", name), "msg": "is given twice" if name in times else "is not known here"}
        for name, count in given.items()
        if count > times.get(name, 0)
    ]


def says_json(request: Request) -> bool:
    """Whether the request says that its body is JSON, whatever parameters follow."""
    return is_json(request.headers.get("content-type", "").encode("latin-1"))


def strict_router(tag: str) -> APIRouter:
    """A router of strict routes under one heading of the documentation."""
    return APIRouter(route_class=StrictRoute, tags=[tag], responses=UNFIT)


# Rate limits at the edge: of callers, counted for each, and of unknown keys, by where they come from. The answer to a
# request that is counted says how its caller stands; `app.api.http.problems` words the 429, and docs/limits.md tells
# clients what to do with it. A request with an unknown key is refused before anything is read (`app.auth.callers`);
# only routes that want a key are concerned, so pages for people, probes and metrics are not.

_STANDING: Final = "standing"


def charge(request: Request, limits: RateLimits, of: Counted | None, caller: Caller, units: int = 1) -> None:
    """Count a request, or the number of items that it holds, against its caller's quota.

    Raises:
        OverQuotaError: the caller's quota is used up.

    """
    if of is not None:
        note(request.scope, limits.take(of, caller.id, units))


def note(scope: AsgiScope, standing: QuotaStatus | None) -> None:
    """Put into the answer to a request how much of its quota the caller has left."""
    if standing is not None:
        scope.setdefault("state", {})[_STANDING] = standing


def fields_of(scope: AsgiScope) -> dict[str, str]:
    """The header fields about the caller's quota; empty if no limit applies."""
    standing: QuotaStatus | None = scope.get("state", {}).get(_STANDING)
    if standing is None:
        return {}
    policy, limit = standing.fields()
    return {"RateLimit-Policy": policy, "RateLimit": limit}


_WITH_A_KEY: Final = ("/v1/", "/access/")
_NOTHING: Final = b""
_UNAUTHORIZED: Final = 401


def refuses_unknown_key(services: Services, scope: AsgiScope) -> QuotaStatus | None:
    """The quota status of a request that is refused before its key is looked up; None for every other request."""
    if not scope["path"].startswith(_WITH_A_KEY):
        return None
    return services.unknown_keys.refuses(peer_of(scope, services.proxies), _presented(scope))


def note_key(services: Services, scope: AsgiScope, status: int) -> None:
    """Note whether the key of a request that was looked up belonged to a caller in force."""
    if not scope["path"].startswith(_WITH_A_KEY):
        return
    if status == _UNAUTHORIZED:
        services.unknown_keys.failed(peer_of(scope, services.proxies), _presented(scope))
    elif scope.get("state", {}).get("caller") is not None:
        services.unknown_keys.passed(_presented(scope))


def _presented(scope: AsgiScope) -> bytes:
    """The SHA-256 of the credential that a request presents: for a key, the digest by which it is stored."""
    authorization = next((value for name, value in scope["headers"] if name == b"authorization"), _NOTHING)
    if not authorization:
        return _NOTHING
    return key_digest(without_scheme(authorization.partition(b" ")[2].decode("latin-1")))
