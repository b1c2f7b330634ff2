"""What callers do: one owner writes about a subject (a processing, a key), one thing after the other, others ask.

Every narrowing write of the promise occurs: withdrawal, refusal, closure, erasure, material version, suspension, here;
and what happens to callers and their keys in `bench.stale.key_episodes`.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final
from uuid import uuid4

from bench.stale.asking import Topic
from bench.stale.callers import Crew
from bench.stale.client import CallError
from bench.stale.fleet import KEY
from bench.stale.history import CONSENT, STATUS, WITHDRAWN, History, Written

_NOTICE: Final = {"fr": "Texte", "en": "Text"}
_EVIDENCE: Final = {
    "method": "web_form",
    "positive_act": "button_clicked",
    "default_state": "unselected",
    "separate_from_terms": True,
    "conditional": False,
    "authentication": "signed_in",
    "language": "fr",
    "notice_version": 1,
    "presented_text_sha256": sha256(_NOTICE["fr"].encode()).hexdigest(),
}
_CYCLES: Final = 6
_REFUSED, _CLOSED, _ERASED = 0.08, 0.13, 0.17
"""Up to which share of the narrowings each of these is what happens; the rest are withdrawals."""
REPEATED: Final = 0.15
_CREATED: Final = 201
_numbers = itertools.count()

Episode = Callable[[], Awaitable[History]]


def consent_episodes(crew: Crew, processing: str, *, subjects: int = 6) -> list[Episode]:
    """What is to be played again and again: so many subjects at a time, two together, a processing."""
    of_subjects: list[Episode] = [lambda: _consents(crew, processing)] * subjects
    return [*of_subjects, lambda: _parties(crew), lambda: _register(crew)]


async def register(crew: Crew, *, party_mode: str = "user_only") -> str | None:
    """Register a processing that rests on consent; None when it is not known to be."""
    processing = f"ads-{next(_numbers)}-{uuid4().hex[:8]}"
    with suppress(CallError):
        body = {"id": processing, **_version(), "party_mode": party_mode}
        status, _ = await crew.workers[crew.worker()].calls.call("POST", "/v1/processings", body, KEY)
        return processing if status == _CREATED else None
    return None


def _version() -> dict[str, Any]:
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
        "notice": _NOTICE,
        "data_recipients": [],
        "retention": "P30D",
    }


@dataclass(slots=True)
class Group:
    """Some subjects of one processing, and what happened to them."""

    crew: Crew
    history: History
    topic: Topic
    version: int = 1

    async def probe(self) -> None:
        """Ask about all of them, everywhere."""
        await self.crew.probe(self.history, self.topic)

    async def grant(self) -> bool:
        """Grant for each; false when one is not known to be: the subject is then of no use any more."""
        return all(await asyncio.gather(*map(self._grant, self.topic.subjects)))

    async def _grant(self, subject: str) -> bool:
        processing = self.topic.processing
        said: dict[str, Any] = {"decision": "granted", "collected_at": datetime.now(UTC).isoformat()}
        said["evidence"] = {**_EVIDENCE, "notice_version": self.version}
        body = {"processing": processing, "subject": _named(subject), **said}
        kind = Written("granted", CONSENT, narrows=False, subject=subject, processing=processing)
        return await self.crew.write(self.history, kind, ("POST", "/v1/consents"), body) is not None

    async def narrow(self, subject: str) -> None:
        """Withdraw, mostly; or refuse, or close the account, or erase it. Sometimes twice."""
        which, again = self.crew.chance.random(), self.crew.chance.random() < REPEATED
        processing = self.topic.processing
        kind = Written(WITHDRAWN, CONSENT, narrows=True, subject=subject, processing=processing)
        where, body = ("POST", "/v1/withdrawals"), {"subject": _named(subject), "processing": processing}
        if which < _REFUSED:
            kind = Written("refused", CONSENT, narrows=True, subject=subject, processing=processing)
            where, body = ("POST", "/v1/consents"), {**body, "decision": "refused", "evidence": _EVIDENCE}
        elif which < _CLOSED:
            kind = Written("closed", CONSENT, narrows=True, subject=subject)
            where, body = ("POST", "/v1/subjects/closures"), {"subject": _named(subject)}
        elif which < _ERASED:
            kind = Written("erased", CONSENT, narrows=True, subject=subject)
            where, body = ("POST", "/v1/subjects/erasures"), {"subject": _named(subject)}
        await self.crew.write(self.history, kind, where, body, again=again)


def new_subject(letter: str = "") -> str:
    """A name that nobody had yet."""
    return f"subject-{next(_numbers)}{letter}@{uuid4().hex[:8]}.example"


def _named(subject: str) -> Any:  # noqa: ANN401 - JSON
    return {"type": "user", "id": subject}


async def _consents(crew: Crew, processing: str) -> History:
    """One subject: granted and narrowed some times over."""
    group = Group(crew, History(), Topic([new_subject()], processing, KEY))
    return await _granted_and_narrowed(group)


async def _parties(crew: Crew) -> History:
    """Two people whose messages may be read only if both consent: now one of them narrows, now the other."""
    processing = await register(crew, party_mode="all_local_users")
    if processing is None:
        return History()
    both = [new_subject("a"), new_subject("b")]
    return await _granted_and_narrowed(Group(crew, History(), Topic(both, processing, KEY, together=True)))


async def _granted_and_narrowed(group: Group) -> History:
    crew, subjects = group.crew, group.topic.subjects

    async def cycles() -> None:
        for number in range(_CYCLES):
            if crew.finishing or not await group.grant():
                return
            await asyncio.sleep(2 * crew.rest())
            if number % 2 or len(subjects) > 1:
                await group.probe()  # every replica holds the permit
            await group.narrow(crew.chance.choice(subjects))
            await group.probe()
            await asyncio.sleep(crew.rest())
            await group.probe()

    return await crew.attended(group.history, group.topic, cycles)


async def _register(crew: Crew) -> History:
    """One processing of its own: suspended and resumed, or given a material version, in turn."""
    processing = await register(crew)
    if processing is None:
        return History()
    group = Group(crew, History(), Topic([new_subject("a"), new_subject("b")], processing, KEY))

    async def cycles() -> None:
        for number in range(2, 2 + _CYCLES):
            if crew.finishing or not await group.grant():
                return
            await group.probe()
            if not await (_material_version(group) if number % 2 else _suspended(group)):
                return

    return await crew.attended(group.history, group.topic, cycles)


async def _material_version(group: Group) -> bool:
    processing = group.topic.processing
    kind = Written("material version", CONSENT, narrows=True, processing=processing)
    where = ("POST", f"/v1/processings/{processing}/versions")
    added = await group.crew.write(group.history, kind, where, {**_version(), "material": True}) is not None
    group.version += added
    await group.probe()
    return added


async def _suspended(group: Group) -> bool:
    processing = group.topic.processing
    where = ("PATCH", f"/v1/processings/{processing}")
    again = group.crew.chance.random() < REPEATED
    kind = Written("suspended", STATUS, narrows=True, processing=processing)
    await group.crew.write(group.history, kind, where, {"status": "suspended"}, again=again)
    await group.probe()
    kind = Written("resumed", STATUS, narrows=False, processing=processing)
    return await group.crew.write(group.history, kind, where, {"status": "active"}) is not None
