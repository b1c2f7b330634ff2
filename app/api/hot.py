"""The hot path: a well-formed question by a known caller, answered before FastAPI's stack is entered.

Whatever is unusual (an error, a decision token, an escape in the JSON, no lease, a key that is not in force) is left
to the documented route in `app.api.access`, which reads the same body again and answers as it always does. So this
module words no error and decides nothing: it reads quickly, asks `app.operations.answer_from_memory`, and writes.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from app.api.access import MAX_ITEMS, STOPS
from app.api.answers import answer_parts
from app.api.hot_meter import REFUSED_ITEM, HotMeter, is_exempt
from app.api.quick import QuickReader
from app.audit.recorder import Recorder
from app.audit.rows import facts_of, row
from app.auth.callers import Caller, key_digest
from app.auth.quotas import Standing
from app.auth.tokens import LONGEST_TOKEN
from app.core.errors import ScopeMissingError
from app.db.database import DatabaseUnavailableError
from app.db.identifiers import uuid7_text, uuid7_texts
from app.operations.answer_from_memory import Memory, Remembered, answer_from_memory, recall, recall_one, still_stands
from app.operations.prepared import Prepared, Question
from app.telemetry.metrics import DecisionCounts

SINGLE: Final = "/access/v1/evaluation"
BATCH: Final = "/access/v1/evaluations"
_AT_ONCE: Final = 50


@dataclass(slots=True)
class Understood:
    """A request that was read: the SHA-256 of its key, its questions, and (in a batch) which answer is the last.

    `standing` is how its caller stands once it is answered; None where no limit applies.
    """

    digest: bytes
    questions: Sequence[Question]
    stops: Callable[[bool], bool] | None
    standing: Standing | None = None


class HotPath:
    """Answers what can be answered from memory."""

    def __init__(
        self,
        memory: Memory,
        reader: QuickReader,
        counts: DecisionCounts,
        recorder: Recorder | None = None,
        meter: HotMeter | None = None,
    ) -> None:
        """Read with `reader`, decide from `memory`, count in `counts`, log with `recorder`, limit with `meter`."""
        self._meter = meter
        self._memory = memory
        self._reader = reader
        self._counts = counts
        self._recorder = recorder
        self._durable = recorder is not None and recorder.durable

    def understand(self, path: str, digest: bytes, body: bytes) -> Understood | None:
        """Read a request to that path, its key known by its SHA-256; None when the documented route is to answer."""
        if path == SINGLE:
            question = self._reader.single(body)
            return Understood(digest, (question,), None) if question is not None else None
        batch = self._reader.batch(body, MAX_ITEMS)
        stops = _stops(batch[1]) if batch is not None else None
        if batch is None or stops is None:
            return None
        return Understood(digest, batch[0], stops)

    def at_once(self, understood: Understood) -> bytes | None:
        """The body of a 200 if memory has all that it needs. Awaits nothing: most answers are this one.

        Raises:
            OverQuotaError: the caller has used up its quota.

        """
        if self._durable:
            return None
        try:
            if understood.stops is None:
                return self._single_at_once(understood)
            found = recall(self._memory, understood.digest, understood.questions)
        except ScopeMissingError:
            return None
        return self._answer(understood, found, None) if found is not None else None

    def _single_at_once(self, understood: Understood) -> bytes | None:
        question = understood.questions[0]
        one = recall_one(self._memory, understood.digest, question)
        if one is None:
            return None
        caller, prepared, now = one
        if self._meter is not None:
            understood.standing = self._meter.one(caller, prepared)
        return self._worded(caller, question, prepared, (now, uuid7_text(now)), None)

    async def answer(self, understood: Understood) -> bytes | None:
        """The body of a 200 after what memory lacks was read; None when the documented route is to answer.

        Raises:
            OverQuotaError: the caller has used up its quota.

        """
        first: list[bytes] = []
        if self._meter is not None:
            self._meter.check(self._memory.replica, understood.digest, understood.questions)
        try:
            found = recall(self._memory, understood.digest, understood.questions) if self._durable else None
            if found is None:
                found = await answer_from_memory(self._memory, understood.digest, understood.questions)
            answer = self._answer(understood, found, first) if found is not None else None
            if first and found is not None and self._recorder is not None:
                await self._recorder.log.commit(first)
                if not await still_stands(self._memory, understood.digest, understood.questions, found):
                    return None  # it was overtaken while it waited: the documented route judges anew
        except (DatabaseUnavailableError, ScopeMissingError):
            return None
        return answer

    def _answer(self, understood: Understood, found: Remembered, first: list[bytes] | None) -> bytes | None:
        """The answer in words; `first` takes what must be committed before it is sent."""
        caller = found.caller
        if caller is None or None in found.prepared:
            return None
        exempt_only = False
        if self._meter is not None:
            understood.standing, exempt_only = self._meter.many(caller, found.prepared)
        worded: list[bytes] = []
        now = self._memory.replica.now()
        numbers: Iterator[bytes] = iter(())
        for place, (question, prepared) in enumerate(zip(understood.questions, found.prepared, strict=True)):
            if place % _AT_ONCE == 0:
                numbers = iter(uuid7_texts(now, min(_AT_ONCE, len(understood.questions) - place)))
            if prepared is None:
                continue
            permitted = prepared.decision.permitted
            if exempt_only and not is_exempt(prepared.register):
                permitted = False
                worded.append(REFUSED_ITEM)
            else:
                worded.append(self._worded(caller, question, prepared, (now, next(numbers)), first))
            if understood.stops is not None and understood.stops(permitted):
                break
        return worded[0] if understood.stops is None else b'{"evaluations":[' + b",".join(worded) + b"]}"

    def _worded(
        self,
        caller: Caller,
        question: Question,
        prepared: Prepared,
        named: tuple[float, bytes],
        first: list[bytes] | None,
    ) -> bytes:
        """One answer; `named` is when it is given and its id."""
        decision = prepared.decision
        at, identifier = named
        recorder = self._recorder
        if recorder is not None and recorder.wants(decision):
            if prepared.facts is None:
                prepared.facts = facts_of(question.request(None), decision)
            number = bytes.fromhex(identifier.replace(b"-", b"").decode())
            about = recorder.reference(question.kind, question.correspondence)
            logged = row(number, at, caller.id, question.subject, about, prepared.facts)
            if first is not None and recorder.must_wait(decision):
                first.append(logged)
            else:
                recorder.log.append(logged)
        if prepared.wire is None or prepared.outcome is None:
            prepared.wire = answer_parts(decision)
            prepared.outcome = (decision.permitted, decision.reason.value)
        self._counts.count_outcome(prepared.outcome)
        before, after = prepared.wire
        return before + identifier + after


def digest_of(authorization: bytes) -> bytes | None:
    """The SHA-256 of what an `Authorization` holds (RFC 6750, section 2.1), or None when it holds nothing as usual."""
    scheme = authorization[:7]
    if scheme != b"Bearer " and scheme.lower() != b"bearer ":
        return None
    if len(authorization) > LONGEST_TOKEN or not authorization.isascii():
        return None
    return key_digest(authorization[7:].strip().decode("ascii"))


def _stops(options: dict[str, Any]) -> Callable[[bool], bool] | None:
    semantic = options.get("evaluations_semantic", "execute_all")
    return STOPS.get(semantic) if type(semantic) is str else None
