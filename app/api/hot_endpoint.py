"""The hot path as ASGI: reads one body, sends one prepared answer; hands anything else on with what it has read."""

import asyncio
import time
from collections.abc import Generator
from functools import partial
from typing import Any, Final, cast

from starlette.types import Message, Receive, Scope, Send

from app.api.edge import SECURITY_HEADERS, usable_id
from app.api.hot import BATCH, SINGLE, Asked, HotPath
from app.api.one_write import WHOLE_ANSWER, WholeAnswer
from app.api.routing import is_json
from app.telemetry.metrics import Metrics

_BODY_SECONDS: Final = 15
_HEADERS: Final = [
    (b"content-type", b"application/json"),
    (b"connection", b"keep-alive"),
    *((name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()),
]
_LINES: Final = b"".join(b"%s: %s\r\n" % header for header in _HEADERS) + b"x-request-id: %s\r\n"
_NO_EXTENSIONS: Final[dict[str, Any]] = {}


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
        message = await _first(receive)
        if message is None:
            return receive
        body: bytes = message.get("body", b"")
        if asked is None or message.get("more_body", False) or len(body) > self._largest:
            return _again(message, receive)
        understood = self._path.understand(asked, body)
        if understood is None:
            return _again(message, receive)
        found = self._path.at_once(understood) or await self._path.answer(understood)
        if found is None:
            return _again(message, receive)
        whole: WholeAnswer | None = scope.get("extensions", _NO_EXTENSIONS).get(WHOLE_ANSWER)
        identifier = asked.identifier.encode("latin-1")
        if whole is None or not whole(_LINES % identifier, found):
            headers = [*_HEADERS, (b"content-length", b"%d" % len(found)), (b"x-request-id", identifier)]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": found})
        self._times[asked.path].observe(time.perf_counter() - started)
        return None


def _asked(scope: Scope) -> Asked | None:
    """What the headers say; None where they ask for anything unusual: no JSON either way, or the connection's end.

    Of a header that stands twice, the first counts, as it does for the documented routes.
    """
    authorization = content_type = given = b""
    for name, value in scope["headers"]:
        if name == b"authorization":
            authorization = authorization or value
        elif name == b"content-type":
            content_type = content_type or value
        elif name == b"x-request-id":
            given = given or value
        elif (name == b"accept" and b"text/plain" in value and b"json" not in value) or (
            name == b"connection" and b"close" in value.lower()
        ):
            return None
    if not is_json(content_type):
        return None
    return Asked(scope["path"], authorization, usable_id(given))


async def _first(receive: Receive) -> Message | None:
    """The first message, or None when it does not come in time."""
    waiting = receive().__await__()
    try:
        awaited = next(waiting)
    except StopIteration as done:
        # The body came with the headers, as it nearly always does: no need to look at the clock.
        return cast("Message", done.value)
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            return await _Rest(waiting, awaited)
    except TimeoutError:
        return None


class _Rest:
    """What is left of an await that has begun to wait."""

    def __init__(self, waiting: Generator[Any, Any, Message], awaited: Any) -> None:  # noqa: ANN401 - asyncio's own
        self._waiting = waiting
        self._awaited = awaited

    def __await__(self) -> Generator[Any, Any, Message]:
        """Wait for what is awaited already, then as the rest does."""
        awaited = self._awaited
        while True:
            try:
                sent = yield awaited
            except BaseException as error:  # noqa: BLE001 - it is the other's to handle
                step = partial(self._waiting.throw, error)
            else:
                step = partial(self._waiting.send, sent)
            try:
                awaited = step()
            except StopIteration as done:
                return cast("Message", done.value)


def _again(message: Message, receive: Receive) -> Receive:
    """Receive a message that was taken once more, then what follows it."""
    taken = [message]

    async def received() -> Message:
        return taken.pop() if taken else await receive()

    return received
