"""The hot path as ASGI: reads one body, sends one prepared answer; hands anything else on with what it has read."""

import asyncio
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, cast

from starlette.types import Message, Receive, Scope, Send

from app.api.accepting import prefers_text
from app.api.edge import usable_id
from app.api.hot import BATCH, SINGLE, HotPath, Understood, digest_of
from app.api.one_write import WHOLE_ANSWER, WholeAnswer
from app.api.routing import is_json
from app.auth.door import Door
from app.auth.quotas import OverQuotaError, Standing
from app.db.identifiers import random_hex
from app.snapshot.cache import RecordCache
from app.telemetry.metrics import Metrics

_BODY_SECONDS: Final = 15
_KEPT: Final = (b"connection", b"keep-alive")
_NO_EXTENSIONS: Final[dict[str, Any]] = {}
LEARN_HEAD: Final = "sceau.learn_head"
"""An ASGI extension: where the meaning of this request's head is to be remembered, and under which name."""
_PERMIT: Final = b'{"decision":true'
_NOT_ALIKE: Final = frozenset({b"expect", b"transfer-encoding", b"upgrade"})
"""Headers with which a request is not like the next one, or its head does not say how long its body is.

`app.api.hot_protocol` offers no head to learn that still holds a request id.
"""


@dataclass(frozen=True, slots=True)
class KnownHead:
    """What a request's head means: where it goes, the SHA-256 of its key, how many bytes its body has, who answers."""

    path: str
    digest: bytes
    length: int
    endpoint: "HotEndpoint"


@dataclass(slots=True)
class Missed:
    """A request with a known head that was understood, and that memory alone cannot answer.

    `identifier` is what `answer_known` was given; `started`: perf_counter.
    """

    head: KnownHead
    understood: Understood
    started: float
    identifier: bytes = b""


@dataclass(slots=True)
class Asked:
    """What a head says; `alike`: another request with the same head is to be treated the same.

    `word`: the client would rather have one word than JSON.
    """

    digest: bytes
    identifier: str
    alike: bool
    word: bool


class _Head:
    """The fields of a kind of answer that are the same each time, and their lines up to the request id."""

    __slots__ = ("fields", "lines")

    def __init__(self, fields: list[tuple[bytes, bytes]]) -> None:
        self.fields = fields
        self.lines = b"".join(b"%s: %s\r\n" % field for field in fields) + b"x-request-id: "


class HotEndpoint:
    """Answers `POST /access/v1/evaluation` and `/evaluations` where memory can."""

    def __init__(
        self, path: HotPath, metrics: Metrics, door: Door, headers: Mapping[str, str], *, max_body_bytes: int
    ) -> None:
        """Answer with `path` under the headers of every answer, count in `metrics`, tell `door` whose keys are good.

        Larger bodies are the documented route's to refuse.
        """
        self._path = path
        self._door = door
        own = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        self._json = _Head([(b"content-type", b"application/json"), _KEPT, *own])
        self._lines = self._json.lines
        self._plain = _Head([(b"content-type", b"text/plain; charset=utf-8"), _KEPT, *own])
        self._largest = max_body_bytes
        self._times = {SINGLE: metrics.times(SINGLE), BATCH: metrics.times(BATCH)}

    def concerns(self, scope: Scope) -> bool:
        """Whether this request may be one of those."""
        return scope["path"] in self._times and scope["method"] == "POST" and scope["http_version"] == "1.1"

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> Receive | None:
        """Answer and return None; or return what the documented route is to receive.

        Raises:
            OverQuotaError: the caller has used up its quota; nothing was sent.

        """
        started = time.perf_counter()
        asked = _asked(scope)
        message = await _first(receive)
        if message is None:
            return receive
        body: bytes = message.get("body", b"")
        if asked is None or message.get("more_body", False) or len(body) > self._largest:
            return _again(message, receive)
        path = scope["path"]
        understood = self._path.understand(path, asked.digest, body)
        if understood is None:
            return _again(message, receive)
        found = self._path.at_once(understood) or await self._path.answer(understood)
        if found is None:
            return _again(message, receive)
        self._door.passed(asked.digest)
        extensions = scope.get("extensions", _NO_EXTENSIONS)
        if asked.alike and not scope["query_string"]:
            _learn(extensions.get(LEARN_HEAD), KnownHead(path, asked.digest, len(body), self))
        head = self._json
        if asked.word and path == SINGLE:
            head, found = self._plain, _word_of(found)
        whole: WholeAnswer | None = extensions.get(WHOLE_ANSWER)
        identifier = asked.identifier.encode("latin-1")
        limit = _limit(understood.standing) if understood.standing is not None else []
        if whole is None or not whole(_with(head.lines + identifier + b"\r\n", limit), found):
            more = [(b"content-length", b"%d" % len(found)), (b"x-request-id", identifier), *limit]
            headers = [*head.fields, *more]
            if whole is not None:
                headers.remove(_KEPT)  # the connection may be about to end: the server says so if it is
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": found})
        self._times[path].observe(time.perf_counter() - started)
        return None

    def answer_known(
        self, head: KnownHead, body: bytes, identifier: bytes = b""
    ) -> tuple[bytes, bytes] | Missed | None:
        """Header lines and body of a 200, what was missed, or None: the ordinary way is to answer. Awaits nothing.

        `identifier` is a usable request id that the client gave; without one, the answer has an id of its own. While
        somebody may have to be refused at the door, which stands on the ordinary way, nothing is looked up from here:
        a key that was revoked is missed each time. Who is known is answered meanwhile, whatever strangers try.
        """
        started = time.perf_counter()
        understood = self._path.understand(head.path, head.digest, body)
        if understood is None:
            return None
        try:
            found = self._path.at_once(understood)
        except OverQuotaError:
            return None
        if found is None:
            return None if self._door.alert_until else Missed(head, understood, started, identifier)
        return self._worded(Missed(head, understood, started, identifier), found)

    async def answer_missed(self, missed: Missed) -> tuple[bytes, bytes] | None:
        """As `answer_known`, after what memory lacks was read."""
        try:
            found = await self._path.answer(missed.understood)
        except OverQuotaError:
            return None
        return self._worded(missed, found) if found is not None else None

    def _worded(self, request: Missed, body: bytes) -> tuple[bytes, bytes]:
        self._times[request.head.path].observe(time.perf_counter() - request.started)
        lines = self._lines + (request.identifier or random_hex(32).encode()) + b"\r\n"
        standing = request.understood.standing
        return (_with(lines, _limit(standing)) if standing is not None else lines), body


def _word_of(answer: bytes) -> bytes:
    """The word for a single answer, which begins with its decision (`app.api.answers`)."""
    return b"permit" if answer.startswith(_PERMIT) else b"deny"


def _limit(standing: Standing) -> list[tuple[bytes, bytes]]:
    """The fields that say how a caller stands."""
    policy, limit = standing.fields()
    return [(b"ratelimit-policy", policy.encode()), (b"ratelimit", limit.encode())]


def _with(lines: bytes, more: list[tuple[bytes, bytes]]) -> bytes:
    return lines + b"".join(b"%s: %s\r\n" % field for field in more) if more else lines


def _asked(scope: Scope) -> Asked | None:
    """What the headers say; None where they ask for anything unusual: a body that is no JSON, or the connection's end.

    Of a header that stands twice, the first counts, as it does for the documented routes; but for Accept, a list that
    may come in several lines.
    """
    authorization = content_type = given = b""
    alike, word, accepts = True, False, False
    for name, value in scope["headers"]:
        if name in _NOT_ALIKE:
            alike = False
        if name == b"authorization":
            authorization = authorization or value
        elif name == b"content-type":
            content_type = content_type or value
        elif name == b"x-request-id":
            given = given or value
        elif name == b"accept":
            if accepts:
                return None
            accepts, word = True, prefers_text(value.decode("latin-1"))
        elif name == b"connection" and b"close" in value.lower():
            return None
    digest = digest_of(authorization)
    if digest is None or not is_json(content_type):
        return None
    return Asked(digest, usable_id(given), alike and not word, word)


def _learn(offered: tuple[RecordCache[bytes, KnownHead], bytes] | None, head: KnownHead) -> None:
    if offered is not None:
        heads, name = offered
        heads.put(name, head)


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
