"""docs/reference/scopes.md and problems.md: what callers may do, and what they are told when they may not."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from app.api.http.problems import status_of
from app.auth.callers import SCOPE_TOLD, Scope
from app.core.errors import DomainError
from handbook.lists import listing, page

SCOPES: Final = """
What a [caller](../callers.md) may do. Give each the fewest that it needs. The API page (`/docs`) says of each operation
which scope it needs; where it names two, one is enough.
"""
PROBLEMS: Final = """
What is refused is answered with a problem document (RFC 9457, `application/problem+json`). Its `type` is
`urn:sceau:problem:` and one of these words (in brackets the status). They do not change; `detail` may, and says more.
**A deny is no problem**: it is an answer, 200.
"""
_GENERAL: Final = "## Any request\n"
_DOMAIN: Final = """
## What was asked for

Nothing is recorded when one of these is answered, but an import and its proposal by `import-not-approved`.
"""
GENERAL: Final[Mapping[str, tuple[str, str]]] = {
    "malformed": (
        "400",
        "The request is no HTTP or no JSON, or a question is not as AuthZEN has it; `errors` names the fields.",
    ),
    "transfer-coding-unknown": ("501", "A body in another transfer coding than `chunked` (RFC 9112, section 6.1)."),
    "version-unknown": ("505", "A version of HTTP that is not HTTP/1.1 or HTTP/1.0."),
    "upgrade-refused": ("400", "The request asks for another protocol (`Upgrade`)."),
    "unauthorized": ("401", "There is no key or token, or it is not in force. Nothing says which."),
    "processing-not-allowed": ("403", "The caller is limited to some processings, and this is none of them."),
    "not-found": ("404", "There is nothing at this address."),
    "method-not-allowed": ("405", "The address does not take this method."),
    "timeout": ("408", "The head or the body did not arrive in time."),
    "too-large": ("413", "The body, or the number of things asked at once, is over its [limit](../limits.md)."),
    "target-too-long": ("414", "Path and query are over their limit."),
    "unsupported-media-type": ("415", "The body is of another type than the route takes."),
    "invalid-request": ("422", "Members of the body are wrong; `errors` names them."),
    "rate-limited": ("429", "The caller, or the address, has used up its quota. `Retry-After` says when to come back."),
    "head-too-large": ("431", "The head is over its limit."),
    "internal": ("500", "Something failed in Sceau. Its log says what, under the `X-Request-ID` of the answer."),
    "database-refuses": (
        "503",
        "PostgreSQL answers and cannot work: read-only, full, stopping or failing. `detail` and `/readyz` say which.",
    ),
    "evidence-unavailable": (
        "503",
        "The database or an issuer's keys cannot be reached. Nothing was recorded: try again.",
    ),
    "outcome-unknown": (
        "503",
        "It is not known whether the write was recorded. Repeat it with its `Idempotency-Key`, or look first.",
    ),
    "restored-behind": (
        "503",
        (
            "The database was set back ([restoring](../recovery.md)). Until somebody has dealt with that, IV is not "
            "answered, and only imports record what may permit more."
        ),
    ),
    "refused": ("4xx", "Any other refusal by the HTTP layer."),
}
"""What any request can meet, by its word: the status, and when."""


def scopes_page() -> str:
    """The whole page."""
    return page("Scopes", SCOPES, listing((scope, "", SCOPE_TOLD[scope]) for scope in Scope))


def domain_errors(base: type[DomainError] = DomainError) -> Iterator[type[DomainError]]:
    """Every domain error that the application knows."""
    for each in base.__subclasses__():
        yield each
        yield from domain_errors(each)


_ARTICLE: Final = re.compile(r"\b(art|D)\. ")


def problems_page() -> str:
    """The whole page."""
    general = ((slug, status, when) for slug, (status, when) in sorted(GENERAL.items()))
    told: dict[str, tuple[str, str]] = {}
    for each in domain_errors():
        if "slug" in vars(each) and each.slug not in GENERAL:  # the others are kinds of problems
            detail = _ARTICLE.sub("\\1.\u00a0", " ".join((each.__doc__ or "").split()))
            when, end, _ = detail.partition(". ")  # an answer's detail is all of it
            when += end.strip()
            told[each.slug] = (str(status_of(each.__new__(each))), when)
    domain = ((slug, status, when) for slug, (status, when) in sorted(told.items()))
    return page("Problem types", PROBLEMS, _GENERAL, listing(general), _DOMAIN, listing(domain))
