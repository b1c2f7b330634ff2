"""Decisions answered where they arrive: in the parser's callback at the end of a request, without scope or task.

A request to a decision endpoint is read from its own bytes, as any other. If memory has all that it needs, the answer
is written before the parser goes on. Else a task reads what is missing, and what the client sends meanwhile waits.
Whatever is unusual about the request as HTTP (a query, an answer before it that is not complete, `Expect`, a body that
is too large) takes uvicorn's way to the application, where the documented route asks the same endpoint.
"""

import asyncio
import time
from collections.abc import Mapping
from math import inf
from typing import TYPE_CHECKING, Final, cast

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from app.api.decisions.endpoint import BATCH, SINGLE, DecisionEndpoint, Pending, RequestHead, asked_of
from app.api.decisions.words import Reply, reply_to
from app.api.http.exchange import BODY_TOO_SLOW, first_fields, usable_id
from app.api.http.protocol import BoundedProtocol
from app.telemetry import spans

if TYPE_CHECKING:
    from opentelemetry.trace import Span

BODY_SECONDS: Final = 15.0
"""How long a body may take, from the end of its head on."""
_PATHS: Final = {SINGLE.encode(): SINGLE, BATCH.encode(): BATCH}


class PendingCycle:
    """A request whose answer is being read for, as uvicorn's protocol looks at the exchange under way.

    While it stands, uvicorn queues what the client sends next, and a server that stops waits for the answer.
    """

    def __init__(self, *, keep_alive: bool) -> None:
        """Begin: the request is whole, nothing is answered yet."""
        self.keep_alive = keep_alive
        self.response_complete = self.more_body = self.disconnected = False
        self.message_event = asyncio.Event()


class DecisionProtocol(BoundedProtocol):
    """The protocol of `sceau serve`: uvicorn's, bounded, with decisions answered at the connection."""

    __slots__ = ("_asked", "_body", "_decisions", "_keep_alive", "_started")

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Begin a connection."""
        super().connection_made(transport)
        self._asked: RequestHead | None = None
        self._body = b""
        self._started = 0.0
        self._keep_alive = True
        self._decisions: DecisionEndpoint | None = getattr(getattr(self.app, "state", None), "decisions", None)

    def begin_request(self, fields: Mapping[bytes, bytes]) -> None:
        """Begin a request whose head is whole: a decision's is taken here, if it can be answered here."""
        path = _PATHS.get(self.url)
        if path is None or self._decisions is None or not self._can_take(fields, self._decisions.max_body_bytes):
            super().begin_request(fields)
            return
        self._asked = asked_of(path, self.headers, fields)
        self._body = b""
        self._started = time.perf_counter()
        self._keep_alive = self.parser.should_keep_alive() and self.parser.get_http_version() != "1.0"
        self.begin_step(BODY_SECONDS)

    def on_body(self, body: bytes) -> None:
        """Read a piece of a body."""
        if self._asked is None or self._decisions is None:
            super().on_body(body)
            return
        self._body = self._body + body if self._body else body
        if len(self._body) > self._decisions.max_body_bytes:
            self._hand_on()

    def on_message_complete(self) -> None:
        """End a request, and answer it if memory has all that it needs."""
        asked, decisions = self._asked, self._decisions
        if asked is None or decisions is None:
            super().on_message_complete()
            return
        body, self._asked, self._body, self._in_message = self._body, None, b"", False
        if (tracer := spans.tracer()) is not None:
            with tracer.request(asked.path, self.headers) as span:
                self._answer(decisions, asked, body, span)
        else:
            self._answer(decisions, asked, body, None)

    def _answer(self, decisions: DecisionEndpoint, asked: RequestHead, body: bytes, span: "Span | None") -> None:
        """Answer a request from memory, or begin to read what memory lacks; `span` is that of the request."""
        try:
            found = decisions.at_once(asked, body)
        except Exception as error:  # noqa: BLE001 - what says nothing to a client is logged there
            found = reply_to(error)
        if isinstance(found, Reply):
            self._send(decisions, asked, found)
            self.begin_step(self.timeout_keep_alive)
            self.server_state.total_requests += 1
            decisions.observe(asked, found, time.perf_counter() - self._started, self._origin)
            if span is not None:
                spans.end(span, found.status)
            return
        self.begin_step(inf)
        cycle = PendingCycle(keep_alive=self._keep_alive)
        self.cycle = cast("RequestResponseCycle", cycle)
        task = self.loop.create_task(self._answer_later(decisions, found, cycle, self._origin(), self._started, span))
        self.tasks.add(task)  # a server that stops waits for those
        task.add_done_callback(self.tasks.discard)

    def too_late(self) -> None:
        """End a connection on which nothing came in time; a client whose body did not come is told."""
        if self._asked is None:
            super().too_late()
            return
        self._asked = None
        self.refuse(BODY_TOO_SLOW)

    def _can_take(self, fields: Mapping[bytes, bytes], max_body_bytes: int) -> bool:
        """Whether a decision request is answered here: nothing before it is under way, nothing about it is unusual."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if not (cycle is None or cycle.response_complete) or self.parser.get_method() != b"POST":
            return False
        if b"expect" in fields or self.flow.write_paused or self.transport.is_closing():
            return False
        return int(fields.get(b"content-length", b"0")) <= max_body_bytes

    def _origin(self) -> Scope:
        """Where this request comes from, as an ASGI scope says it."""
        return {"type": "http", "client": self.client, "headers": self.headers, "state": {}}

    def _hand_on(self) -> None:
        """Give the application what was taken of a request."""
        body, self._asked, self._body = self._body, None, b""
        super().begin_request(first_fields(self.headers))
        super().on_body(body)

    async def _answer_later(  # noqa: PLR0917 - all that is known of one request
        self,
        decisions: DecisionEndpoint,
        pending: Pending,
        cycle: PendingCycle,
        scope: Scope,
        started: float,
        span: "Span | None",
    ) -> None:
        """Answer after what memory lacks was read; then uvicorn goes on with what has come since."""
        reply = await decisions.finish_or_refuse(pending, scope)
        if not self.transport.is_closing():
            self._keep_alive = cycle.keep_alive
            self._send(decisions, pending.asked, reply)
        cycle.response_complete = True
        decisions.observe(pending.asked, reply, time.perf_counter() - started, lambda: scope)
        if span is not None:
            spans.end(span, reply.status)
        self.on_response_complete()

    def _send(self, decisions: DecisionEndpoint, asked: RequestHead, reply: Reply) -> None:
        """Write an answer in one piece."""
        # While it drains, each answer ends its connection: a balancer sends nothing on one that is about to be closed.
        keeps = self._keep_alive and not (self._last or decisions.stopping.is_set())
        connection = b"keep-alive" if keeps else b"close"
        head = decisions.heads.of(reply, self.server_state.default_headers, usable_id(asked.request_id), connection)
        self.transport.write(head + reply.body)
        if not keeps:
            self.transport.close()
