"""The hot path: a well-formed question by a known caller, answered before FastAPI's stack is entered.

Whatever is unusual (an error, another media type, an escape in the JSON, no lease, a key that is not in force) is left
to the documented route in `app.api.access`, which reads the same body again and answers as it always does. So this
module words no error and decides nothing: it reads quickly, asks `app.operations.answer_from_memory`, and writes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from app.api.access import MAX_ITEMS, STOPS
from app.api.answers import answer_parts
from app.api.quick import QuickReader, read_json
from app.auth.callers import key_digest
from app.core.decision import Request
from app.core.errors import ScopeMissingError
from app.db.database import DatabaseUnavailableError
from app.db.identifiers import uuid7_text
from app.operations.answer_from_memory import Memory, Remembered, answer_from_memory
from app.operations.prepared import Prepared
from app.telemetry.metrics import DecisionCounts

SINGLE: Final = "/access/v1/evaluation"
BATCH: Final = "/access/v1/evaluations"
_MEMBERS: Final = ("subject", "action", "resource", "context")
_LONGEST_KEY: Final = 512


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request says of itself: where it goes, its `Authorization` and `Accept`, and whether its body is JSON."""

    path: str
    authorization: bytes
    accept: bytes
    is_json: bool


class HotPath:
    """Answers what can be answered from memory."""

    def __init__(self, memory: Memory, reader: QuickReader, counts: DecisionCounts) -> None:
        """Read with `reader`, decide from `memory`, count in `counts`."""
        self._memory = memory
        self._read = reader.question
        self._counts = counts

    async def answer(self, asked: Asked, body: bytes) -> bytes | None:
        """The body of a 200, or None when the documented route is to answer."""
        if not asked.is_json or (b"text/plain" in asked.accept and b"json" not in asked.accept):
            return None
        key = _key(asked.authorization)
        value = read_json(body) if key is not None else None
        if key is None or value is None:
            return None
        if asked.path == SINGLE:
            return await self._single(key, value)
        return await self._batch(key, value)

    async def _single(self, key: bytes, value: dict[str, Any]) -> bytes | None:
        question = self._read(value)
        found = await self._ask(key, [question]) if question is not None else None
        prepared = found.prepared[0] if found is not None and found.prepared else None
        return None if prepared is None else b"".join(self._worded(prepared))

    async def _batch(self, key: bytes, value: dict[str, Any]) -> bytes | None:
        items, stops = value.get("evaluations"), _stops(value.get("options", {}))
        if type(items) is not list or not 0 < len(items) <= MAX_ITEMS or stops is None:
            return None
        questions = self._questions(value, items)
        found = await self._ask(key, questions) if questions is not None else None
        if found is None or not found.prepared or None in found.prepared:
            return None
        worded: list[bytes] = []
        for prepared in found.prepared:
            if prepared is not None:
                worded.append(b"".join(self._worded(prepared)))
                if stops(prepared.decision.permitted):
                    break
        return b'{"evaluations":[' + b",".join(worded) + b"]}"

    def _questions(self, value: Mapping[str, Any], items: Sequence[Any]) -> list[Request] | None:
        defaults = {name: value[name] for name in _MEMBERS if name in value}
        questions: list[Request] = []
        for item in items:
            question = self._read({**defaults, **item}) if type(item) is dict else None
            if question is None:
                return None
            questions.append(question)
        return questions

    async def _ask(self, key: bytes, questions: Sequence[Request]) -> Remembered | None:
        try:
            return await answer_from_memory(self._memory, key_digest(key.decode("ascii")), questions)
        except (DatabaseUnavailableError, ScopeMissingError):
            return None

    def _worded(self, prepared: Prepared) -> tuple[bytes, bytes, bytes]:
        self._counts.count(prepared.decision)
        if prepared.wire is None:
            prepared.wire = answer_parts(prepared.decision)
        before, after = prepared.wire
        return before, uuid7_text(self._memory.replica.now()), after


def _key(authorization: bytes) -> bytes | None:
    if authorization[:7].lower() != b"bearer " or len(authorization) > _LONGEST_KEY or not authorization.isascii():
        return None
    return authorization[7:].strip()


def _stops(options: Any) -> Callable[[bool], bool] | None:  # noqa: ANN401 - any JSON value
    if type(options) is not dict:
        return None
    semantic = options.get("evaluations_semantic", "execute_all")
    return STOPS.get(semantic) if type(semantic) is str else None
