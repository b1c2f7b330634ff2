"""Reads Sceau's answer to a batch, and says which processings may run. Whatever is not a clear permit is none.

Nothing is kept: a permit is used at once or not at all.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

_OK: Final = 200
ENDLESS: Final = ("exempt", "not_governed")
"""Reasons of permits that rest on no consent, and so need no end: the exemptions of III, here and where the article
does not apply.
"""


class Unusable(Exception):
    """There is no answer that says anything; the message is one word or two for a log, without any identifier."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One decision. A permit that rests on consent has `valid_until`; one that should have and has not is no permit."""

    permitted: bool
    decision: str = ""
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the answers of all local users come to for one processing: a permit only if every one is."""

    permitted: bool
    decisions: tuple[str, ...] = ()
    valid_until: datetime | None = None

    def holds(self, now: datetime) -> bool:
        """Whether the analysis may still begin."""
        return self.permitted and (self.valid_until is None or now < self.valid_until)


def read_answers(status: int, body: bytes, asked: int) -> list[Answer]:
    """The decisions of a batch, in the order in which they were asked.

    Raises:
        Unusable: the status is not 200, the body is not JSON, or there are not exactly as many decisions.

    """
    if status != _OK:
        raise Unusable(f"status {status}")
    try:
        answered = json.loads(body)
    except (ValueError, RecursionError):
        raise Unusable("not JSON") from None
    decisions = answered.get("evaluations") if isinstance(answered, dict) else None
    if not isinstance(decisions, list) or len(decisions) != asked:
        raise Unusable("not an answer to the question")
    return [_answer(each) for each in decisions]


def combine(answers: Sequence[Answer]) -> Verdict:
    """Deny overrides; nobody asked means nobody permitted."""
    if not answers or not all(answer.permitted for answer in answers):
        return Verdict(permitted=False)
    ends = [answer.valid_until for answer in answers if answer.valid_until is not None]
    return Verdict(
        permitted=True, decisions=tuple(answer.decision for answer in answers), valid_until=min(ends, default=None)
    )


def _answer(value: object) -> Answer:
    if not isinstance(value, dict) or value.get("decision") is not True:
        return Answer(permitted=False)
    context = value.get("context")
    if not isinstance(context, dict):
        return Answer(permitted=False)
    endless, until = context.get("reason") in ENDLESS, _instant(context.get("valid_until"))
    if until is None and not (endless and "valid_until" not in context):
        return Answer(permitted=False)
    return Answer(permitted=True, decision=str(context.get("id", "")), valid_until=until)


def _instant(value: object) -> datetime | None:
    try:
        instant = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return instant if instant is not None and instant.tzinfo is not None else None
