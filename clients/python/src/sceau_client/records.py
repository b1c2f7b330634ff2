"""Records with Sceau, as requests and replies: consents, withdrawals, and links to the consent page.

A record that is refused, or that may not have been made, raises, so that no program goes on as if it had been made.
"""

import json
import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sceau_client.questions import User, subject
from sceau_client.words import Element

_SCOPE: Final = re.compile(r"\b[a-z]+:[a-z]+\b")
_FORBIDDEN: Final = 403
_UNAVAILABLE: Final = frozenset({429, 502, 503, 504})


class RecordError(Exception):
    """A record was not made, or it is not known whether it was; the message names no person."""


class RefusedRecordError(RecordError):
    """Sceau refused it: nothing was recorded.

    `status` is the HTTP status, `problem` the word of the problem document (docs of Sceau), `fields` what is wrong with
    each field, and `missing_scope` the scope that the key lacks, where that is the reason.
    """

    def __init__(self, status: int, problem: str, detail: str, fields: Mapping[str, str]) -> None:
        """Say what was refused and why."""
        found = _SCOPE.search(detail) if status == _FORBIDDEN and problem == "scope-missing" else None
        self.status, self.problem, self.fields = status, problem, fields
        self.missing_scope = found.group() if found is not None else None
        more = "".join(f"; {name}: {said}" for name, said in fields.items() if said != detail)
        super().__init__(f"{status} {problem}: {detail}{more}")


class UnknownRecordError(RecordError):
    """Sceau did not answer in time, or cannot record now.

    Repeat the call with `idempotency_key`: Sceau then makes the record only once.
    """

    def __init__(self, said: str, idempotency_key: str) -> None:
        """Say why the result is unknown."""
        self.idempotency_key = idempotency_key
        super().__init__(said)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A consent or a refusal as it was recorded: `defects` say why a grant never permits."""

    id: str
    state: str
    expires_at: datetime | None
    defects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """A withdrawal: the consents that it ended. `matched` False: nothing was ever recorded of that id."""

    id: str
    consents: tuple[str, ...]
    matched: bool
    effective_at: datetime


@dataclass(frozen=True, slots=True)
class Link:
    """A link to the consent page; anyone who has its `url` can decide. `left_out`: processings, with the reason."""

    id: str
    url: str = field(repr=False)
    processings: tuple[str, ...]
    expires_at: datetime
    left_out: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Order:
    """One write as it is sent; each attempt has the same Idempotency-Key."""

    path: str
    body: Mapping[str, Any] = field(repr=False)
    idempotency_key: str

    def request(self) -> dict[str, Any]:
        """The arguments of a POST."""
        return {"url": self.path, "json": self.body, "headers": {"Idempotency-Key": self.idempotency_key}}

    def unknown(self, why: str) -> UnknownRecordError:
        """The error for a record that may or may not have been made."""
        return UnknownRecordError(why, self.idempotency_key)


def _order(path: str, said: Mapping[str, Any], key: str | None) -> Order:
    return Order(path, {name: value for name, value in said.items() if value is not None}, key or secrets.token_hex(16))


def consent_order(
    user: User,
    processing: str,
    decision: str,
    evidence: Mapping[str, Any],
    *,
    collected_at: datetime | None,
    version: int | None,
    elements: Collection[Element],
    capacity: Mapping[str, Any] | None,
    key: str | None,
) -> Order:
    """A grant or a refusal."""
    if collected_at is not None and collected_at.tzinfo is None:
        raise ValueError("the instant has no time zone")
    said = {
        "subject": _subject(user),
        "processing": processing,
        "decision": decision,
        "evidence": dict(evidence),
        "collected_at": collected_at.isoformat() if collected_at is not None else None,
        "version": version,
        "elements": sorted(Element(each) for each in elements) or None,
        "capacity": dict(capacity) if capacity is not None else None,
    }
    return _order("/v1/consents", said, key)


def withdrawal_order(user: User, processing: str | None, method: str | None, key: str | None) -> Order:
    """A withdrawal from one processing, or from all."""
    said = {"subject": _subject(user), "processing": processing, "method": method}
    return _order("/v1/withdrawals", said, key)


def link_order(
    user: User,
    processings: Collection[str],
    authentication: str,
    kind: str,
    *,
    by_person: bool,
    request_reference: str | None,
    key: str | None,
) -> Order:
    """A link to the consent page."""
    if isinstance(processings, str):
        raise TypeError("processings are a collection")
    said = {
        "subject": _subject(user),
        "processings": list(processings) or None,
        "authentication": authentication,
        "kind": kind,
        "by_person": by_person,
        "request_reference": request_reference,
    }
    return _order("/v1/consent-links", said, key)


def recorded(told: Mapping[str, Any]) -> Recorded:
    """Read the answer to a consent or refusal."""
    return Recorded(told["id"], told["state"], _instant(told.get("expires_at")), tuple(told.get("defects") or ()))


def withdrawn(told: Mapping[str, Any]) -> Withdrawn:
    """Read the answer to a withdrawal."""
    at = datetime.fromisoformat(told["effective_at"])
    return Withdrawn(told["id"], tuple(told["withdrawn"]), bool(told["matched"]), at)


def link(told: Mapping[str, Any]) -> Link:
    """Read the answer to a request for a link."""
    left_out = {each["processing"]: each["reason"] for each in told["left_out"]}
    at = datetime.fromisoformat(told["expires_at"])
    return Link(told["id"], told["url"], tuple(told["processings"]), at, left_out)


def told_by(order: Order, status: int, content: bytes) -> Mapping[str, Any]:
    """Read the record from the answer to an order.

    Raises:
        RefusedRecordError: it was refused.
        UnknownRecordError: it cannot be recorded now, or what answered is not Sceau.

    """
    try:
        said = json.loads(content)
    except ValueError:
        said = None
    if not isinstance(said, dict) or status in _UNAVAILABLE:
        raise order.unknown(f"Sceau cannot record now ({status})")
    if status not in {200, 201}:
        fields = {str(each.get("field")): str(each.get("message")) for each in said.get("errors") or ()}
        word = str(said.get("type", "")).rpartition(":")[2] or "refused"
        raise RefusedRecordError(status, word, str(said.get("detail") or said.get("title") or "refused"), fields)
    return said


def _subject(user: User) -> dict[str, str]:
    named = subject(user)
    return {"type": named.type, "id": named.id}


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text is not None else None
