"""What the fuzzer itself did: processings that it registered, decisions that it recorded, keys that it made.

The oracle judges by these and by nothing that the service remembers.
"""

import unicodedata
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import idna

from app.core.consent import ConsentEvent
from app.core.decision import Decision, DecisionRequest
from app.core.evaluate import evaluate
from app.core.processing import Processing

MARK: Final = "fzmark"
"""Stands in every id that is sent about a person or a correspondence, so that one in a log is seen."""
EVALUATE: Final = "decisions:evaluate"


def reference(kind: str, name: str) -> bytes:
    """A stand-in for a subject's locator: the same for two ids that are one subject's."""
    local, mark, domain = name.partition(":") if name.startswith("@") else name.rpartition("@")
    host, colon, port = domain.partition(":")
    same = idna.encode(host, uts46=True).decode() + colon + port if mark else domain
    return f"{kind}\n{_lower(local)}{mark}{same if mark else _lower(same)}".encode()


def _lower(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())


@dataclass(slots=True)
class Holder:
    """Somebody who asks: with this in the Authorization field (None: without one), as a caller with these rights.

    `identifier` is the caller's, "" where it is nobody in force. `processings` None: any.
    """

    name: str
    authorization: str | None
    identifier: str = ""
    evaluates: bool = False
    processings: frozenset[str] | None = None

    @property
    def in_force(self) -> bool:
        """Whether it is a caller at all."""
        return bool(self.identifier)

    def may_name(self, processing: str) -> bool:
        """Whether its key is good for that processing."""
        return self.processings is None or processing in self.processings


@dataclass(slots=True)
class Facts:
    """Everything that decisions rest on, in the order in which it was done."""

    processings: dict[str, Processing] = field(default_factory=dict)
    events: dict[bytes, list[ConsentEvent]] = field(default_factory=dict)
    holders: list[Holder] = field(default_factory=list)
    subjects: list[str] = field(default_factory=list)
    jwks: dict[str, bytes] = field(default_factory=dict)
    writes: int = 0

    def holder_of(self, authorization: str | None) -> Holder:
        """Whose credential stands in an Authorization field, read as RFC 6750, section 2.1, has it."""
        nobody = Holder("nobody", authorization)
        if authorization is None:
            return nobody
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return nobody
        shown = f"Bearer {token.strip()}"
        return next((each for each in self.holders if each.in_force and each.authorization == shown), nobody)

    def append(self, ref: bytes, event: ConsentEvent) -> None:
        """Note what a subject decided."""
        known = self.events.setdefault(ref, [])
        known.append(replace(event, order=len(known) + 1))
        self.writes += 1

    def decide(self, request: DecisionRequest, at: datetime) -> Decision:
        """What the rules say of a request at an instant, or at the latest instant that is recorded as done."""
        processing = self.processings.get(request.processing)
        parties = {request.subject, *(each.ref for each in request.participants or ())}
        consents = {ref: self.events.get(ref, []) for ref in parties}
        done = [event.collected_at for each in consents.values() for event in each]
        if processing is not None:
            done += [change.at for change in processing.status_changes]
        return evaluate(request, processing, consents, max([at, *done]))


def instant(text: Any) -> datetime:  # noqa: ANN401 - JSON
    """An instant as the service writes it."""
    return datetime.fromisoformat(str(text))
