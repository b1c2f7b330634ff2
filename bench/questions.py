"""The questions that are asked, as HTTP bodies: for Sceau (and what answers in its place) and for Cerbos.

The subjects are those that `bench.loading` puts into the database: the same names, the same consents.
"""

import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final

PROCESSING: Final = "ads-mail"
SUBJECT_TYPE: Final = "user"
MARK: Final = "@@@@@@@@@@@@"
"""Where the load generator puts a number of its own, as twelve hexadecimal digits: one correspondence a request."""

COLLECTED: Final = datetime.now(UTC).replace(microsecond=0) - timedelta(days=30)
EXPIRES: Final = COLLECTED + timedelta(days=300)
NOTICE: Final = {"fr": "Nous lisons vos messages.", "en": "We read your messages."}
EVIDENCE: Final = {
    "method": "web_form",
    "positive_act": "button_clicked",
    "default_state": "unselected",
    "separate_from_terms": True,
    "conditional": False,
    "authentication": "signed_in",
    "language": "fr",
    "notice_version": 1,
    "presented_text_sha256": sha256(NOTICE["fr"].encode()).hexdigest(),
}
REGISTERED: Final = {
    "id": PROCESSING,
    "controller": "Exemple SAS",
    "provider_kind": "operator",
    "service": "mail",
    "purpose": "advertising",
    "elements": ["content", "subject_line"],
    "automated": True,
    "party_mode": "user_only",
    "started_on": "2020-01-01",
    "consent_validity": "P1Y",
    "name": {"fr": "Publicité", "en": "Advertising"},
    "notice": NOTICE,
    "data_recipients": [],
    "retention": "P30D",
}


def name_of(number: int) -> str:
    """The id of a subject."""
    return f"user{number}@example.fr"


def single(number: int) -> str:
    """One question, as in section 3 of the design: with the parties, about a correspondence of its own."""
    return _compact(
        {
            "subject": {"type": SUBJECT_TYPE, "id": name_of(number)},
            "action": {"name": PROCESSING, "properties": {"elements": ["content"], "automated": True}},
            "resource": _correspondence(number),
            "context": {},
        }
    )


def batch(first: int, size: int) -> str:
    """Questions about messages to so many subjects, one for each."""
    numbers = range(first, first + size)
    return _compact(
        {
            "action": {"name": PROCESSING, "properties": {"elements": ["content"], "automated": True}},
            "context": {},
            "evaluations": [
                {"subject": {"type": SUBJECT_TYPE, "id": name_of(number)}, "resource": _correspondence(number)}
                for number in numbers
            ],
        }
    )


def short_batch(first: int, size: int) -> str:
    """The shortest questions about so many subjects, to fill the memory with; but for the parties as `single` asks."""
    return _compact(
        {
            "action": {"name": PROCESSING, "properties": {"elements": ["content"]}},
            "resource": {"type": "correspondence", "id": "handle", "properties": {"territory": "FR"}},
            "evaluations": [
                {"subject": {"type": SUBJECT_TYPE, "id": name_of(number)}} for number in range(first, first + size)
            ],
        }
    )


def grant(number: int) -> str:
    """A consent of now, as a form would send it."""
    subject = {"type": SUBJECT_TYPE, "id": name_of(number)}
    said = {"decision": "granted", "collected_at": datetime.now(UTC).isoformat(), "evidence": EVIDENCE}
    return _compact({"subject": subject, "processing": PROCESSING, **said})


def withdrawal(number: int) -> str:
    """A withdrawal."""
    return _compact({"subject": {"type": SUBJECT_TYPE, "id": name_of(number)}, "processing": PROCESSING})


def cerbos(first: int, size: int) -> str:
    """The same questions for Cerbos, which keeps no consents: they come with each."""
    resources = [
        {
            "actions": [PROCESSING],
            "resource": {"kind": "correspondence", "id": f"{MARK}-{number}", "attr": _attributes(number)},
        }
        for number in range(first, first + size)
    ]
    principal = {"id": "mail-server", "roles": ["caller"], "attr": {}}
    return _compact({"requestId": MARK, "principal": principal, "resources": resources})


def _attributes(number: int) -> dict[str, Any]:
    consent = {
        "kind": "granted",
        "processing": PROCESSING,
        "version": 1,
        "elements": ["content", "subject_line"],
        "collected_at": COLLECTED.isoformat(),
        "expires_at": EXPIRES.isoformat(),
    }
    properties: dict[str, Any] = _correspondence(number)["properties"]
    asked = {"subject": name_of(number), "elements": ["content"], "automated": True}
    return {**properties, **asked, "consents": [consent]}


def _correspondence(number: int) -> dict[str, Any]:
    return {
        "type": "correspondence",
        "id": f"{MARK}-{number}",
        "properties": {
            "channel": "online",
            "private": True,
            "territory": "FR",
            "participants": [
                {"id": name_of(number + 7), "local": True},
                {"id": f"eve{number}@else.example", "local": False},
            ],
        },
    }


def _compact(value: Any) -> str:  # noqa: ANN401 - any JSON value
    return json.dumps(value, separators=(",", ":"))
