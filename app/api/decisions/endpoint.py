"""The decision endpoints: they read, answer and word a request; most requests arrive at the connection below.

The connection (`DecisionProtocol`) and the documented routes (`app.api.decisions.routes`) both ask `DecisionEndpoint`.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from math import inf
from typing import TYPE_CHECKING, Final, cast

from msgspec import Struct
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from app.api.decisions.reading import Batch, read_batch, read_question
from app.api.decisions.words import (
    JSON,
    NOT_ALLOWED,
    TEXT,
    UNAVAILABLE,
    UNKNOWABLE,
    Heads,
    Reply,
    Worded,
    Wording,
    quota_fields,
    reply_of,
    reply_to,
    span_attributes,
)
from app.api.http.exchange import (
    BODY_TOO_SLOW,
    MOST_BODY_BYTES,
    answered_line,
    first_fields,
    headers_of_every_answer,
    loggable,
    preferred,
    usable_id,
)
from app.api.http.problems import (
    MalformedError,
    TooLargeError,
    problem,
    restored_behind,
    unavailable,
)
from app.api.http.protocol import BoundedProtocol, Cork, CorkedTransport
from app.api.http.security import credential_of, note_key, refuse_strangers, refuses_unknown_key
from app.api.http.services import Services
from app.api.http.wire import is_json
from app.auth.callers import Counted, Credential, OverQuotaError, UnauthorizedError, bearer_of, key_digest
from app.auth.issuer_trust import IssuerUnavailableError
from app.db.database import DatabaseUnavailableError
from app.operations.decisions.answer_questions import (
    DecisionPoint,
    answer_at_once,
    answer_from_primary,
    answer_questions,
    stand_after_waiting,
)
from app.operations.decisions.from_memory import Lasting, lasting, recall
from app.operations.decisions.judging import AnsweredRequest, Judged, Question, Unanswered
from app.telemetry import spans

if TYPE_CHECKING:
    from opentelemetry.trace import Span

SINGLE: Final = "/access/v1/evaluation"
_WORD: Final = "text/plain"
_SINGLE_TYPES: Final = ("application/json", _WORD)
BATCH: Final = "/access/v1/evaluations"


class RequestHead(Struct, frozen=True):
    """The head of a request to a decision endpoint: the path, and the header fields that matter.

    If a field is repeated, the first one counts, except for Accept, which is a list. `authorization` is "" if the field
    is missing; it is a secret, and no repr shows it.
    """

    path: str
    authorization: str
    content_type: bytes
    accept: str
    request_id: bytes

    def __repr__(self) -> str:
        """Show the path alone."""
        return f"Asked({self.path})"


class Pending(Struct, frozen=True):
    """A request that memory alone cannot answer; `wrong` is the error found in it, if there is one."""

    request: RequestHead
    credential: str | None
    parsed: Question | Batch | None
    wrong: MalformedError | TooLargeError | None = None

    def __repr__(self) -> str:
        """Show the request without its credential."""
        return f"Pending({self.request})"


def request_of(path: str, headers: Sequence[tuple[bytes, bytes]], first: Mapping[bytes, bytes]) -> RequestHead:
    """The head of a request from its fields, whose names are in lower case; `first` is what `first_fields` returns."""
    accept = first.get(b"accept", b"")
    if accept:
        accept = b",".join([value for name, value in headers if name == b"accept"])
    return RequestHead(
        path,
        first.get(b"authorization", b"").decode("latin-1"),
        first.get(b"content-type", b""),
        accept.decode("latin-1"),
        first.get(b"x-request-id", b""),
    )


class DecisionEndpoint:
    """Answers `POST /access/v1/evaluation` and `/evaluations`."""

    def __init__(self, services: Services, point: DecisionPoint, wording: Wording) -> None:
        """Find callers with `services`, answer with `point`, put answers into words with `wording`."""
        self._services = services
        self._point = point
        self.wording = wording
        self.refs = services.deployment.pseudonyms.locator
        # A durable log has a permit wait for the commit of its row: then nothing is answered at once.
        self._waits = services.recorder is not None and services.recorder.durable
        self._recalls = point.memory is not None and not point.primary.limits.limits(Counted.DECISIONS)
        self.max_body_bytes = MOST_BODY_BYTES
        self.cork = Cork()
        self.stopping = services.stopping
        self.heads = Heads(headers_of_every_answer(services.public_url))
        self._times = {path: services.metrics.times(path) for path in (SINGLE, BATCH)}

    def at_once(self, request: RequestHead, body: bytes) -> Reply | Pending:
        """Answer a request if memory holds all that it needs; else return what `finish` needs. Awaits nothing.

        Raises:
            ScopeMissingError: the caller may not ask for decisions at all.
            OverQuotaError: the caller has used up its quota.

        """
        credential = bearer_of(request.authorization)
        try:
            parsed = self._parse(request, body)
        except (MalformedError, TooLargeError) as wrong:
            return Pending(request, credential, None, wrong)
        if not self._waits and credential and credential.isascii():
            digest = key_digest(credential)
            if isinstance(parsed, Question) and (recalled := self._recalled(request, digest, parsed)) is not None:
                return recalled
            answered = answer_at_once(self._point, digest, _questions_of(parsed))
            if answered is not None:
                self._services.unknown_keys.passed(digest)
                reply, worded = self._reply(request, answered, parsed)
                self.wording.sent(worded)
                return reply
        return Pending(request, credential, parsed)

    def lasting(self, digest: bytes, question: Question) -> Lasting | None:
        """The answer that a caller may hold and give again; None if the caller has to ask each time.

        A caller has to if its questions count against a quota, want a token, or wait for the log.
        """
        if self._point.memory is None or not self._recalls or self._waits or question.wants_token:
            return None
        return lasting(self._point.memory, digest, question)

    def _recalled(self, request: RequestHead, digest: bytes, question: Question) -> Reply | None:
        """The answer to one question if its decision is remembered and the answer carries nothing else."""
        memory = self._point.memory
        if memory is None or not self._recalls or question.wants_token or spans.tracer() is not None:
            return None
        hit = recall(memory, digest, question)
        if hit is None:
            return None
        memory.hits += 1
        self._services.unknown_keys.passed(digest)
        caller, remembered, at = hit
        body = self.wording.recalled(caller, at, question, remembered.judged)
        return _accepted(request, remembered.judged, body)

    async def finish(self, pending: Pending) -> tuple[Reply, str | None]:
        """Read what memory lacks; return the answer to a request and the caller's id.

        Raises:
            MalformedError, TooLargeError: the request is wrong; only a caller in force learns how.
            UnauthorizedError: no credential, or none that is in force.
            ScopeMissingError: the caller may not ask for decisions at all.
            OverQuotaError: the caller has used up its quota.
            IssuerUnavailableError: it is a token, and its issuer's keys cannot be read.
            DatabaseUnavailableError: the database is away and the credential was never seen.

        """
        if pending.wrong is not None or pending.parsed is None:
            await refuse_strangers(self._services, pending.credential)
            raise pending.wrong or MalformedError("The request is not as it should be.")
        try:
            return await self._finish(pending, pending.parsed)
        except (DatabaseUnavailableError, IssuerUnavailableError):
            self.wording.nobody()
            raise

    async def _finish(self, pending: Pending, parsed: Question | Batch) -> tuple[Reply, str | None]:
        credential = await credential_of(self._services, pending.credential)
        answered = _of_somebody(await answer_questions(self._point, credential, _questions_of(parsed)))
        self._services.unknown_keys.passed(credential.digest)
        reply, worded = await self._committed(pending.request, parsed, credential, answered)
        self.wording.sent(worded)
        return reply, str(answered.caller.id) if answered.caller is not None else None

    async def _committed(
        self, request: RequestHead, parsed: Question | Batch, credential: Credential, answered: AnsweredRequest
    ) -> tuple[Reply, Worded]:
        """Word the answer; if permits must be logged before they are given, commit their rows first.

        If the answer does not stand after that, it is judged once more, on facts read for it. A permit that stands
        under no committed row is not given: the question counts as one whose facts cannot be read.
        """
        questions = _questions_of(parsed)
        for is_last in (False, True):
            reply, worded = self._reply(request, answered, parsed)
            if not worded.to_commit:
                return reply, worded
            try:
                await self.wording.commit(worded)
                if await stand_after_waiting(self._point, credential.digest, questions, answered):
                    return reply, worded
                if not is_last:
                    answered = _of_somebody(await answer_from_primary(self._point, credential, questions))
            except DatabaseUnavailableError:
                break
        answered = self.wording.withheld(answered)
        if any(isinstance(each, Judged) and each.shape.permitted for each in answered.answers):
            # Permits that need no row are looked at again, since time has passed.
            again = await answer_questions(self._point, credential, questions)
            answered = self.wording.withheld(_of_somebody(again))
        return self._reply(request, answered, parsed)

    async def finish_or_refuse(self, pending: Pending, scope: Scope) -> Reply:
        """Answer a request of the connection and raise nothing; `scope` says where the request came from.

        A client that has failed too often is refused before its credential is looked up.
        """
        services = self._services
        scope["path"] = pending.request.path
        try:
            standing = refuses_unknown_key(services, scope) if services.unknown_keys.alert_until else None
            if standing is not None:
                raise OverQuotaError(standing)  # noqa: TRY301 - worded as any other
            reply, caller = await self.finish(pending)
        except Exception as error:  # noqa: BLE001 - what says nothing to a client is logged there
            return reply_to(error)
        scope["state"]["caller"] = caller
        return reply

    def observe(self, request: RequestHead, reply: Reply, seconds: float, origin: Callable[[], Scope]) -> None:
        """Count an answer that the connection gave, and log it if it is no decision.

        `origin` makes a scope that says where the request came from; only a refusal needs it.
        """
        if reply.status == HTTPStatus.OK:
            self._times[request.path].observe(seconds)
            return
        scope = origin()
        scope["path"] = request.path
        note_key(self._services, scope, reply.status)
        answered_line(
            self._services,
            scope,
            "POST",
            request.path,
            reply.status,
            seconds,
            loggable(request.request_id.decode("latin-1")),
        )

    def _parse(self, request: RequestHead, body: bytes) -> Question | Batch:
        if not is_json(request.content_type):
            raise MalformedError("Send the request as application/json.")
        return read_question(body, self.refs) if request.path == SINGLE else read_batch(body, self.refs)

    def _reply(self, request: RequestHead, answered: AnsweredRequest, parsed: Question | Batch) -> tuple[Reply, Worded]:
        """Word the answer; nothing of it is counted or logged before `Wording.sent`."""
        fields = quota_fields(answered.standing)
        if spans.tracer() is not None:
            spans.note(span_attributes(answered, parsed))
        if isinstance(parsed, Batch):
            worded = self.wording.batch(answered, parsed)
            return Reply(200, JSON, worded.body, fields), worded
        answer = answered.answers[0]
        if isinstance(answer, Judged):
            worded = self.wording.single(answered, parsed, answer)
            return _accepted(request, answer, worded.body, fields), worded
        if answer is Unanswered.NOT_ALLOWED:
            return reply_of(problem(403, "processing-not-allowed", NOT_ALLOWED)), Worded()
        response = restored_behind() if answer is Unanswered.BEHIND else unavailable(UNAVAILABLE)
        return reply_of(response), Worded(outcomes=[UNKNOWABLE])


def _accepted(request: RequestHead, judged: Judged, body: bytes, fields: Sequence[tuple[bytes, bytes]] = ()) -> Reply:
    """The answer to one question, in the media type that the client prefers."""
    if request.accept and preferred(request.accept, _SINGLE_TYPES) == _WORD:
        return Reply(200, TEXT, b"permit" if judged.shape.permitted else b"deny", fields)
    return Reply(200, JSON, body, fields)


def _of_somebody(answered: AnsweredRequest) -> AnsweredRequest:
    """The same answers, if there is a caller whom they are for.

    Raises:
        UnauthorizedError: the credential is not in force.

    """
    if answered.caller is None:
        raise UnauthorizedError(presented=True)
    return answered


def _questions_of(parsed: Question | Batch) -> Sequence[Question]:
    return [each for each in parsed.items if isinstance(each, Question)] if isinstance(parsed, Batch) else (parsed,)


# Decisions answered where they arrive: in the parser's callback at the end of a request, without scope or task.
#
# A request to a decision endpoint is read from its own bytes, as any other. If memory has all that it needs, it is
# answered before the parser goes on (`CorkedTransport` may hold the answer back for this turn of the event loop).
# Else a task reads what is missing, and what the client sends meanwhile waits. Whatever is unusual about the request as
# HTTP (a query, an answer before it that is not complete, `Expect`, a body that is too large) takes uvicorn's way to
# the application, where the documented route asks the same endpoint.

BODY_SECONDS: Final = 15.0
"""How long a body may take, from the end of its head on."""
_PATHS: Final = {SINGLE.encode(): SINGLE, BATCH.encode(): BATCH}


class PendingCycle:
    """A request that waits for a read, in the shape in which uvicorn's protocol expects the exchange under way.

    While it stands, uvicorn queues what the client sends next, and a server that stops waits for the answer.
    """

    def __init__(self, *, keep_alive: bool) -> None:
        """Begin: the request is whole, nothing is answered yet."""
        self.keep_alive = keep_alive
        self.response_complete = self.more_body = self.disconnected = False
        self.message_event = asyncio.Event()


class DecisionProtocol(BoundedProtocol):
    """The protocol of `sceau serve`: uvicorn's with bounds, which answers decisions at the connection."""

    __slots__ = ("_asked", "_body", "_corked", "_decisions", "_keep_alive", "_started")

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Begin a connection."""
        self._decisions: DecisionEndpoint | None = getattr(getattr(self.app, "state", None), "decisions", None)
        self._corked = CorkedTransport(transport, self._decisions.cork if self._decisions is not None else Cork())
        super().connection_made(self._corked)
        self._request: RequestHead | None = None
        self._body = b""
        self._started = 0.0
        self._keep_alive = True

    def begin_request(self, fields: Mapping[bytes, bytes]) -> None:
        """Begin a request whose head is whole; a decision request that can be answered here stays here."""
        path = _PATHS.get(self.url)
        if path is None or self._decisions is None or not self._can_take(fields, self._decisions.max_body_bytes):
            super().begin_request(fields)
            return
        self._request = request_of(path, self.headers, fields)
        self._body = b""
        self._started = time.perf_counter()
        self._keep_alive = self.parser.should_keep_alive() and self.parser.get_http_version() != "1.0"
        self.begin_step(BODY_SECONDS)

    def on_body(self, body: bytes) -> None:
        """Read a piece of a body."""
        if self._request is None or self._decisions is None:
            super().on_body(body)
            return
        self._body = self._body + body if self._body else body
        if len(self._body) > self._decisions.max_body_bytes:
            self._hand_on()

    def on_message_complete(self) -> None:
        """End a request, and answer it if memory has all that it needs."""
        request, decisions = self._request, self._decisions
        if request is None or decisions is None:
            super().on_message_complete()
            return
        body, self._request, self._body, self._in_message = self._body, None, b"", False
        if (tracer := spans.tracer()) is not None:
            with tracer.request(request.path, self.headers) as span:
                self._answer(decisions, request, body, span)
        else:
            self._answer(decisions, request, body, None)

    def _answer(self, decisions: DecisionEndpoint, request: RequestHead, body: bytes, span: "Span | None") -> None:
        """Answer a request from memory, or begin to read what memory lacks; `span` is that of the request."""
        try:
            outcome = decisions.at_once(request, body)
        except Exception as error:  # noqa: BLE001 - what says nothing to a client is logged there
            outcome = reply_to(error)
        if isinstance(outcome, Reply):
            self._send(decisions, request, outcome, self._started)
            self.begin_step(self.timeout_keep_alive)
            self.server_state.total_requests += 1
            decisions.observe(request, outcome, time.perf_counter() - self._started, self._origin)
            if span is not None:
                spans.end(span, outcome.status)
            return
        self.begin_step(inf)
        cycle = PendingCycle(keep_alive=self._keep_alive)
        self.cycle = cast("RequestResponseCycle", cycle)
        task = self.loop.create_task(self._answer_later(decisions, outcome, cycle, self._origin(), self._started, span))
        self.tasks.add(task)  # a server that stops waits for those
        task.add_done_callback(self.tasks.discard)

    def too_late(self) -> None:
        """End a connection on which nothing came in time; a client whose body is late gets a 408."""
        if self._request is None:
            super().too_late()
            return
        self._request = None
        self.refuse(BODY_TOO_SLOW)

    def _can_take(self, fields: Mapping[bytes, bytes], max_body_bytes: int) -> bool:
        """Whether a decision request is answered here: no earlier one is under way, and nothing about it is unusual."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if not (cycle is None or cycle.response_complete) or self.parser.get_method() != b"POST":
            return False
        if b"expect" in fields or self.flow.write_paused or self.transport.is_closing():
            return False
        return int(fields.get(b"content-length", b"0")) <= max_body_bytes

    def _origin(self) -> Scope:
        """Where this request comes from, as an ASGI scope."""
        return {"type": "http", "client": self.client, "headers": self.headers, "state": {}}

    def _hand_on(self) -> None:
        """Hand the application what was read of a request so far."""
        body, self._request, self._body = self._body, None, b""
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
        """Read what memory lacks and answer; then uvicorn goes on with what has arrived since."""
        reply = await decisions.finish_or_refuse(pending, scope)
        if not (self._ended or self.transport.is_closing()):
            self._keep_alive = cycle.keep_alive
            self._send(decisions, pending.request, reply, None)
        cycle.response_complete = True
        decisions.observe(pending.request, reply, time.perf_counter() - started, lambda: scope)
        if span is not None:
            spans.end(span, reply.status)
        self.on_response_complete()

    def _send(self, decisions: DecisionEndpoint, request: RequestHead, reply: Reply, began: float | None) -> None:
        """Write an answer in one piece; one that is given at once to a request of `began` may be held back first."""
        # While it drains, each answer ends its connection: a balancer sends nothing on one that is about to be closed.
        keeps = self._keep_alive and not (self._last or decisions.stopping.is_set())
        connection = b"keep-alive" if keeps else b"close"
        head = decisions.heads.of(reply, self.server_state.default_headers, usable_id(request.request_id), connection)
        if keeps and began is not None:
            self._corked.answer(head + reply.body, began)
            return
        self._corked.write(head + reply.body)
        if not keeps:
            self._corked.close()
