"""One exchange at the edge: what is added to every answer, and what is known of it afterwards."""

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, Protocol

import structlog
from starlette.datastructures import MutableHeaders
from starlette.types import Message, Scope, Send
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from app.api.http.problems import MEDIA_TYPE, problem
from app.api.http.rate_limits import fields_of
from app.api.http.services import Services
from app.db.identifiers import random_hex
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
    """The headers of a deployment that is reached at that address: where it is https, nothing else is to be tried."""
    return {**SECURITY_HEADERS, **_STRICT_TRANSPORT} if public_url.startswith("https:") else SECURITY_HEADERS


def header_lines(fields: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Header fields as they are sent, each with its line end."""
    return b"".join([b"%s: %s\r\n" % field for field in fields])


def answer_to(refusal: Refusal, own: list[tuple[bytes, bytes]]) -> bytes:
    """A whole answer that ends its connection: the server's own headers, those of every answer, the problem."""
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
    """Why a head is refused that proxies and this service might understand differently; None for any other.

    Two hosts (RFC 9112, section 3.2), a transfer coding beside chunked (section 6.1), a version that is not HTTP/1.
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
    """How long a head is by what was understood of it: the target, and the names and values of its fields."""
    return len(target) + sum(len(name) + len(value) for name, value in fields)


class Answering(Protocol):
    """A connection that answers."""

    transport: asyncio.Transport

    def end_after_answer(self) -> None:
        """Close, or let what is still sent come first."""


class LastWords:
    """What uvicorn writes an answer to, in the place of the connection's own transport."""

    def __init__(self, protocol: Answering) -> None:
        """Stand for that connection's."""
        self._protocol = protocol

    def write(self, data: bytes) -> None:
        """Send."""
        self._protocol.transport.write(data)

    def is_closing(self) -> bool:
        """Whether nothing more is sent."""
        return self._protocol.transport.is_closing()

    def close(self) -> None:
        """End the connection behind the answer."""
        self._protocol.end_after_answer()


LONGEST_ID: Final = 128
log = structlog.get_logger("sceau.http")
_LOGGABLE: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


def request_id(scope: Scope) -> str:
    """The client's X-Request-ID when it is short and printable ASCII, else a new one."""
    return usable_id(next((value for name, value in scope["headers"] if name == b"x-request-id"), b""))


def usable_id(given: bytes) -> str:
    """That id when it is short and printable ASCII, else a new one. Blanks around it do not count (RFC 9110, 5.5)."""
    given = given.strip(b" \t")
    if given and len(given) <= LONGEST_ID and given.isascii():
        text = given.decode("ascii")
        if text.isprintable():
            return text
    return random_hex(32)


def loggable(identifier: str) -> str | None:
    """A request id, unless it could be more than an id: a client may put anything there."""
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
        asked = next((value for name, value in scope["headers"] if name == b"connection"), b"")
        self._keep_alive = b"close" not in asked.lower()
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
