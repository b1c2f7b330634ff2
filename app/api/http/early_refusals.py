"""What is answered to a request that is refused before the application sees it: HTTP/1.1 as bytes."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from app.api.http.headers import SECURITY_HEADERS
from app.api.http.problems import MEDIA_TYPE, problem

_VERSIONS: Final = frozenset({"1.0", "1.1"})
LONGEST_TARGET: Final = 8_192
"""Bytes of a request's target: path and query."""
LONGEST_HEAD: Final = 32_768
"""Bytes of a request's head: its first line and all header fields."""
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


def header_lines(fields: list[tuple[bytes, bytes]]) -> bytes:
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


def refusal_of(version: str, fields: Iterable[tuple[bytes, bytes]]) -> Refusal | None:
    """Why a head is refused that proxies and this service might understand differently; None for any other.

    Two hosts (RFC 9112, section 3.2), a transfer coding beside chunked (section 6.1), a version that is not HTTP/1.
    """
    if version not in _VERSIONS:
        return VERSION
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
