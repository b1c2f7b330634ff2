"""The mail server's part: for each copy of a message, one batch of questions, one for each processing.

Participants travel in the body; the correspondence is a keyed hash made for this run, of no use to anybody else. The
subject line and the Message-ID are never read.
"""

import hashlib
import hmac
import secrets
import time
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from demo.client import Client
from demo.letters import Letter, domain_of

_LARGEST_BATCH: Final = 1_000
_MOST_PARTICIPANTS: Final = 5_000


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision: about which copy and processing, and what was answered."""

    letter: int
    user: str
    processing: str
    permitted: bool
    reason: str
    article: str


@dataclass(slots=True)
class Timing:
    """How long each batch took, in seconds as the mail server saw it, and how many decisions came back."""

    batches: "array[float]" = field(default_factory=lambda: array("d"))
    decisions: int = 0


class MailServer:
    """Asks before it analyses. It has an account for every address in its domains."""

    def __init__(self, client: Client, domains: frozenset[str], processings: Sequence[str]) -> None:
        self._client = client
        self._domains = domains
        self._processings = processings
        self._secret = secrets.token_bytes(32)
        self.timing = Timing()

    def ask_about(self, letter: Letter) -> Iterator[Decided]:
        """The decisions on every local copy of a message, for every processing."""
        for user in letter.local(self._domains):
            for start in range(0, len(self._processings), _LARGEST_BATCH):
                yield from self._batch(letter, user, self._processings[start : start + _LARGEST_BATCH])

    def ask_one(self, letter: Letter, user: str, processing: str) -> Decided:
        """The same question about one copy and one processing, alone."""
        question = {**self._copy(letter, user), "action": {"name": processing}}
        return _decided(letter, user, processing, self._client.must("POST", "/access/v1/evaluation", question))

    def _batch(self, letter: Letter, user: str, processings: Sequence[str]) -> list[Decided]:
        questions = {**self._copy(letter, user), "evaluations": [{"action": {"name": name}} for name in processings]}
        started = time.perf_counter()
        answers = self._client.must("POST", "/access/v1/evaluations", questions)["evaluations"]
        self.timing.batches.append(time.perf_counter() - started)
        self.timing.decisions += len(answers)
        return [_decided(letter, user, name, answer) for name, answer in zip(processings, answers, strict=True)]

    def _copy(self, letter: Letter, user: str) -> dict[str, Any]:
        handle = hmac.new(self._secret, f"{letter.number}\n{user}".encode(), hashlib.sha256).hexdigest()[:32]
        properties: dict[str, Any] = {"channel": "online", "private": True, "territory": "FR"}
        others = [address for address in dict.fromkeys((*letter.senders, *letter.recipients)) if address != user]
        if len(others) <= _MOST_PARTICIPANTS:  # else left unsaid: what needs everybody's consent is then denied
            properties["participants"] = [{"id": each, "local": domain_of(each) in self._domains} for each in others]
        return {
            "subject": {"type": "user", "id": user},
            "resource": {"type": "correspondence", "id": handle, "properties": properties},
        }


def _decided(letter: Letter, user: str, processing: str, answer: dict[str, Any]) -> Decided:
    context = answer["context"]
    return Decided(
        letter=letter.number,
        user=user,
        processing=processing,
        permitted=answer["decision"] is True,
        reason=context.get("reason", "error"),
        article=context.get("article", ""),
    )
