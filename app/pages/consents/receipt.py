"""The receipt that a person keeps: a document of one printed page, or JSON; the signed receipt is a separate file."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import unquote

from app.core.article import CONSENT_PURPOSES, Element
from app.core.consent_link import Situation
from app.core.period import Retention
from app.core.wording import ELEMENT_WORDS, Mark, Passage, Voice, reached, retention_in_words
from app.ledger.projection import LedgerEntry
from app.operations.consents.open_consent_link import OpenedLink, ShownProcessing
from app.pages import dates
from app.pages.consents.view import CONSENT, CONSENT_FOR, Times, what_is_analysed
from app.pages.rendering import document
from app.pages.words import accepted
from app.register.records import PURPOSES
from app.words import Catalogue, Language, listed

RECORD: Final = Catalogue("receipt")
_COLON: Final = {Language.FR: " :", Language.EN: ":"}


def receipt_document(receipt: Mapping[str, Any], jws: str, accept_language: str) -> str:
    """The receipt as HTML.

    Args:
        receipt: as JSON-LD (`app.operations.proof.receipts`).
        jws: the same, signed: a link in the document saves it as a file.
        accept_language: the Accept-Language header of the request (RFC 9110, section 12.5.4).

    """
    language = accepted(accept_language)
    t = RECORD.in_language(language)
    (record,) = receipt["dpv:hasRecordOfActivity"]
    process = record.get("dpv:hasProcess")
    context = {
        "title": t["title"] if process is None else f"{t['title']}{_COLON[language]} {process['dct:title']}",
        "made": dates.moment(_at(receipt["dct:created"]), language),
        "statuses": [_status(each, t, language) for each in record["dpv:hasConsentStatus"]],
        "rows": _rows(record, process, t, language),
        "jws": jws,
        "jws_file": f"{CONSENT.in_language(language)['receipt_file']}-{record['dct:identifier']}.jwt",
    }
    return document("receipt_record.html", language, RECORD, context)


def _status(status: Mapping[str, Any], t: Mapping[str, str], language: Language) -> str:
    kind = status["@type"][0]
    sentence = f"{t.get(kind, kind)} {t['on']} {dates.moment(_at(status['dpv:isIndicatedAtTime']), language)}"
    valid = status.get("dpv:hasDuration", {}).get("dct:valid")
    return sentence if valid is None else f"{sentence}, {t['until']} {dates.until(_at(valid), language)}"


def _rows(
    record: Mapping[str, Any], process: Mapping[str, Any] | None, t: Mapping[str, str], language: Language
) -> list[tuple[str, list[Passage]]]:
    """The contents as questions with answers; a question without an answer is left out. Addresses are links."""
    parts = ("dpv:hasName", "schema:address", "dpv:hasCountry", "schema:contactPoint")
    controllers = [
        ", ".join(str(controller[part]).removeprefix("loc:") for part in parts if controller.get(part))
        for controller in record["dpv:hasDataController"]
    ]
    rows = [
        *(_of_process(process, controllers, t, language) if process is not None else [(t["controllers"], controllers)]),
        (t["withdraw"], _places(record["dpv:hasConsentControl"])),
        (t["rights"], _rights(record, t, language)),
        (t["notice"], [record.get("dpv:hasNotice", {}).get("schema:sha256", "")]),
        (t["recorded"], [dates.moment(_at(record["dct:created"]), language)]),
        (t["number"], [record["dct:identifier"]]),
    ]
    leading = {t["withdraw"], t["rights"]}

    def passage(question: str, text: str) -> Passage:
        return Passage(text, language.value, reached(text) if question in leading else ())

    return [(label, [passage(label, each) for each in answers if each]) for label, answers in rows if any(answers)]


def _of_process(
    process: Mapping[str, Any], controllers: list[str], t: Mapping[str, str], language: Language
) -> list[tuple[str, list[str]]]:
    number = process.get("dct:hasVersion")
    version = "" if number is None else f", {t['version']} {number}"
    return [
        (t["processing"], [f"{process['dct:identifier']}{version}"]),
        (t["purpose"], [_purpose(process["dpv:hasPurpose"], language)]),
        (t["controllers"], controllers),
        (t["data"], [ELEMENT_WORDS[Element(each["dct:title"])][language] for each in process["dpv:hasPersonalData"]]),
        (t["recipients"], list(process["dpv:hasRecipient"])),
        (t["storage"], [_stored(each, language) for each in process["dpv:hasStorageCondition"]]),
    ]


def _purpose(term: str, language: Language) -> str:
    """A term of the vocabulary in words; each purpose of IV has one term."""
    phrase = next((Voice(language.value).purpose(each) for each in CONSENT_PURPOSES if PURPOSES[each] == term), "")
    return f"{phrase[:1].upper()}{phrase[1:]}"


def _rights(record: Mapping[str, Any], t: Mapping[str, str], language: Language) -> list[str]:
    """The rights; those that are exercised at the same places share a line."""
    at: dict[str, list[str]] = {}
    for term in record["dpv:hasRight"]:
        right = t.get(term["@type"][1], str(term["dct:title"]))
        at.setdefault(" · ".join(_places(term)), []).append(right)
    lines = [f"{listed(rights, language.value)}{_COLON[language]} {places}" for places, rights in at.items()]
    return [f"{each[:1].upper()}{each[1:]}" for each in lines]


def _places(right: Mapping[str, Any]) -> list[str]:
    """The addresses at which a right is exercised, in readable form."""
    places = []
    for place in right["dpv:isExercisedAt"]:
        if isinstance(place, dict):
            places.append(place["dct:description"])
        else:
            is_mail = place.startswith("mailto:")
            places.append(unquote(place.removeprefix("mailto:")) if is_mail else place.removeprefix("tel:"))
    return places


def _stored(condition: Mapping[str, Any], language: Language) -> str:
    duration = condition.get("dpv:hasDuration")
    if duration is None:
        return str(condition.get("dpv:hasLocation", ""))
    return retention_in_words(Retention.parse(duration), language) or str(duration)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def receipt_page(opened: OpenedLink, language: Language, service: str) -> dict[str, Any]:
    """The context of `receipt.html`; `service`: the public address, where a page says whom to write to."""
    t = CONSENT_FOR[opened.audience].in_language(language)
    times, decided = Times(language), [(item, item.decision) for item in opened.items if item.decision is not None]
    # A receipt does not contain the link: it is shown to others, and anyone who has the link can answer.
    address = f"{service}/"
    how = Passage(t["receipt_how"].format(address=address), language.value, (Mark(address, address),))
    return {
        "title": t["receipt_title"],
        "account_of": t["account"],
        "account": opened.account,
        "made": times.moment(opened.now),
        "answers": [_answer(item, decision, times, t, how) for item, decision in decided],
    }


def receipt_json(opened: OpenedLink) -> dict[str, Any]:
    """The receipt as JSON: instants in UTC, words of the API."""
    answers = [_as_json(item, item.decision) for item in opened.items if item.decision is not None]
    without_nulls = [{name: value for name, value in each.items() if value is not None} for each in answers]
    return {"account": opened.account, "made_at": opened.now.isoformat(), "answers": without_nulls}


def _answer(
    item: ShownProcessing, decision: LedgerEntry, times: Times, t: Mapping[str, str], how: Passage
) -> dict[str, Any]:
    """One answer on the receipt: `said` in words, and the `lines` of the text that was shown, if it is kept.

    `what`: purpose, what is analysed and who receives it, where the version answered is the one in force. `change`: how
    to withdraw or to answer otherwise.
    """
    holds = item.situation is Situation.HOLDS and item.ends_at is not None
    contact = item.facts.contact
    written = Passage(contact, times.language.value, reached(contact) or (Mark(contact),)) if contact else None
    return {
        **_as_json(item, decision),
        "name": item.text(times.language.value).name.text,
        "said": f"{t[_WORDS[decision.event.kind.value]]} {t['on']} {times.moment(decision.event.collected_at)}.",
        "until": f"{t['holds_until']} {times.until(item.ends_at)}." if holds and item.ends_at is not None else None,
        "what": what_is_analysed(item, times.language.value) if decision.event.version in {None, item.version} else (),
        "change": (how, *([written] if written is not None else [])),
        "lines": item.presented.split("\n") if item.presented is not None else (),
    }


def _as_json(item: ShownProcessing, decision: LedgerEntry) -> dict[str, Any]:
    evidence = decision.evidence or {}
    ends_at = item.ends_at if item.situation is Situation.HOLDS else None
    return {
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


_WORDS = {"granted": "holds", "refused": "refused", "withdrawn": "withdrawn"}
