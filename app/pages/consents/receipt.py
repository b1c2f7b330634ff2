"""What a person keeps of their answers: as a document that stands alone, and as JSON. Nothing in it is signed."""

from dataclasses import dataclass
from typing import Any

from app.core.page.link import Situation
from app.ledger.entries import LedgerEntry
from app.operations.consents.open_consent_link import OpenedLink
from app.operations.consents.shown_processing import ShownProcessing
from app.pages.consents.times import Times
from app.pages.consents.words_by_reader import words_for
from app.pages.languages import Language


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """One answer as the receipt tells it: `said` in words, `lines` of the text that was shown, where it is kept."""

    name: str
    processing: str
    controllers: tuple[str, ...]
    said: str
    until: str | None
    event: str
    version: int | None
    text_sha256: str | None
    page_sha256: str | None
    language: str | None
    lines: tuple[str, ...]


def receipt_page(opened: OpenedLink, language: Language) -> dict[str, Any]:
    """The context of `receipt.html`."""
    t = words_for(opened.audience, language)
    times = Times(language)
    answers = [_answer(item, item.decision, times, t) for item in opened.items if item.decision is not None]
    return {
        "title": t["receipt_title"],
        "account_of": t["account"],
        "account": opened.account,
        "made": times.moment(opened.now),
        "answers": answers,
    }


def receipt_json(opened: OpenedLink) -> dict[str, Any]:
    """The same as JSON: instants in UTC, words of the API."""
    return {
        "account": opened.account,
        "made_at": opened.now.isoformat(),
        "answers": [_as_json(item, item.decision) for item in opened.items if item.decision is not None],
    }


def _answer(item: ShownProcessing, decision: LedgerEntry, times: Times, t: dict[str, str]) -> KeptAnswer:
    evidence = decision.evidence or {}
    holds = item.situation is Situation.HOLDS and item.ends_at is not None
    return KeptAnswer(
        name=item.text(times.language.value).name.text,
        processing=item.id,
        controllers=tuple(who.name for who in item.facts.controllers),
        said=f"{t[_WORDS[decision.event.kind.value]]} {t['on']} {times.moment(decision.event.collected_at)}.",
        until=f"{t['holds_until']} {times.until(item.ends_at)}." if holds and item.ends_at is not None else None,
        event=str(decision.event.id),
        version=decision.event.version,
        text_sha256=evidence.get("presented_text_sha256"),
        page_sha256=evidence.get("presented_page_sha256"),
        language=evidence.get("language"),
        lines=tuple(item.presented.split("\n")) if item.presented is not None else (),
    )


def _as_json(item: ShownProcessing, decision: LedgerEntry) -> dict[str, Any]:
    evidence = decision.evidence or {}
    ends_at = item.ends_at if item.situation is Situation.HOLDS else None
    said = {
        "event": str(decision.event.id),
        "processing": item.id,
        "name": dict(item.facts.name),
        "controllers": [who.name for who in item.facts.controllers],
        "decision": decision.event.kind.value,
        "decided_at": decision.event.collected_at.isoformat(),
        "version": decision.event.version,
        "in_force_until": ends_at.isoformat() if ends_at is not None else None,
        "renewal_declined": True if item.face.declined else None,
        "language": evidence.get("language"),
        "presented_text": item.presented,
        "presented_text_sha256": evidence.get("presented_text_sha256"),
        "presented_page_sha256": evidence.get("presented_page_sha256"),
    }
    return {name: value for name, value in said.items() if value is not None}


_WORDS = {"granted": "holds", "refused": "refused", "withdrawn": "withdrawn"}
