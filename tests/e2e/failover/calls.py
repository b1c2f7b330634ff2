"""Calls of the services, and what is noted of each: when it was sent, when it was answered, and with what."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Self

import httpx2

from tests.linearizability.consent import Answer
from tests.support.api import BOOTSTRAP

_PATIENCE: Final = 30.0
"""Seconds after which a call counts as unanswered."""
_EVALUATION: Final = "/access/v1/evaluation"


class Outcome(Enum):
    """What is known of a write: done; not done, for now or (`REFUSED`) for good; or nothing."""

    DONE = "done"
    NOT_DONE = "not done"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Written:
    """A write and its outcome; `said` is the JSON of the answer of one that was done."""

    outcome: Outcome
    start: float
    end: float
    said: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Decided:
    """A question that was put; `answer` is None where it was not answered, or by a problem, whose word is told."""

    answer: Answer | None
    service: int
    start: float
    end: float
    consent: str | None = None
    problem: str | None = None


@dataclass(slots=True)
class Records:
    """Everything that was answered, beside the histories of subjects."""

    exempt: list[Decided] = field(default_factory=list)
    decided: list[Decided] = field(default_factory=list)
    entries: set[str] = field(default_factory=set)
    versions: set[tuple[str, int]] = field(default_factory=set)
    revoked: set[str] = field(default_factory=set)
    problems: Counter[str] = field(default_factory=Counter)
    unexpected: list[str] = field(default_factory=list)

    @property
    def permits(self) -> set[str]:
        """The consents on which something was permitted."""
        return {each.consent for each in self.decided if each.consent is not None}


class Services:
    """The services under test, by number. Each call has a connection of its own, so that any worker may answer."""

    def __init__(self, addresses: list[str], records: Records) -> None:
        """Prepare; nothing is called yet."""
        limits = httpx2.Limits(max_keepalive_connections=0)
        self._clients = [
            httpx2.AsyncClient(base_url=each, timeout=_PATIENCE, trust_env=False, limits=limits) for each in addresses
        ]
        self.records = records

    async def __aenter__(self) -> Self:
        """Nothing is to be begun."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close what is open."""
        for client in self._clients:
            await client.aclose()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._clients)

    async def write(self, service: int, method: str, path: str, body: Any = None) -> Written:
        """One write."""
        start = time.monotonic()
        answer = await self._call(service, method, path, body, BOOTSTRAP)
        return Written(self._outcome(answer), start, time.monotonic(), _json(answer))

    async def ask(self, service: int, body: Any, key: str = BOOTSTRAP) -> Decided:
        """One question."""
        start = time.monotonic()
        answer = await self._call(service, "POST", _EVALUATION, body, key)
        end, fields = time.monotonic(), _json(answer)
        if answer is not None and answer.status_code == httpx2.codes.UNAUTHORIZED:
            return Decided(Answer.NOT_IN_FORCE, service, start, end)
        if answer is None or not answer.is_success:
            return Decided(None, service, start, end, problem=self._note(answer))
        if fields["decision"]:
            return Decided(Answer.PERMIT, service, start, end, fields.get("context", {}).get("consent"))
        return Decided(Answer.DENY, service, start, end)

    async def _call(self, service: int, method: str, path: str, body: Any, key: str) -> httpx2.Response | None:
        headers = {"Authorization": f"Bearer {key}"}
        try:
            return await self._clients[service].request(method, path, json=body, headers=headers)
        except httpx2.TransportError as error:
            self.records.problems[f"no answer: {type(error).__name__}"] += 1
            return None

    def _outcome(self, answer: httpx2.Response | None) -> Outcome:
        if answer is not None and answer.is_success:
            return Outcome.DONE
        problem = self._note(answer)
        if answer is not None and answer.is_client_error:
            return Outcome.REFUSED
        return Outcome.NOT_DONE if problem == "evidence-unavailable" else Outcome.UNKNOWN

    def _note(self, answer: httpx2.Response | None) -> str:
        """The word of a problem; what a failover does not explain is kept."""
        if answer is None:
            return ""
        problem = str(_json(answer).get("type", "")).removeprefix("urn:sceau:problem:")
        self.records.problems[f"{answer.status_code} {problem}"] += 1
        if answer.status_code != httpx2.codes.SERVICE_UNAVAILABLE:
            self.records.unexpected.append(f"{answer.request.method} {answer.request.url.path}: {answer.text}")
        return problem


def _json(answer: httpx2.Response | None) -> dict[str, Any]:
    if answer is None or not answer.content:
        return {}
    body: dict[str, Any] = answer.json()
    return body
