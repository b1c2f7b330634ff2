"""Grants as a form sends them: when they were collected, and the hash of the text that was shown."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

EVIDENCE: dict[str, Any] = {
    "method": "web_form",
    "positive_act": "button_clicked",
    "default_state": "unselected",
    "separate_from_terms": True,
    "conditional": False,
    "language": "fr",
    "notice_version": 1,
    "authentication": "signed_in",
}
SIGNED: dict[str, Any] = {"method": "paper", "positive_act": "signed", "document_sha256": "cd" * 32}
"""A form on paper: it may be older than the registration of the text. Of each person it is another (`own_form`)."""


def own_form(evidence: dict[str, Any], name: str) -> dict[str, Any]:
    """The evidence with a separate form for this person, if a test only says that it was signed."""
    if evidence.get("document_sha256") != SIGNED["document_sha256"]:
        return evidence
    return {**evidence, "document_sha256": hash_of(f"The form of {name.casefold()}")}


def hash_of(text: str) -> str:
    """The hash of a text that was shown, in hex."""
    return sha256(text.encode()).hexdigest()


def notice_of(identifier: str) -> dict[str, str]:
    """The notice of a processing that a test registers."""
    return {"fr": f"Texte de {identifier}", "en": f"Text of {identifier}"}


def proof(notice: Mapping[str, str], stated: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The evidence of a grant by a person who was shown that notice, in the language that the evidence names."""
    evidence = {**EVIDENCE, **(stated or {})}
    text = notice.get(str(evidence["language"]).lower().split("-", maxsplit=1)[0], next(iter(notice.values())))
    return {"presented_text_sha256": hash_of(text), **evidence}


def grant(name: str, identifier: str, *, at: datetime | None = None, **more: Any) -> dict[str, Any]:
    """The body of a grant to version 1 of a processing that a test registers: of now, or of another instant."""
    return {
        "subject": {"type": "user", "id": name},
        "processing": identifier,
        "decision": "granted",
        "collected_at": written(at or datetime.now(UTC)),
        **more,
        "evidence": own_form(proof(notice_of(identifier), more.get("evidence")), name),
    }


def written(at: datetime) -> str:
    """An instant as the API writes it."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def shown_at(versions: list[dict[str, Any]], at: str, number: int | None) -> dict[str, Any]:
    """The named version, else the one in force then, else the first one."""
    if number is not None:
        return next((each for each in versions if each["number"] == number), versions[0])
    then = datetime.fromisoformat(at)
    begun = [each for each in versions if datetime.fromisoformat(each["effective_from"]) <= then]
    return max(begun or versions[:1], key=lambda each: (datetime.fromisoformat(each["effective_from"]), each["number"]))


def proven(more: Mapping[str, Any], versions: list[dict[str, Any]], now: datetime) -> dict[str, Any]:
    """A test's grant, completed with what a grant must have; an old one is signed unless its evidence is given."""
    at = more.get("collected_at", written(now))
    stated = dict(more.get("evidence") or {})
    if not stated and datetime.fromisoformat(at) < now - timedelta(minutes=1):
        stated = dict(SIGNED)
    shown = shown_at(versions, at, more.get("version", stated.get("notice_version")))
    stated.setdefault("notice_version", more.get("version", shown["number"]))
    return {**more, "collected_at": at, "evidence": proof(shown["notice"], stated)}
