"""One exchange at the edge: what is added to every answer, and what is known of it afterwards."""

import re
from collections.abc import Mapping
from typing import Final

import structlog
from starlette.datastructures import MutableHeaders
from starlette.types import Message, Scope, Send

from app.api.http.rate_limits import fields_of
from app.api.http.services import Services
from app.db.identifiers import random_hex
from app.telemetry.traces.spans import trace_id

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

    def __init__(self, scope: Scope, send: Send, identifier: str, headers: Mapping[str, str]) -> None:
        """Wrap a request's `send`; `headers` are those that every answer has."""
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
            if "Connection" not in headers and self._http_1_1 and self._keep_alive:
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
