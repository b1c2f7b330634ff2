"""Callers of several replicas at once: they grant, narrow and ask, and every call is recorded with its times.

One owner writes about a subject, one thing after the other; several askers ask about it all the while, each at replicas
of its own choosing. The times are CLOCK_MONOTONIC of this one machine.
"""

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

from bench.stale.client import CallError
from bench.stale.fleet import KEY, Worker
from bench.stale.history import CONSENT, STATUS, Asked, History, Verdict, Written
from bench.stale.history import KEY as KEY_FAMILY

_EVIDENCE: Final = {
    "method": "web_form",
    "positive_act": "button_clicked",
    "default_state": "unselected",
    "separate_from_terms": True,
    "conditional": False,
    "language": "fr",
    "notice_version": 1,
}
_CYCLES: Final = 6
_names = itertools.count()


@dataclass(slots=True)
class Plan:
    """How the callers behave."""

    subjects: int = 6
    askers: int = 2
    pause: float = 0.02
    registers: bool = True


@dataclass(slots=True)
class Crew:
    """All callers of one run; `verdict` grows as subjects are done with."""

    workers: Sequence[Worker]
    chance: random.Random
    plan: Plan = field(default_factory=Plan)
    verdict: Verdict = field(default_factory=Verdict)
    unanswered: int = 0
    refused: dict[int, int] = field(default_factory=dict)
    finishing: bool = False

    async def run(self, seconds: float, *, until: Callable[[Verdict], bool] = lambda _: False) -> None:
        """Work for some seconds, or until the verdict is enough."""
        shared = f"ads-{next(_names)}-{uuid4().hex[:6]}"
        await register(self, shared)
        owners = [self._again(lambda: _consents(self, shared)) for _ in range(self.plan.subjects)]
        if self.plan.registers:
            owners += [self._again(lambda: _statuses(self)), self._again(lambda: _keys(self, shared))]
        try:
            async with asyncio.TaskGroup() as group:
                for owner in owners:
                    group.create_task(owner)
                group.create_task(self._stop(seconds, until))
        finally:
            for worker in self.workers:
                worker.calls.close()

    async def _stop(self, seconds: float, until: Callable[[Verdict], bool]) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not until(self.verdict):
            await asyncio.sleep(0.05)
        self.finishing = True

    async def _again(self, episode: Callable[[], Awaitable[History]]) -> None:
        while not self.finishing:
            self.verdict.add((await episode()).judge())

    def worker(self) -> int:
        """Any replica."""
        return self.chance.randrange(len(self.workers))

    async def ask(self, history: History, replica: int, subject: str, processing: str, key: str = KEY) -> None:
        """One decision, recorded when it was answered."""
        body = {
            "subject": {"type": "user", "id": subject},
            "action": {"name": processing},
            "resource": {"type": "correspondence", "id": "h"},
        }
        start = time.monotonic()
        try:
            status, said = await self.workers[replica].calls.call("POST", "/access/v1/evaluation", body, key)
        except CallError:
            self.unanswered += 1
            return
        end = time.monotonic()
        if status == 200:  # noqa: PLR2004 - HTTP
            history.asked.append(Asked(subject, processing, key, replica, start, end, said["decision"]))
        else:
            self.refused[status] = self.refused.get(status, 0) + 1

    async def write(
        self, history: History, kind: Written, method: str, path: str, body: Any, *, again: bool = False
    ) -> Any:  # noqa: ANN401 - JSON
        """One write, recorded. A narrowing one is repeated until it is answered, at other replicas; `again`: even then.

        Returns:
            The answer, or None when a widening one was not answered: nobody knows then.

        """
        idempotency = f"Idempotency-Key: {uuid4()}\r\n" if self.chance.random() < 0.5 else ""
        while True:
            start, said = time.monotonic(), None
            worker = self.workers[self.worker()]
            try:
                status, said = await worker.calls.call(method, path, body, KEY, idempotency)
            except CallError:
                status = 0
            end = time.monotonic() if 200 <= status < 300 else None  # noqa: PLR2004 - HTTP
            history.written.append(_at(kind, start, end))
            if end is None:
                self.refused[status] = self.refused.get(status, 0) + 1
                if not kind.narrows:
                    return None
                await asyncio.sleep(0.02)
                continue
            if not again:
                return said if said is not None else True
            again = False

    async def probe(self, history: History, subjects: Sequence[str], processing: str, key: str = KEY) -> None:
        """Ask every replica at once, right after an answer."""
        calls = [
            self.ask(history, replica, subject, processing, key)
            for replica in range(len(self.workers))
            for subject in subjects
        ]
        await asyncio.gather(*calls)

    async def asking(self, history: History, subjects: Sequence[str], processing: str, key: str = KEY) -> None:
        """Ask again and again, until cancelled."""
        while True:
            await self.ask(history, self.worker(), self.chance.choice(subjects), processing, key)
            await asyncio.sleep(self.chance.random() * self.plan.pause)


def _at(write: Written, start: float, end: float | None) -> Written:
    return Written(write.kind, write.family, write.narrows, start, end, write.subject, write.processing, write.key)


async def register(crew: Crew, processing: str) -> bool:
    """Register a processing that rests on consent."""
    with suppress(CallError):
        worker = crew.workers[crew.worker()]
        status, _ = await worker.calls.call("POST", "/v1/processings", {"id": processing, **_version(1)}, KEY)
        return status == 201  # noqa: PLR2004 - HTTP
    return False


def _version(number: int) -> dict[str, Any]:
    return {
        "controller": "Exemple SAS",
        "provider_kind": "operator",
        "service": "mail",
        "purpose": "advertising",
        "elements": ["content"],
        "automated": True,
        "party_mode": "user_only",
        "started_on": "2020-01-01",
        "consent_validity": "P1Y",
        "name": {"fr": "Traitement", "en": "Processing"},
        "notice": {"fr": f"Texte {number}", "en": f"Text {number}"},
        "data_recipients": [],
        "retention": "P30D",
    }


async def _consents(crew: Crew, processing: str) -> History:
    """One subject: granted and narrowed some times over, asked about all the while."""
    history, subject = History(), f"subject-{next(_names)}@{uuid4().hex[:8]}.example"
    await _attended(
        crew, history, [subject], processing, KEY, lambda: _consent_cycles(crew, history, subject, processing)
    )
    return history


async def _attended(
    crew: Crew,
    history: History,
    subjects: Sequence[str],
    processing: str,
    key: str,
    work: Callable[[], Awaitable[None]],
) -> None:
    """Do something while askers ask."""
    askers = [asyncio.create_task(crew.asking(history, subjects, processing, key)) for _ in range(crew.plan.askers)]
    try:
        await work()
    finally:
        for asker in askers:
            asker.cancel()
        await asyncio.gather(*askers, return_exceptions=True)


async def _consent_cycles(crew: Crew, history: History, subject: str, processing: str) -> None:
    for _ in range(_CYCLES):
        if crew.finishing or not await grant(crew, history, subject, processing):
            return
        await asyncio.sleep(crew.chance.random() * 2 * crew.plan.pause)
        if crew.chance.random() < 0.5:
            await crew.probe(history, [subject], processing)  # every replica holds the permit
        await narrow(crew, history, subject, processing)
        await crew.probe(history, [subject], processing)
        await asyncio.sleep(crew.chance.random() * crew.plan.pause)
        await crew.probe(history, [subject], processing)


async def grant(crew: Crew, history: History, subject: str, processing: str) -> bool:
    """Grant; false when nobody knows whether it was done: the subject is then of no use any more."""
    body = {"processing": processing, "decision": "granted", "evidence": _EVIDENCE, **_subject(subject)}
    kind = Written("granted", CONSENT, narrows=False, start=0, end=None, subject=subject, processing=processing)
    return await crew.write(history, kind, "POST", "/v1/consents", body) is not None


async def narrow(crew: Crew, history: History, subject: str, processing: str) -> None:
    """Withdraw, mostly; or refuse, or close the account. Sometimes twice."""
    which = crew.chance.random()
    name, path, body, scope = "withdrawn", "/v1/withdrawals", {"processing": processing}, processing
    if which < 0.15:
        name, path, body = "refused", "/v1/consents", {"processing": processing, "decision": "refused"}
        body = {**body, "evidence": _EVIDENCE}
    elif which < 0.25:
        name, path, body, scope = "closed", "/v1/subjects/closures", {}, None
    kind = Written(name, CONSENT, narrows=True, start=0, end=None, subject=subject, processing=scope)
    again = crew.chance.random() < 0.1
    await crew.write(history, kind, "POST", path, {**body, **_subject(subject)}, again=again)


def _subject(subject: str) -> dict[str, Any]:
    return {"subject": {"type": "user", "id": subject}}


async def _statuses(crew: Crew) -> History:
    """One processing of its own: suspended, resumed, and given material versions."""
    history, processing = History(), f"register-{next(_names)}-{uuid4().hex[:6]}"
    if not await register(crew, processing):
        return history
    subjects = [f"{processing}-{letter}@example" for letter in "ab"]
    await _attended(
        crew, history, subjects, processing, KEY, lambda: _status_cycles(crew, history, subjects, processing)
    )
    return history


async def _status_cycles(crew: Crew, history: History, subjects: Sequence[str], processing: str) -> None:
    for number in range(2, 2 + _CYCLES):
        granted = await asyncio.gather(*(grant(crew, history, subject, processing) for subject in subjects))
        if crew.finishing or not all(granted):
            return
        await crew.probe(history, subjects, processing)
        if crew.chance.random() < 0.5:
            await _material(crew, history, subjects, processing, number)
        elif not await _suspended(crew, history, subjects, processing):
            return


async def _material(crew: Crew, history: History, subjects: Sequence[str], processing: str, number: int) -> None:
    kind = Written("material", CONSENT, narrows=True, start=0, end=None, processing=processing)
    body = {**_version(number), "material": True}
    await crew.write(history, kind, "POST", f"/v1/processings/{processing}/versions", body)
    await crew.probe(history, subjects, processing)


async def _suspended(crew: Crew, history: History, subjects: Sequence[str], processing: str) -> bool:
    path = f"/v1/processings/{processing}"
    kind = Written("suspended", STATUS, narrows=True, start=0, end=None, processing=processing)
    await crew.write(history, kind, "PATCH", path, {"status": "suspended"}, again=crew.chance.random() < 0.2)
    await crew.probe(history, subjects, processing)
    kind = Written("resumed", STATUS, narrows=False, start=0, end=None, processing=processing)
    return await crew.write(history, kind, "PATCH", path, {"status": "active"}) is not None


async def _keys(crew: Crew, processing: str) -> History:
    """One key: made, used everywhere, revoked."""
    history, subject = History(), f"holder-{next(_names)}@example"
    body = {"name": "caller", "scopes": ["decisions:evaluate"]}
    made = None
    with suppress(CallError):
        worker = crew.workers[crew.worker()]
        _, made = await worker.calls.call("POST", "/v1/keys", body, KEY)
    if not made or "key" not in made or not await grant(crew, history, subject, processing):
        return history
    key = made["key"]

    async def revoke() -> None:
        await crew.probe(history, [subject], processing, key)
        await asyncio.sleep(crew.plan.pause)
        kind = Written("revoked", KEY_FAMILY, narrows=True, start=0, end=None, key=key)
        await crew.write(history, kind, "DELETE", f"/v1/keys/{made['id']}", None, again=crew.chance.random() < 0.3)
        await crew.probe(history, [subject], processing, key)

    await _attended(crew, history, [subject], processing, key, revoke)
    return history
