"""One HTTP exchange: what the client accepts, the headers that every answer gets, and the line that is logged."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final

import structlog
from fastapi import Request, Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from app.api.http.problems import MEDIA_TYPE, problem
from app.api.http.security import fields_of
from app.api.http.services import Services
from app.db.session import random_hex
from app.telemetry.spans import trace_id

_VERSIONS: Final = frozenset({"1.0", "1.1"})
LONGEST_TARGET: Final = 8_192
"""Bytes of a request's target: path and query."""
LONGEST_HEAD: Final = 32_768
"""Bytes of a request's head: its first line and all header fields."""
MOST_BODY_BYTES: Final = 1_048_576
MOST_FIELDS: Final = 100
"""Header fields of a request, those behind a chunked body among them."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is answered before the application sees it."""

    status: int
    slug: str
    detail: str


MALFORMED: Final = Refusal(400, "malformed", "This is no HTTP request.")
TARGET_TOO_LONG: Final = Refusal(414, "target-too-long", f"Path and query hold at most {LONGEST_TARGET} bytes.")
HEAD_TOO_LARGE: Final = Refusal(
    431,
    "head-too-large",
    f"A request has at most {MOST_FIELDS} header fields and {LONGEST_HEAD} bytes before its body.",
)
UPGRADE: Final = Refusal(400, "upgrade-refused", "This service speaks HTTP/1.1 only: send no Upgrade.")
CODING: Final = Refusal(501, "transfer-coding-unknown", "Send the body as it is, or chunked, in no other coding.")
VERSION: Final = Refusal(505, "version-unknown", "This service speaks HTTP/1.1 and HTTP/1.0.")
TWO_HOSTS: Final = Refusal(400, "malformed", "A request has one Host.")
HEAD_TOO_SLOW: Final = Refusal(408, "timeout", "The head did not arrive in time.")
BODY_TOO_SLOW: Final = Refusal(408, "timeout", "The body did not arrive in time.")
REFUSALS: Final = (MALFORMED, TARGET_TOO_LONG, HEAD_TOO_LARGE, HEAD_TOO_SLOW, UPGRADE, CODING, VERSION)


# The security headers of every answer. The connection writes the same ones as prepared bytes
# (`app.api.decisions.words`). A route may set one for itself, as the API page does with its Content-Security-Policy;
# nothing takes one away. There is no CORS header anywhere: pages of other origins read nothing here.

SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""What every answer has, whatever it is: a browser that is made to show JSON runs, loads and frames nothing."""

DOCUMENT_HEADERS: Final = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": (
        "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), "
        "microphone=(), midi=(), payment=(), usb=()"
    ),
    "X-Frame-Options": "DENY",
}
"""What pages have beside those: they need no device, stand in no frame, and share no window with another origin."""

_STRICT_TRANSPORT: Final = {"Strict-Transport-Security": "max-age=31536000"}
"""For a year, this host alone: its other names and subdomains are not ours to speak for (RFC 6797)."""


@cache
def headers_of_every_answer(public_url: str) -> Mapping[str, str]:
    """The headers of every answer of a deployment at that address; with https they forbid plain http (HSTS)."""
    return {**SECURITY_HEADERS, **_STRICT_TRANSPORT} if public_url.startswith("https:") else SECURITY_HEADERS


def header_lines(fields: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Header fields as bytes, each with its line end."""
    return b"".join([b"%s: %s\r\n" % field for field in fields])


def answer_to(refusal: Refusal, own: list[tuple[bytes, bytes]]) -> bytes:
    """A whole answer that ends its connection: the server's headers, those of every answer, and the problem."""
    body = bytes(problem(refusal.status, refusal.slug, refusal.detail).body)
    fields = {
        **{name.lower(): value for name, value in SECURITY_HEADERS.items()},
        "content-type": MEDIA_TYPE,
        "content-length": str(len(body)),
        "connection": "close",
    }
    lines = [*own, *((name.encode(), value.encode()) for name, value in fields.items())]
    return STATUS_LINE[refusal.status] + header_lines(lines) + b"\r\n" + body


def first_fields(fields: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """The header fields by name, the first of each name."""
    return dict(reversed(fields))  # of two pairs of one name, a dict keeps the one that it meets last


def refusal_of(version: str, fields: Sequence[tuple[bytes, bytes]], first: Mapping[bytes, bytes]) -> Refusal | None:
    """Why a head is refused that a proxy might read differently than this service does; None if it is not refused.

    Such a head has two hosts (RFC 9112, section 3.2), a transfer coding beside chunked (section 6.1), or a version that
    is not HTTP/1.
    `first`: the fields as `first_fields` gives them.
    """
    if version not in _VERSIONS:
        return VERSION
    if len(first) == len(fields) and b"transfer-encoding" not in first:
        return None  # no field stands twice
    hosts = 0
    for name, value in fields:
        if name == b"host":
            hosts += 1
        elif name == b"transfer-encoding" and value.strip().lower() != b"chunked":
            return CODING
    return TWO_HOSTS if hosts > 1 else None


def head_length(target: bytes, fields: Iterable[tuple[bytes, bytes]]) -> int:
    """The length of a head in bytes, as far as it was parsed: its target, and the names and values of its fields."""
    return len(target) + sum(len(name) + len(value) for name, value in fields)


LONGEST_ID: Final = 128
log = structlog.get_logger("sceau.http")
_LOGGABLE: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


def request_id(scope: Scope) -> str:
    """The client's X-Request-ID when it is short and printable ASCII, else a new one."""
    return usable_id(next((value for name, value in scope["headers"] if name == b"x-request-id"), b""))


def usable_id(sent: bytes) -> str:
    """The given id if it is short and printable ASCII, else a new one; blanks around it are ignored (RFC 9110, 5.5)."""
    sent = sent.strip(b" \t")
    if sent and len(sent) <= LONGEST_ID and sent.isascii():
        text = sent.decode("ascii")
        if text.isprintable():
            return text
    return random_hex(32)


def loggable(identifier: str) -> str | None:
    """The request id if it looks like an id, else None: a client may put anything there, such as an address."""
    return identifier if _LOGGABLE.fullmatch(identifier) else None


class Exchange:
    """Sends an answer with the headers that every answer has; remembers its status."""

    def __init__(
        self, scope: Scope, send: Send, identifier: str, headers: Mapping[str, str], ends: Callable[[], bool]
    ) -> None:
        """Wrap a request's `send`.

        Args:
            scope: of the request.
            send: takes the answer.
            identifier: the request id.
            headers: those that every answer has.
            ends: whether the process is about to end, so that the answer ends its connection.

        """
        self._ends = ends
        self._scope = scope
        self._send = send
        self._headers = headers
        self._identifier = identifier
        self._http_1_1 = scope.get("http_version") == "1.1"
        connection = next((value for name, value in scope["headers"] if name == b"connection"), b"")
        self._keep_alive = b"close" not in connection.lower()
        self.status = 0
        self.started = False

    @property
    def loggable_id(self) -> str | None:
        """The request id, if it may be logged."""
        return loggable(self._identifier)

    async def send(self, message: Message) -> None:
        """Send a message on, adding the headers to the first."""
        if message["type"] == "http.response.start":
            self.started = True
            self.status = message["status"]
            if (current := trace_id()) is not None:  # the span ends before the line about this answer is logged
                self._scope.setdefault("state", {})["trace_id"] = current
            headers = MutableHeaders(scope=message)
            headers["X-Request-ID"] = self._identifier
            for name, value in self._headers.items():
                headers.setdefault(name, value)
            for name, value in fields_of(self._scope).items():
                headers[name] = value
            if self._ends():
                headers["Connection"] = "close"
            elif "Connection" not in headers and self._http_1_1 and self._keep_alive:
                # Said although HTTP/1.1 implies it: some mail servers reuse a connection only then.
                headers["Connection"] = "keep-alive"
        await self._send(message)


def answered_line(  # noqa: PLR0917 - what one line of the log says
    services: Services, scope: Scope, method: str, route: str, status: int, seconds: float, request_id: str | None
) -> None:
    """Count an answer, and log it in one line."""
    services.metrics.requests.labels(method, route, str(status)).inc()
    services.metrics.seconds.labels(route).observe(seconds)
    state = scope.get("state", {})
    log.info(
        "answered",
        method=method,
        route=route,
        status=status,
        milliseconds=round(seconds * 1000, 2),
        request_id=request_id,
        caller=state.get("caller"),
        **({"trace_id": state["trace_id"]} if "trace_id" in state else {}),
    )


# What a client accepts, and what browsers are told: media types, pages for people, heads of documents.

# Which of the media types that can be sent a client would rather have.
# Quality values and precedence as in RFC 9110, section 12.5.1. What is offered first is chosen on a draw, and where
# the client takes none (the section lets a server send what it has).

_LONGEST: Final = 1_024
_WEIGHT: Final = re.compile(r"q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)", re.ASCII | re.IGNORECASE)
_HINTS: Final = ("charset=", "profile=")
"""Parameters that a type is offered with all the same; `profile` is a hint of JSON-LD."""


def preferred(accept: str, offered: tuple[str, ...]) -> str:
    """The type that is worth most to the client.

    Args:
        accept: the value of its Accept field, several joined by commas; empty when there is none.
        offered: what can be sent, without parameters, the usual one first.

    """
    return _preferred(accept, offered) if len(accept) <= _LONGEST else offered[0]


@lru_cache(maxsize=256)
def _preferred(accept: str, offered: tuple[str, ...]) -> str:
    ranges = dict(_ranges(accept))
    return max(offered, key=lambda each: _quality(ranges, each))


def _ranges(accept: str) -> Iterator[tuple[str, float]]:
    """Each media range with its weight; a range with parameters is skipped, since no type is offered with any."""
    for media_range in accept.split(","):
        name, *parameters = (part.strip() for part in media_range.split(";"))
        own = [parameter for parameter in parameters if parameter and not parameter.lower().startswith("q=")]
        weights = [parameter for parameter in parameters if parameter.lower().startswith("q=")]
        if any(not parameter.lower().startswith(_HINTS) for parameter in own):
            continue
        weight = _WEIGHT.fullmatch(weights[0]) if weights else None
        if weights and weight is None:
            continue  # no weight at all: the range says nothing
        yield name.lower(), float(weight[1]) if weight is not None else 1.0


def _quality(ranges: dict[str, float], offered: str) -> float:
    """The weight of the most specific range that covers a type; 0 where none does."""
    from_exact_to_any = (offered, f"{offered.partition('/')[0]}/*", "*/*")
    return next((ranges[each] for each in from_exact_to_any if each in ranges), 0.0)


# Problems at the addresses of pages, as pages: whoever opens them in a browser reads no problem document.
# The routes of pages answer with pages by themselves. What is refused before a route is found, or by no route at all
# (404, 405, 408, 413, 429, 500, 503), comes as a problem document, and is exchanged here on its way out.

ErrorPage = Callable[[Request, int, Mapping[str, str] | None], Response]
"""Makes the page of a status; `app.pages` has it, and `app.main` hands it in."""

_PAGES: Final = ("/consent", "/console", "/staff")
_FOR_PROGRAMS: Final = (
    *("/access/", "/v1/", "/proof/", "/.well-known/", "/assets/", "/docs", "/openapi.json"),
    *("/metrics", "/livez", "/readyz"),
)
_READS: Final = frozenset({"GET", "HEAD"})
_KEPT: Final = ("allow", "retry-after", "connection", "ratelimit", "ratelimit-policy")
_HTML: Final = "text/html"


def wants_page(scope: Scope) -> bool:
    """Whether a person will read a problem at this address, so that it is shown as a page.

    Below the addresses of pages a person does, unless the client asks for JSON and not for HTML. At `/`, and at
    addresses without a route, a person does if the client asks for HTML; without a route, only a request that reads
    counts, since a program sends the others.
    """
    path: str = scope["path"]
    if path.startswith(_FOR_PROGRAMS):  # nearly every request: nothing else is read
        return False
    headers = Headers(scope=scope)
    accept = headers.get("accept", "").lower()
    browses = _HTML in accept or headers.get("sec-fetch-mode") == "navigate"
    if any(path == page or path.startswith(f"{page}/") for page in _PAGES):
        return browses or "json" not in accept
    return browses and (path == "/" or scope["method"] in _READS)


def for_people(scope: Scope, receive: Receive, send: Send, page: ErrorPage) -> Send:
    """What sends an answer on by `send`, with a page in the place of a problem document."""
    replaced = False

    async def shown(message: Message) -> None:
        nonlocal replaced
        if message["type"] == "http.response.start":
            headers = Headers(raw=message["headers"])
            if headers.get("content-type", "").startswith(MEDIA_TYPE):
                replaced = True
                kept = {name: headers[name] for name in _KEPT if name in headers}
                await page(Request(scope), message["status"], kept)(scope, receive, send)
        if not replaced:
            await send(message)

    return shown
