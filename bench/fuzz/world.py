"""The world that requests are about: processings, subjects and keys in every situation, and the writes that change it.

Each write is answered before the next thing is sent, and is then noted in the facts.
"""

import random
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from app.core.article import Element, ProviderKind, Purpose
from app.core.consent import ConsentEvent, EventKind
from app.core.period import ConsentPeriod
from app.core.processing import PartyMode, Processing, ProcessingVersion, Status, StatusChange
from bench.fuzz.facts import EVALUATE, MARK, Facts, Holder, instant, reference
from bench.stale.client import Connections

NAMES: Final = ("alice", "Bob", "carol", "dave", "élise", "STRASSE", "straße", "gus+tag", "h", "zoé", "x" * 200)
KINDS: Final = ("user", "user", "user", "mailbox")
"""Types that a subject is recorded under."""
_WAVERING: Final = "wavering"
_SHAPES: Final[dict[str, dict[str, Any]]] = {
    "own": {},
    "locals": {"purpose": "statistics", "party_mode": "all_local_users"},
    "parties": {"purpose": "service_improvement", "party_mode": "all_parties", "provider_kind": "online_service"},
    "exempt": {"purpose": "malware_detection", "elements": ["content", "attachments"]},
    "other": {"purpose": "other"},
    "human": {"automated": False},
    "stopped": {},
    "coming": {"party_mode": "all_local_users"},
    _WAVERING: {},
}
_NOTICE: Final = {"fr": "Texte", "en": "Text"}
EVIDENCE: Final = {
    "method": "web_form",
    "positive_act": "button_clicked",
    "default_state": "unselected",
    "separate_from_terms": True,
    "conditional": False,
    "authentication": "signed_in",
    "language": "fr",
    "presented_text_sha256": sha256(_NOTICE["fr"].encode()).hexdigest(),
}


IDLE_SECONDS: Final = 2.0
"""How long a connection is kept that nothing is sent on; the service closes it after five."""


class WriteError(Exception):
    """A write of the fuzzer's own was refused: the run is not the one that was meant."""


@dataclass(slots=True)
class World:
    """Writes to a service at a port, with the key of an administrator, and notes what it wrote."""

    port: int
    administrator: str
    facts: Facts
    chance: random.Random
    tag: str = ""
    _calls: Connections = field(init=False)
    _called: float = 0.0

    def __post_init__(self) -> None:
        """Make the names of this world's own."""
        self._calls = Connections(self.port, timeout=20)
        self.facts.subjects = [f"{MARK}-{self.tag}{name}" for name in NAMES]

    def close(self) -> None:
        """Drop the connections."""
        self._calls.close()

    def processing(self, name: str) -> str:
        """The id of one of the processings."""
        return f"{self.tag}{name}"

    async def call(self, method: str, path: str, body: Any = None) -> Any:  # noqa: ANN401 - JSON
        """One write.

        Raises:
            WriteError: it was not done.

        """
        if time.monotonic() - self._called > IDLE_SECONDS:
            self._calls.close()
        status, said = await self._calls.call(method, path, body, self.administrator)
        self._called = time.monotonic()
        if status not in {200, 201, 204}:
            raise WriteError(f"{method} {path}: {status} {said}")
        return said

    async def make(self) -> None:
        """Register everything, decide at random about everything, and make the keys."""
        for name in _SHAPES:
            await self._register(name)
        await self.set_status("stopped", "suspended")
        await self._add_version("coming", timedelta(days=30), elements=["content", "subject_line", "attachments"])
        for subject in self.facts.subjects:
            for _ in range(3):
                await self._decide(subject)
        for name in ("own", "locals", "parties", "coming", _WAVERING):
            for subject in self.facts.subjects[:8]:
                await self._consent("user", subject, name, EventKind.GRANTED)
        await self._make_keys()

    async def change(self) -> None:
        """One write at random, mostly about a subject."""
        writes: Sequence[tuple[int, Callable[[], Awaitable[None]]]] = (
            (40, lambda: self._decide(self.chance.choice(self.facts.subjects))),
            (3, lambda: self.set_status(_WAVERING, self.chance.choice(["active", "suspended"]))),
            (2, lambda: self._add_version(_WAVERING, timedelta(seconds=self.chance.choice([0, 2])))),
            (4, self._change_key),
            (2, self._revoke_key),
        )
        await self.chance.choices([write for _, write in writes], [share for share, _ in writes])[0]()

    async def _decide(self, subject: str) -> None:
        """Have a subject decide on something, mostly by a grant."""
        kind, name = self.chance.choice(KINDS), self.chance.choice(["own", "locals", "parties", "coming", _WAVERING])
        which = self.chance.random()
        if which < 0.6:  # noqa: PLR2004 - shares
            await self._consent(kind, subject, name, EventKind.GRANTED)
        elif which < 0.7:  # noqa: PLR2004
            await self._consent(kind, subject, name, EventKind.REFUSED)
        elif which < 0.97:  # noqa: PLR2004
            await self._withdraw(kind, subject, name if self.chance.random() < 0.9 else None)  # noqa: PLR2004
        else:
            said = await self.call("POST", "/v1/subjects/closures", {"subject": {"type": kind, "id": subject}})
            self._note(kind, subject, EventKind.CLOSED, None, said["effective_at"])

    async def _consent(self, kind: str, subject: str, name: str, decision: EventKind) -> None:
        elements = ["content"] if decision is EventKind.GRANTED and self.chance.random() < 0.15 else None  # noqa: PLR2004
        now = datetime.now(UTC)
        shown = self.facts.processings[self.processing(name)].version_at(now)
        body = {
            "subject": {"type": kind, "id": subject},
            "processing": self.processing(name),
            "decision": decision.value,
            "collected_at": now.isoformat(),
            "evidence": {**EVIDENCE, "notice_version": shown.number if shown is not None else 1},
            **({"elements": elements} if elements else {}),
        }
        said = await self.call("POST", "/v1/consents", body)
        event = ConsentEvent(
            id=UUID(said["id"]),
            kind=decision,
            processing=self.processing(name),
            collected_at=instant(said["collected_at"]),
            order=0,
            version=said["version"],
            elements=frozenset(map(Element, elements)) if elements else None,
        )
        self.facts.append(reference(kind, subject), event)

    async def _withdraw(self, kind: str, subject: str, name: str | None) -> None:
        about = {"processing": self.processing(name)} if name else {}
        said = await self.call("POST", "/v1/withdrawals", {"subject": {"type": kind, "id": subject}, **about})
        self._note(kind, subject, EventKind.WITHDRAWN, about.get("processing"), said["effective_at"])

    def _note(self, kind: str, subject: str, event: EventKind, processing: str | None, at: str) -> None:
        noted = ConsentEvent(id=UUID(int=0), kind=event, processing=processing, collected_at=instant(at), order=0)
        self.facts.append(reference(kind, subject), noted)

    async def _register(self, name: str) -> None:
        body = _version_body(**_SHAPES[name])
        said = await self.call("POST", "/v1/processings", {"id": self.processing(name), **body})
        first = _version(1, instant(said["registered_at"]), body, material=True)
        self.facts.processings[self.processing(name)] = Processing(
            self.processing(name), Purpose(str(body["purpose"])), (first,)
        )

    async def _add_version(self, name: str, later: timedelta, **more: Any) -> None:  # noqa: ANN401 - JSON
        """Register a material version that comes into force so much later."""
        known = self.facts.processings[self.processing(name)]
        last = known.versions[-1].effective_from
        begins = datetime.now(UTC) + later
        if last is not None and last >= begins:
            return
        body = {**_version_body(**_SHAPES[name], **more), "material": True}
        if later:
            body["effective_from"] = begins.isoformat()
        await self.call("POST", f"/v1/processings/{known.id}/versions", body)
        listed = await self.call("GET", f"/v1/processings/{known.id}/versions")
        begun = begins if later else instant(listed["items"][-1]["effective_from"])
        version = _version(len(known.versions) + 1, begun, body, material=True)
        self.facts.processings[known.id] = replace(known, versions=(*known.versions, version))
        self.facts.writes += 1

    async def set_status(self, name: str, status: str) -> None:
        """Suspend or resume a processing."""
        known = self.facts.processings[self.processing(name)]
        said = await self.call("PATCH", f"/v1/processings/{known.id}", {"status": status})
        changes = tuple(StatusChange(instant(each["at"]), Status(each["status"])) for each in said["status_changes"])
        last = changes[-1].status if changes else Status.ACTIVE
        if last is not Status(status):
            raise WriteError(f"the status is {last}")
        self.facts.processings[known.id] = replace(known, status_changes=changes)
        self.facts.writes += 1

    async def _make_keys(self) -> None:
        some = frozenset({self.processing("own"), self.processing("exempt")})
        for name, scope, processings in (
            ("every", EVALUATE, None),
            ("second", EVALUATE, None),
            ("limited", EVALUATE, some),
            ("scopeless", "consents:read", None),
            ("changing", EVALUATE, None),
            ("revoked", EVALUATE, None),
        ):
            self.facts.holders.append(await self._make_key(name, scope, processings))
        await self._revoke("revoked")
        self.facts.holders += [
            Holder("nobody", None),
            Holder("wrong", f"Bearer sceau_{secrets.token_urlsafe(32)}"),
            Holder("basic", "Basic YTpi"),
        ]

    async def _make_key(self, name: str, scope: str, processings: frozenset[str] | None) -> Holder:
        body: dict[str, Any] = {"name": name, "scopes": [scope]}
        if processings is not None:
            body["processings"] = sorted(processings)
        said = await self.call("POST", "/v1/keys", body)
        return Holder(name, f"Bearer {said['key']}", said["id"], scope == EVALUATE, processings)

    def holder(self, name: str) -> Holder:
        """The holder of that name."""
        return next(each for each in self.facts.holders if each.name == name)

    async def _revoke(self, name: str) -> None:
        """Revoke a key; what it was stays known as one that is nobody's."""
        held = self.holder(name)
        await self.call("DELETE", f"/v1/keys/{held.identifier}")
        held.identifier, held.evaluates, held.processings = "", False, None
        self.facts.writes += 1

    async def _revoke_key(self) -> None:
        """Revoke the key that changes, and give its name to a new one; the old one is the revoked one from now on."""
        await self._revoke("changing")
        gone = self.holder("changing")
        self.facts.holders.remove(self.holder("revoked"))
        gone.name = "revoked"
        self.facts.holders.append(await self._make_key("changing", EVALUATE, None))

    async def _change_key(self) -> None:
        """Give the key that changes other rights."""
        held = self.holder("changing")
        evaluates = self.chance.random() < 0.7  # noqa: PLR2004 - a share
        names = self.chance.sample(["own", "locals", "exempt", _WAVERING], 2)
        limited = [self.processing(name) for name in names] if self.chance.random() < 0.5 else None  # noqa: PLR2004
        body = {"scopes": [EVALUATE if evaluates else "consents:read"], "processings": limited}
        await self.call("PATCH", f"/v1/keys/{held.identifier}", body)
        held.evaluates, held.processings = evaluates, frozenset(limited) if limited else None
        self.facts.writes += 1


def _version_body(**more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {
        "controller": "Exemple SAS",
        "provider_kind": "operator",
        "service": "mail",
        "purpose": "advertising",
        "elements": ["content", "subject_line"],
        "automated": True,
        "party_mode": "user_only",
        "started_on": "2020-01-01",
        "consent_validity": "P1Y",
        "name": {"fr": "Traitement", "en": "Processing"},
        "notice": _NOTICE,
        "data_recipients": [],
        "retention": "P30D",
        **more,
    }


def _version(number: int, begins: datetime, body: dict[str, Any], *, material: bool) -> ProcessingVersion:
    return ProcessingVersion(
        number=number,
        effective_from=begins,
        provider_kind=ProviderKind(body["provider_kind"]),
        elements=frozenset(map(Element, body["elements"])),
        automated=body["automated"],
        party_mode=PartyMode(body["party_mode"]),
        started_on=date.fromisoformat(body["started_on"]),
        consent_validity=ConsentPeriod.parse(body["consent_validity"]),
        material=material,
    )
