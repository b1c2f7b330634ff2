"""Problem documents (RFC 9457): the one map from errors to the answers that clients get.

A problem never quotes what the client sent; `errors` names the fields at fault.
"""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.types import Scope

from app.api.http.security import note
from app.api.http.services import services_of
from app.api.http.wire import AT_FAULT, BadJsonError
from app.audit.trail import record_refusal
from app.auth.callers import POLICY as UNKNOWN_KEYS
from app.auth.callers import OverQuotaError, UnauthorizedError
from app.auth.issuer_trust import IssuerUnavailableError
from app.core import errors
from app.db.database import (
    BusyError,
    DatabaseUnavailableError,
    NotDurableError,
    OutcomeUnknownError,
    RestoredBehindError,
    ServerRefusesError,
)
from app.ledger.locators import KeyNotInUseError

_ADMINISTRATIVE: Final = ("/v1/", "/console")
log = structlog.get_logger("sceau.http")


async def note_refusal(request: Request, problem: str) -> None:
    """Record that the caller of a request was refused, if it is one of an administrative route.

    The refusal stands even if it cannot be recorded: nothing was done, and nothing was revealed.
    """
    caller: str | None = getattr(request.state, "caller", None)
    route = getattr(request.scope.get("route"), "path", None)
    if caller is None or route is None or not route.startswith(_ADMINISTRATIVE):
        return
    try:
        async with services_of(request).reading.write() as session:
            await record_refusal(session, UUID(caller), request.method, route, problem)
    except Exception:
        log.exception("a refusal was not recorded")


STATUS: Final[Mapping[type[errors.DomainError], int]] = {
    errors.DomainError: 422,
    errors.ConflictError: 409,
    errors.ForbiddenError: 403,
    errors.GoneError: 410,
    errors.NotFoundError: 404,
    errors.CredentialEndedError: 401,
    errors.FormNotOursError: 400,
    errors.InvalidSubjectError: 400,
    errors.TooManyFormsError: 429,
}
"""The status of each kind of domain error."""

_MAYBE: Final = "or none that this caller may see"
_NOT_FOUND: Final[Mapping[str, str]] = {
    "/v1/processings/": f"No processing has the id in the path, {_MAYBE}: GET /v1/processings lists those it may.",
    "/v1/controllers/": "No controller has the id in the path: GET /v1/controllers lists them. A new one needs `kind`.",
    "/v1/keys/": f"No caller has the id in the path, or not the keys, {_MAYBE}: GET /v1/keys lists those it may.",
    "/v1/webhooks/": f"No receiver has the id in the path, {_MAYBE}: GET /v1/webhooks lists those it may.",
    "/v1/signing-keys": f"No receiver has the id in `webhook`, {_MAYBE}: GET /v1/webhooks lists those it may.",
    "/v1/consents/": f"No consent has the id in the path, {_MAYBE}: POST /v1/consents/search finds those it may.",
    "/v1/consent-events/": f"No entry of the ledger has the id in the path, {_MAYBE}.",
    "/v1/staff/": "No member of the staff has this id, or no notice this version: GET /v1/staff/coverage lists them.",
    "/v1/presented-texts/": "No text that was shown has the SHA-256 in the path.",
}
"""The detail of a 404 for an id in a path that begins so, with where valid ids are listed."""


MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_SECONDS: Final = 1
_NOTHING: Final = errors.NotFoundError().detail
"""What an error says that names nothing."""
_CHALLENGE: Final = 'Bearer realm="sceau"'
_MOST_FIELDS: Final = 20
_LONGEST_NAME: Final = 100


class FieldError(BaseModel):
    """One field at fault: its dotted path in the request, and what is wrong with it."""

    field: str
    message: str


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    type: str = Field(description="`urn:sceau:problem:` and a word that does not change")
    title: str
    status: int
    detail: str | None = None
    errors: list[FieldError] | None = None


class MalformedError(Exception):
    """A request to an AuthZEN endpoint that is not as it should be: 400 (specification, 10.1.2), and never 422."""

    def __init__(self, detail: str, fields: Sequence[FieldError] = ()) -> None:
        """Say what is wrong, and with which fields."""
        super().__init__()
        self.detail = detail
        self.fields = fields


class InvalidRequestError(Exception):
    """A body whose members are not as they should be, on a route that answers 422."""

    def __init__(self, fields: Sequence[FieldError]) -> None:
        """Say which fields are at fault."""
        super().__init__()
        self.fields = fields


class TooLargeError(Exception):
    """A request that asks for too much at once: 413."""

    def __init__(self, detail: str) -> None:
        """Say what it has too much of."""
        super().__init__()
        self.detail = detail


_PHRASES = {413: "Content Too Large", 414: "URI Too Long", 422: "Unprocessable Content"}
"""As RFC 9110 names them: Python does from 3.13 on only."""


def problem(
    status: int,
    slug: str,
    detail: str | None = None,
    *,
    fields: Sequence[FieldError] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A response that is a problem document."""
    body = Problem(
        type=f"urn:sceau:problem:{slug}",
        title=_PHRASES.get(status) or HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        errors=list(fields) or None,
    )
    return Response(body.model_dump_json(exclude_none=True), status, dict(headers or {}), MEDIA_TYPE)


def unauthorized(*, presented: bool) -> Response:
    """401, with the scheme to use (RFC 6750, section 3): an error only for what was shown, and never which."""
    if not presented:
        detail = "Send an API key or an access token: `Authorization: Bearer …`."
        return problem(401, "unauthorized", detail, headers={"WWW-Authenticate": _CHALLENGE})
    challenge = f'{_CHALLENGE}, error="invalid_token"'
    return problem(401, "unauthorized", "The key or token is not in force.", headers={"WWW-Authenticate": challenge})


def unavailable(
    detail: str = "The database cannot be reached; nothing was recorded. Try again.",
    slug: str = "evidence-unavailable",
    seconds: int = RETRY_AFTER_SECONDS,
) -> Response:
    """503, with when to try again."""
    return problem(503, slug, detail, headers={"Retry-After": str(seconds)})


SERVER_REFUSES: Final = "PostgreSQL answers, and refuses:"
RESTORED_BEHIND: Final = (
    "The database was set back: it lacks what was withdrawn since, so nothing that needs consent is answered until its "
    "operator has replayed the journal or said what is lost (sceau recovery check)."
)


def left_behind(error: KeyNotInUseError) -> Response:
    """503 of a process that lacks the current pseudonym key; its log names the setting that is at fault."""
    log.error(str(error))
    return unavailable("This process lacks the pseudonym key in use; nothing was recorded. Its operator must set it.")


def restored_behind() -> Response:
    """503 for whatever needs consent, while the database is restored to a point before recorded events."""
    return unavailable(RESTORED_BEHIND, "restored-behind", 60)  # it waits for a person


NO_STANDBY: Final = (
    "PostgreSQL has no synchronous standby, which SCEAU_DURABILITY wants: nothing is recorded until it has one."
)
_BUSY: Final = "Others are writing about the same user or name; nothing was recorded. Try again."
_UNKNOWN: Final = (
    "It is not known whether this was recorded. Send it again with its Idempotency-Key, and the answer tells; if it "
    "had none, look first whether it was."
)
_INVALID: Final = "Some fields are not as they should be."
_NO_ISSUER: Final = "The keys of the token's issuer cannot be read now; nothing was recorded. Try again."


def over_quota(scope: Scope, error: OverQuotaError) -> Response:
    """429 (RFC 6585, section 4), with when to retry. It lacks the word for a yes, which some clients search for."""
    standing = error.standing
    note(scope, standing)
    what = "requests without a key in force" if standing.policy == UNKNOWN_KEYS else standing.policy
    detail = (
        f"More {what} than {standing.quota.units} within {standing.quota.seconds} seconds: nothing was done. Come back "
        "later, and until then deliver without analysing."
    )
    return problem(429, "rate-limited", detail, headers={"Retry-After": str(standing.wait)})


def status_of(error: errors.DomainError) -> int:
    """The HTTP status of a domain error: that of its own class, or else of the nearest above it."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def refused(error: errors.DomainError) -> Response:
    """The answer to a domain error."""
    if isinstance(error, errors.CredentialEndedError):
        return unauthorized(presented=True)  # as for one that was not in force when the request came
    fields = [FieldError(field=error.field, message=error.detail)] if error.field is not None else []
    challenge = {"WWW-Authenticate": f'{_CHALLENGE}, error="insufficient_scope"'}  # RFC 6750, section 3.1
    headers = challenge if isinstance(error, errors.ScopeMissingError) else None
    return problem(status_of(error), error.slug, error.detail, fields=fields, headers=headers)


def field_errors(faults: Sequence[Any]) -> list[FieldError]:
    """Pydantic's first errors as fields and messages, without the values, and with field names cut to a sane length."""
    fields = []
    for fault in faults[:_MOST_FIELDS]:
        at_fault = (fault["ctx"]["field"],) if fault["type"] == AT_FAULT else ()
        parts = (*fault["loc"], *at_fault)
        fields.append(
            FieldError(field=".".join(str(part)[:_LONGEST_NAME] for part in parts) or "body", message=fault["msg"])
        )
    return fields


def fields_of(error: ValidationError) -> list[FieldError]:
    """The fields at fault in a value that a model refused."""
    return field_errors(error.errors(include_url=False, include_input=False))


_WORDED: Final[Mapping[type[Exception], Callable[[Any], Response]]] = {
    BadJsonError: lambda error: problem(400, "malformed", str(error)),
    DatabaseUnavailableError: lambda _: unavailable(),
    BusyError: lambda _: unavailable(_BUSY),
    KeyNotInUseError: left_behind,
    # PostgreSQL answered that it cannot do this now: the operator has to act.
    ServerRefusesError: lambda error: unavailable(
        f"{SERVER_REFUSES} {error.why}. Nothing was recorded. Try again.", "database-refuses"
    ),
    NotDurableError: lambda _: unavailable(NO_STANDBY),
    RestoredBehindError: lambda _: restored_behind(),
    # A COMMIT was not answered, or may not have reached a standby.
    OutcomeUnknownError: lambda _: unavailable(_UNKNOWN, "outcome-unknown"),
    InvalidRequestError: lambda error: problem(422, "invalid-request", _INVALID, fields=error.fields),
    IssuerUnavailableError: lambda _: unavailable(_NO_ISSUER),
    MalformedError: lambda error: problem(400, "malformed", error.detail, fields=error.fields),
    TooLargeError: lambda error: problem(413, "too-large", error.detail),
    UnauthorizedError: lambda error: unauthorized(presented=error.presented),
}
"""What an exception that is no domain error is to a client."""


def response_to(error: Exception) -> Response | None:
    """The problem document of an exception that says why a request is not answered; None for any other exception."""
    if isinstance(error, errors.DomainError):
        return refused(error)
    worded = _WORDED.get(type(error))
    return worded(error) if worded is not None else None


def install(app: FastAPI) -> None:
    """Register the handler that turns exceptions into problem documents."""
    for kind in (errors.DomainError, RequestValidationError, OverQuotaError, HTTPException, *_WORDED):
        app.add_exception_handler(kind, _answered)
    app.add_exception_handler(Exception, lambda _, __: failed())


def failed() -> Response:
    """500, for an unforeseen error."""
    return problem(500, "internal", "Something failed here.")


async def _answered(request: Request, error: Exception) -> Response:
    match error:
        case errors.DomainError():
            if status_of(error) == HTTPStatus.FORBIDDEN:
                await note_refusal(request, error.slug)
            if type(error) is errors.NotFoundError and error.detail == _NOTHING:
                words = next((each for start, each in _NOT_FOUND.items() if request.url.path.startswith(start)), None)
                error = errors.NotFoundError(words) if words else error
            return refused(error)
        case RequestValidationError():
            faults = [{**each, "loc": _as_sent(each["loc"], error.body)} for each in error.errors()]
            return problem(422, "invalid-request", _INVALID, fields=field_errors(faults))
        case OverQuotaError():
            return over_quota(request.scope, error)
        case HTTPException():
            slug = _HTTP_SLUGS.get(error.status_code, "refused")
            return problem(error.status_code, slug, error.detail or None, headers=error.headers)
    response = response_to(error)
    if response is None:
        raise error
    return response


def _as_sent(loc: Sequence[int | str], body: object) -> list[int | str]:
    """The place of an error in the request: pydantic names the kind of a body beside its members."""
    first, *rest = loc
    if first != "body":
        return rest
    if not isinstance(body, dict):
        return []
    return rest[1:] if len(rest) > 1 and rest[0] not in body else rest


_HTTP_SLUGS: Final = {
    400: "malformed",
    404: "not-found",
    405: "method-not-allowed",
    413: "too-large",
    415: "unsupported-media-type",
}
