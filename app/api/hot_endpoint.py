"""The hot path as ASGI: reads one body, sends one prepared answer; hands anything else on with what it has read."""

import asyncio
import time
from typing import Final

from starlette.types import Message, Receive, Scope, Send

from app.api.edge import SECURITY_HEADERS, request_id
from app.api.hot import BATCH, SINGLE, Asked, HotPath
from app.api.routing import is_json
from app.telemetry.metrics import Metrics

_BODY_SECONDS: Final = 15
_HEADERS: Final = [
    (b"content-type", b"application/json"),
    (b"connection", b"keep-alive"),
    *((name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()),
]


class HotEndpoint:
    """Answers `POST /access/v1/evaluation` and `/evaluations` where memory can."""

    def __init__(self, path: HotPath, metrics: Metrics, *, max_body_bytes: int) -> None:
        """Answer with `path`, count in `metrics`; larger bodies are the documented route's to refuse."""
        self._path = path
        self._largest = max_body_bytes
        self._times = {SINGLE: metrics.times(SINGLE), BATCH: metrics.times(BATCH)}

    def concerns(self, scope: Scope) -> bool:
        """Whether this request may be one of those."""
        return scope["path"] in self._times and scope["method"] == "POST" and scope["http_version"] == "1.1"

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> Receive | None:
        """Answer and return None; or return what the documented route is to receive."""
        started = time.perf_counter()
        asked = _asked(scope)
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                message = await receive()
        except TimeoutError:
            return receive
        body: bytes = message.get("body", b"")
        if asked is None or message.get("more_body", False) or len(body) > self._largest:
            return _again(message, receive)
        found = await self._path.answer(asked, body)
        if found is None:
            return _again(message, receive)
        headers = [
            *_HEADERS,
            (b"content-length", str(len(found)).encode()),
            (b"x-request-id", request_id(scope).encode("latin-1")),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": found})
        self._times[asked.path].observe(time.perf_counter() - started)
        return None


def _asked(scope: Scope) -> Asked | None:
    """What the headers say; None when the connection is not to be kept."""
    authorization = accept = content_type = b""
    for name, value in scope["headers"]:
        if name == b"authorization":
            authorization = value
        elif name == b"content-type":
            content_type = value
        elif name == b"accept":
            accept = value
        elif name == b"connection" and b"close" in value.lower():
            return None
    return Asked(scope["path"], authorization, accept, is_json(content_type))


def _again(message: Message, receive: Receive) -> Receive:
    """Receive a message that was taken once more, then what follows it."""
    taken = [message]

    async def received() -> Message:
        return taken.pop() if taken else await receive()

    return received
