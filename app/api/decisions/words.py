"""Turn decisions into answers: each is written as JSON, and counted and logged when it is sent."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import structlog
from msgspec import Struct
from msgspec.structs import replace
from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from app.api.decisions.reading import BadItem, Batch
from app.api.http.exchange import header_lines
from app.api.http.problems import failed, over_quota, response_to
from app.audit.decision_log import Entry, Recorder
from app.auth.callers import Caller, OverQuotaError, QuotaStatus
from app.core.decision import Reason
from app.db.session import decision_id
from app.operations.decisions.judging import (
    OVER_QUOTA,
    Answer,
    AnsweredRequest,
    Judged,
    Question,
    Unanswered,
    answer,
    encode,
    item_error,
)
from app.telemetry.metrics import DecisionCounts
from app.telemetry.spans import Value

JSON: Final = b"application/json"
TEXT: Final = b"text/plain; charset=utf-8"
log = structlog.get_logger("sceau.http")


class Reply(Struct, frozen=True):
    """An answer: status, media type, body, and the header fields that not every answer has."""

    status: int
    media_type: bytes
    body: bytes
    fields: Sequence[tuple[bytes, bytes]] = ()


class Heads:
    """Writes the heads of replies."""

    def __init__(self, of_every_answer: Mapping[str, str]) -> None:
        """Prepare the header lines that every answer has."""
        self._own = header_lines([(name.lower().encode(), value.encode()) for name, value in of_every_answer.items()])
        self._fields: tuple[tuple[bytes, bytes], ...] = ()
        self._lines = self._own

    def of(self, reply: Reply, fields: Sequence[tuple[bytes, bytes]], request_id: str, connection: bytes) -> bytes:
        """The head of a reply, with the empty line behind it.

        Args:
            reply: what is answered.
            fields: those of the server, the date among them.
            request_id: of this exchange.
            connection: keep-alive or close.

        """
        if (now := tuple(fields)) != self._fields:
            self._fields, self._lines = now, header_lines(now) + self._own
        return b"%bcontent-type: %b\r\ncontent-length: %d\r\n%b%bconnection: %b\r\nx-request-id: %b\r\n\r\n" % (
            STATUS_LINE[reply.status],
            reply.media_type,
            len(reply.body),
            self._lines,
            header_lines(reply.fields) if reply.fields else b"",
            connection,
            request_id.encode(),
        )


def quota_fields(standing: QuotaStatus | None) -> Sequence[tuple[bytes, bytes]]:
    """The header fields that say how much of the caller's quota is left."""
    if standing is None:
        return ()
    policy, limit = standing.fields()
    return (b"ratelimit-policy", policy.encode()), (b"ratelimit", limit.encode())


def reply_of(response: Response, more: Sequence[tuple[bytes, bytes]] = ()) -> Reply:
    """Convert a response to a reply, with more header fields."""
    fields = [each for each in response.raw_headers if each[0] not in {b"content-type", b"content-length"}]
    return Reply(response.status_code, (response.media_type or "").encode(), bytes(response.body), [*fields, *more])


def reply_to(error: Exception) -> Reply:
    """The problem document for an exception; an unexpected exception is logged, and answered with 500."""
    if isinstance(error, OverQuotaError):
        return reply_of(over_quota({}, error), quota_fields(error.standing))
    response = response_to(error)
    if response is None:
        log.error("failed", exc_info=error)
        response = failed()
    return reply_of(response)


_BEFORE_THE_REGISTER: Final = frozenset({Reason.LAW_VERSION_NOT_HELD, Reason.UNKNOWN_PROCESSING})
"""Reasons that are given although the processing may not be registered: its id is then whatever the caller wrote."""


def span_attributes(answered: AnsweredRequest, parsed: Question | Batch) -> Mapping[str, Value]:
    """The span attributes of one answered request."""
    judged = [each for each in answered.answers if isinstance(each, Judged)]
    if isinstance(parsed, Batch):
        permits = sum(each.shape.permitted for each in judged)
        return {"sceau.decision.questions": len(answered.answers), "sceau.decision.permits": permits}
    if not judged:
        return {}
    decision = judged[0].common.decision
    attributes: dict[str, Value] = {
        "sceau.decision.permitted": decision.permitted,
        "sceau.decision.reason": decision.reason.value,
    }
    if decision.reason not in _BEFORE_THE_REGISTER:
        attributes["sceau.decision.processing"] = parsed.processing
    return attributes


NOT_ALLOWED: Final = "The caller may not ask about this processing."
UNAVAILABLE: Final = "The facts cannot be read now: do not analyse, and ask again."
BEHIND: Final = "The database was set back: do not analyse, until its operator has dealt with it."
Given = tuple[tuple[bool, str], Entry | None]
"""An answer to be counted, by its outcome, and its entry in the log; None if it has none, or one that is committed."""
UNKNOWABLE: Final[Given] = ((False, Reason.EVIDENCE_UNAVAILABLE.value), None)
"""The answer to a question whose facts cannot be read."""
_STOPS: Final[Mapping[str, Callable[[bool], bool]]] = {
    "execute_all": lambda _: False,
    "deny_on_first_deny": lambda permitted: not permitted,
    "permit_on_first_permit": lambda permitted: permitted,
}
_ITEMS: Final = {
    Unanswered.NOT_ALLOWED: item_error(403, NOT_ALLOWED),
    Unanswered.LIMITED: item_error(429, OVER_QUOTA),
    Unanswered.UNKNOWABLE: item_error(503, UNAVAILABLE, Reason.EVIDENCE_UNAVAILABLE),
    Unanswered.BEHIND: item_error(503, BEHIND, Reason.EVIDENCE_UNAVAILABLE),
}

Token = Callable[[Caller, float, Question, Judged, UUID], str | None]
"""Makes a decision token of a permit that was given to a caller at an epoch time under an id; None if none can be."""


@dataclass(slots=True)
class Worded:
    """The body of a 200 (empty for another status), what it gives, and the entries to commit before it is sent."""

    body: bytes = b""
    outcomes: list[Given] = field(default_factory=list)
    to_commit: list[Entry] = field(default_factory=list)


class Wording:
    """Words the answers of one process.

    `unanswered` counts, by paragraph, the questions that were not answered because the database was away. A question
    about a processing that is known to be exempt is always answered, so a single one counts for IV. A request whose
    caller could not be looked up may have been about either paragraph, and counts for both.
    """

    def __init__(self, counts: DecisionCounts, recorder: Recorder | None, token: Token) -> None:
        """Count in `counts`, log with `recorder` (None: no log), make decision tokens with `token`."""
        self._counts = counts
        self.unanswered: dict[tuple[str, ...], int] = {("III",): 0, ("IV",): 0}
        self._recorder = recorder
        self._token = token

    def single(self, answered: AnsweredRequest, question: Question, judged: Judged) -> Worded:
        """The answer to one question."""
        worded = Worded()
        worded.body = self._judged(answered.caller, answered.at, question, judged, worded)
        return worded

    async def commit(self, worded: Worded) -> None:
        """Commit the entries that must be committed before an answer is sent.

        Raises:
            DatabaseUnavailableError: they are not committed in time. Whether they will be is unknown.

        """
        if self._recorder is not None:
            await self._recorder.log.commit(worded.to_commit)

    def withheld(self, answered: AnsweredRequest) -> AnsweredRequest:
        """The same answers without the permits that may be given only once they are logged."""
        recorder = self._recorder
        answers = [
            Unanswered.UNKNOWABLE
            if recorder is not None and isinstance(each, Judged) and recorder.must_wait(each)
            else each
            for each in answered.answers
        ]
        return replace(answered, answers=answers)

    def sent(self, worded: Worded) -> None:
        """Count what is being sent, and log what was not committed before."""
        for outcome, entry in worded.outcomes:
            self._counts.count_outcome(outcome)
            if entry is not None and self._recorder is not None:
                self._recorder.log.append(entry)
        self.unanswered["IV",] += worded.outcomes.count(UNKNOWABLE)

    def recalled(self, caller: Caller, at: float, question: Question, judged: Judged) -> bytes:
        """The answer to one question that wants no token and waits for no row of the log; it is sent at once."""
        identifier = decision_id(at)
        self.reported(caller.id, at, identifier, question.correspondence, judged)
        return judged.worded(identifier)

    def reported(
        self, caller: UUID, at: float, identifier: bytes, correspondence: tuple[str, str], judged: Judged
    ) -> None:
        """Count and log a decision whose answer is sent at once, or was given by an edge that holds it."""
        if self._recorder is not None:
            entry = self._recorder.entry(at, identifier, caller, judged.subject_ref, correspondence, judged)
            if entry is not None:
                self._recorder.log.append(entry)
        self._counts.count_outcome(judged.common.outcome)

    def lost(self, number: int) -> None:
        """Count decisions that edges took by themselves and that do not reach the log."""
        if self._recorder is not None:
            self._recorder.log.counts.dropped += number

    def nobody(self) -> None:
        """Count a request that could not be answered for any processing."""
        self.unanswered["III",] += 1
        self.unanswered["IV",] += 1

    def batch(self, answered: AnsweredRequest, batch: Batch) -> Worded:
        """The answers to a batch, up to the one at which its semantic stops."""
        worded = Worded()
        stops = _STOPS[batch.semantic]
        answers = iter(answered.answers)
        written: list[bytes] = []
        for item in batch.items:
            if isinstance(item, BadItem):
                permitted, body = False, encode(item_error(400, item.message))
            else:
                permitted, body = self._item(answered, item, next(answers), worded)
            written.append(body)
            if stops(permitted):
                break
        worded.body = b'{"evaluations":[' + b",".join(written) + b"]}"
        return worded

    def _item(self, answered: AnsweredRequest, question: Question, found: Answer, worded: Worded) -> tuple[bool, bytes]:
        """Whether an item is permitted, and its answer."""
        if isinstance(found, Judged):
            return found.shape.permitted, self._judged(answered.caller, answered.at, question, found, worded)
        if found in {Unanswered.UNKNOWABLE, Unanswered.BEHIND}:
            worded.outcomes.append(UNKNOWABLE)
        return False, encode(_ITEMS[found])

    def _judged(self, caller: Caller | None, at: float, question: Question, judged: Judged, worded: Worded) -> bytes:
        """Word one answer, and add what there is to count, to log and to commit of it to `worded`."""
        identifier = decision_id(at)
        entry: Entry | None = None
        if caller is not None and self._recorder is not None:
            entry = self._recorder.entry(at, identifier, caller.id, judged.subject_ref, question.correspondence, judged)
            if entry is not None and self._recorder.must_wait(judged):
                worded.to_commit.append(entry)
                entry = None
        worded.outcomes.append((judged.common.outcome, entry))
        if question.wants_token and caller is not None and judged.shape.permitted:
            number = UUID(identifier.decode())
            token = self._token(caller, at, question, judged, number)
            if token is not None:
                body = answer(judged.decision, number)
                return encode({**body, "context": {**body["context"], "decision_token": token}})
        return judged.worded(identifier)
