"""How callers put a question: most as mail servers do; some in every other way.

Most are answered at the connection; a request with a query is answered by the documented route. `tests.freshness.ways`
counts which were taken.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final
from uuid import uuid4

from bench.stale.client import Answer, Connections, Sent
from bench.stale.history import Asked

SINGLE: Final = "/access/v1/evaluation"
BATCH: Final = "/access/v1/evaluations"
_OK: Final = 200
_BETWEEN: Final = 0.004
"""Seconds, at most, between the pieces of what is not sent at once: as long as a read takes, or less."""


class Manner(Enum):
    """The ways to ask."""

    ALIKE = "with the same head each time"
    NAMED = "with an X-Request-ID of its own"
    WORD = "for one word instead of JSON"
    ROUTED = "with a query, which only the documented route answers"
    HALVES = "the body after the head"
    TWO = "another question on the same connection before the first is answered"
    BATCH = "several in a batch"


_SHARES: Final = {
    Manner.ALIKE: 60,
    Manner.NAMED: 6,
    Manner.WORD: 5,
    Manner.ROUTED: 5,
    Manner.HALVES: 7,
    Manner.TWO: 8,
    Manner.BATCH: 9,
}
"""In a hundred."""


@dataclass(frozen=True, slots=True)
class Topic:
    """What is asked about: subjects whose consents count one by one, or (`together`) those of all of them each time."""

    subjects: Sequence[str]
    processing: str
    key: str
    together: bool = False

    def others(self, subject: str) -> tuple[str, ...]:
        """Whose consent a question about a subject needs as well."""
        return tuple(each for each in self.subjects if each != subject) if self.together else ()


@dataclass(frozen=True, slots=True)
class Answers:
    """What one exchange brought: decisions, or the status of an answer that held none."""

    asked: Sequence[Asked] = ()
    refused: Sequence[int] = ()


def manner(chance: random.Random) -> Manner:
    """One of them, by its share."""
    return chance.choices(list(_SHARES), list(_SHARES.values()))[0]


async def put(calls: Connections, replica: int, topic: Topic, subject: str, how: Manner) -> Answers:
    """Ask a replica in one of the manners.

    Raises:
        CallError: no answer came.

    """
    subjects = {Manner.BATCH: [*topic.subjects, subject], Manner.TWO: [subject, subject]}.get(how, [subject])
    if how is Manner.BATCH:
        body: dict[str, Any] = {"evaluations": [_question(topic, each) for each in subjects]}
        sent = [Sent("POST", BATCH, _compact(body), topic.key)]
    else:
        sent = [_sent(topic, each, how) for each in subjects]
    given = await calls.exchange(sent, pause=random.uniform(0, _BETWEEN))
    if how is not Manner.BATCH:
        return _single(given, topic, subjects, replica)
    (answer,) = given
    if answer.status != _OK:
        return Answers(refused=[answer.status])
    said = json.loads(answer.text)["evaluations"]
    decided = [each["decision"] for each in said]
    pairs = zip(subjects, decided, strict=True)
    return Answers([_asked(topic, each, replica, answer, permitted=permitted) for each, permitted in pairs])


def _single(given: Sequence[Answer], topic: Topic, subjects: Sequence[str], replica: int) -> Answers:
    asked, refused = [], []
    for subject, answer in zip(subjects, given, strict=True):
        if answer.status == _OK:
            permitted = answer.text == b"permit" or answer.text.startswith(b'{"decision":true')
            asked.append(_asked(topic, subject, replica, answer, permitted=permitted))
        else:
            refused.append(answer.status)
    return Answers(asked, refused)


def _asked(topic: Topic, subject: str, replica: int, answer: Answer, *, permitted: bool) -> Asked:
    return Asked(
        subject, topic.processing, topic.key, replica, answer.start, answer.end, permitted, topic.others(subject)
    )


def _sent(topic: Topic, subject: str, how: Manner) -> Sent:
    body, more = _compact(_question(topic, subject)), ""
    if how is Manner.NAMED:
        more = f"X-Request-ID: {uuid4()}\r\n"
    elif how is Manner.WORD:
        more = "Accept: text/plain\r\n"
    path = f"{SINGLE}?q" if how is Manner.ROUTED else SINGLE
    return Sent("POST", path, body, topic.key, more, in_halves=how is Manner.HALVES)


def _question(topic: Topic, subject: str) -> dict[str, Any]:
    resource: dict[str, Any] = {"type": "correspondence", "id": "handle"}
    if topic.together:
        parties = [{"id": each, "local": True} for each in topic.others(subject)]
        resource["properties"] = {"participants": parties}
    return {
        "subject": {"type": "user", "id": subject},
        "action": {"name": topic.processing},
        "resource": resource,
    }


def _compact(body: dict[str, Any]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()
