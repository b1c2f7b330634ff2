"""What callers do: one owner writes about a subject (a processing, a key), one thing after the other, others ask.

Every narrowing write of the promise occurs: withdrawal, refusal, closure, material version, suspension, revoked key.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from bench.stale.callers import Crew
from bench.stale.client import CallError
from bench.stale.fleet import KEY
from bench.stale.history import CONSENT, STATUS, History, Written
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
_REFUSED, _CLOSED = 0.15, 0.25
_REPEATED: Final = 0.15
_CREATED: Final = 201
_numbers = itertools.count()


def episodes(crew: Crew, processing: str, *, subjects: int = 6) -> list[Callable[[], Awaitable[History]]]:
    """What is to be played again and again: so many subjects at a time, a processing, a key."""
    of_subjects: list[Callable[[], Awaitable[History]]] = [lambda: _consents(crew, processing)] * subjects
    return [*of_subjects, lambda: _register(crew), lambda: _key(crew, processing)]


async def register(crew: Crew) -> str | None:
    """Register a processing that rests on consent; None when it is not known to be."""
    processing = f"ads-{next(_numbers)}-{uuid4().hex[:8]}"
    with suppress(CallError):
        body = {"id": processing, **_version(1)}
        status, _ = await crew.workers[crew.worker()].calls.call("POST", "/v1/processings", body, KEY)
        return processing if status == _CREATED else None
    return None


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


@dataclass(slots=True)
class _Group:
    """Some subjects of one processing, and what happened to them."""

    crew: Crew
    history: History
    subjects: Sequence[str]
    processing: str

    async def probe(self, key: str = KEY) -> None:
        """Ask about all of them, everywhere."""
        await self.crew.probe(self.history, self.subjects, self.processing, key=key)

    async def grant(self) -> bool:
        """Grant for each; false when one is not known to be: the subject is then of no use any more."""
        return all(await asyncio.gather(*map(self._grant, self.subjects)))

    async def _grant(self, subject: str) -> bool:
        body = {"processing": self.processing, "decision": "granted", "evidence": _EVIDENCE, "subject": _named(subject)}
        kind = Written("granted", CONSENT, narrows=False, subject=subject, processing=self.processing)
        return await self.crew.write(self.history, kind, ("POST", "/v1/consents"), body) is not None

    async def narrow(self, subject: str) -> None:
        """Withdraw, mostly; or refuse, or close the account. Sometimes twice."""
        which, again = self.crew.chance.random(), self.crew.chance.random() < _REPEATED
        kind = Written("withdrawn", CONSENT, narrows=True, subject=subject, processing=self.processing)
        where, body = ("POST", "/v1/withdrawals"), {"subject": _named(subject), "processing": self.processing}
        if which < _REFUSED:
            kind = Written("refused", CONSENT, narrows=True, subject=subject, processing=self.processing)
            where, body = ("POST", "/v1/consents"), {**body, "decision": "refused", "evidence": _EVIDENCE}
        elif which < _CLOSED:
            kind = Written("closed", CONSENT, narrows=True, subject=subject)
            where, body = ("POST", "/v1/subjects/closures"), {"subject": _named(subject)}
        await self.crew.write(self.history, kind, where, body, again=again)


def _named(subject: str) -> Any:  # noqa: ANN401 - JSON
    return {"type": "user", "id": subject}


async def _consents(crew: Crew, processing: str) -> History:
    """One subject: granted and narrowed some times over."""
    subject = f"subject-{next(_numbers)}@{uuid4().hex[:8]}.example"
    group = _Group(crew, History(), [subject], processing)

    async def cycles() -> None:
        for number in range(_CYCLES):
            if crew.finishing or not await group.grant():
                return
            await asyncio.sleep(2 * crew.rest())
            if number % 2:
                await group.probe()  # every replica holds the permit
            await group.narrow(subject)
            await group.probe()
            await asyncio.sleep(crew.rest())
            await group.probe()

    return await crew.attended(group.history, ([subject], processing, KEY), cycles)


async def _register(crew: Crew) -> History:
    """One processing of its own: suspended and resumed, or given a material version, in turn."""
    processing = await register(crew)
    if processing is None:
        return History()
    group = _Group(crew, History(), [f"{processing}-{letter}@example" for letter in "ab"], processing)

    async def cycles() -> None:
        for number in range(2, 2 + _CYCLES):
            if crew.finishing or not await group.grant():
                return
            await group.probe()
            if number % 2:
                await _material_version(group, number)
            elif not await _suspended(group):
                return

    return await crew.attended(group.history, (group.subjects, processing, KEY), cycles)


async def _material_version(group: _Group, number: int) -> None:
    kind = Written("material version", CONSENT, narrows=True, processing=group.processing)
    where = ("POST", f"/v1/processings/{group.processing}/versions")
    await group.crew.write(group.history, kind, where, {**_version(number), "material": True})
    await group.probe()


async def _suspended(group: _Group) -> bool:
    where = ("PATCH", f"/v1/processings/{group.processing}")
    again = group.crew.chance.random() < _REPEATED
    kind = Written("suspended", STATUS, narrows=True, processing=group.processing)
    await group.crew.write(group.history, kind, where, {"status": "suspended"}, again=again)
    await group.probe()
    kind = Written("resumed", STATUS, narrows=False, processing=group.processing)
    return await group.crew.write(group.history, kind, where, {"status": "active"}) is not None


async def _key(crew: Crew, processing: str) -> History:
    """One key: made, used everywhere, revoked."""
    made = None
    group = _Group(crew, History(), [f"holder-{next(_numbers)}@example"], processing)
    with suppress(CallError):
        body = {"name": "caller", "scopes": ["decisions:evaluate"]}
        _, made = await crew.workers[crew.worker()].calls.call("POST", "/v1/keys", body, KEY)
    if not made or "key" not in made or not await group.grant():
        return group.history
    key, where = made["key"], ("DELETE", f"/v1/keys/{made['id']}")

    async def use() -> None:
        await group.probe(key)
        await asyncio.sleep(crew.rest())
        kind = Written("revoked key", KEY_FAMILY, narrows=True, key=key)
        await crew.write(group.history, kind, where, None, again=crew.chance.random() < _REPEATED)
        await group.probe(key)

    return await crew.attended(group.history, (group.subjects, processing, key), use)
