"""A receipt as a document that stands alone and prints whole: the record in it in words, and the signed receipt."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.core.article import Element
from app.core.durations import retention_in_words
from app.core.retention import Retention
from app.core.wording import ELEMENT_WORDS
from app.pages import dates
from app.pages.consents.receipt_record_words import RECORD
from app.pages.languages import Language, accepted
from app.pages.rendering import document, words


def receipt_document(receipt: Mapping[str, Any], jws: str, accept_language: str) -> str:
    """The receipt as HTML.

    Args:
        receipt: as JSON-LD (`app.operations.proof.receipts`).
        jws: the same, signed.
        accept_language: the header of whoever asks (RFC 9110, section 12.5.4).

    """
    language = accepted(accept_language)
    t = words(RECORD, language)
    (record,) = receipt["dpv:hasRecordOfActivity"]
    process = record["dpv:hasProcess"]
    context = {
        "title": f"{t['title']}{' :' if language is Language.FR else ':'} {process['dct:title']}",
        "made": dates.moment(_at(receipt["dct:created"]), language),
        "statuses": [_status(each, t, language) for each in record["dpv:hasConsentStatus"]],
        "rows": _rows(record, process, t, language),
        "jws": jws,
    }
    return document("receipt_record.html", language, RECORD, context)


def _status(status: Mapping[str, Any], t: Mapping[str, str], language: Language) -> str:
    kind = status["@type"][0]
    said = f"{t.get(kind, kind)} {t['on']} {dates.moment(_at(status['dpv:isIndicatedAtTime']), language)}"
    valid = status.get("dpv:hasDuration", {}).get("dct:valid")
    return said if valid is None else f"{said}, {t['until']} {dates.until(_at(valid), language)}"


def _rows(
    record: Mapping[str, Any], process: Mapping[str, Any], t: Mapping[str, str], language: Language
) -> list[tuple[str, list[str]]]:
    """What is told, as questions with their answers; those without one are left out."""
    rights = [f"{_right(each, t)} ({', '.join(each['dpv:isExercisedAt'])})" for each in record["dpv:hasRight"]]
    elements = [ELEMENT_WORDS[Element(each["dct:title"])][language] for each in process["dpv:hasPersonalData"]]
    told = [
        (t["processing"], [f"{process['dct:identifier']}, {t['version']} {process['dct:hasVersion']}"]),
        (t["controllers"], [_controller(each) for each in record["dpv:hasDataController"]]),
        (t["data"], elements),
        (t["recipients"], list(process["dpv:hasRecipient"])),
        (t["storage"], [_stored(each, language) for each in process["dpv:hasStorageCondition"]]),
        (t["withdraw"], list(record["dpv:hasConsentControl"]["dpv:isExercisedAt"])),
        (t["rights"], rights),
        (t["notice"], [record["dpv:hasNotice"].get("schema:sha256", "")]),
        (t["number"], [record["dct:identifier"]]),
    ]
    return [(question, [each for each in answers if each]) for question, answers in told if any(answers)]


def _right(right: Mapping[str, Any], t: Mapping[str, str]) -> str:
    code = right["@type"][1]
    return t.get(code, str(right["dct:title"]))


def _controller(controller: Mapping[str, Any]) -> str:
    parts = ("dpv:hasName", "schema:address", "dpv:hasCountry", "schema:contactPoint")
    return ", ".join(str(controller[part]) for part in parts if controller.get(part))


def _stored(condition: Mapping[str, Any], language: Language) -> str:
    duration = condition.get("dpv:hasDuration")
    if duration is None:
        return str(condition.get("dpv:hasLocation", ""))
    return retention_in_words(Retention.parse(duration), language) or str(duration)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)
