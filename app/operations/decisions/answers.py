"""A decision as AuthZEN JSON: the one place that words an answer, for single calls, batches and explanations."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from app.core.decision import Decision, DecisionRequest, Reason
from app.core.processing import Processing
from app.core.version import PartyMode
from app.core.wording import REASON_FOR_USER

_WORDS: Final = {reason: dict(words) for reason, words in REASON_FOR_USER.items()}
_PARTICIPANTS_UNSAID: Final = {
    "en": "The question does not say who takes part: name the other parties in resource.properties.participants, and "
    "send an empty list when there are none."
}
_MARK: Final = UUID(int=0)
_MARK_TEXT: Final = str(_MARK).encode()
encode: Final = msgspec.json.Encoder().encode


def instant(at: datetime) -> str:
    """RFC 3339, UTC, with fractions only where there are some."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def left_unsaid(
    request: DecisionRequest, decision: Decision, processing: Processing | None, at: datetime
) -> Mapping[str, str] | None:
    """What to tell the caller's operator when a question was denied for want of what it could have said.

    None where the participants were said, or where nobody asks for them: the mailbox is a shared one then.
    """
    if decision.reason is not Reason.OTHER_PARTY or request.participants is not None or processing is None:
        return None
    version = processing.version_at(at)
    return None if version is None or version.party_mode is PartyMode.USER_ONLY else _PARTICIPANTS_UNSAID


def answer(decision: Decision, identifier: UUID, unsaid: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The JSON object of one decision; `unsaid` as `left_unsaid` gives it."""
    context: dict[str, Any] = {"id": str(identifier), "reason": decision.reason.value}
    if decision.article is not None:
        context["article"] = decision.article.value
    if decision.law_version is not None:
        context["law_version"] = decision.law_version
    if decision.consent is not None:
        context["consent"] = str(decision.consent)
    if decision.expires_at is not None:
        context["expires_at"] = instant(decision.expires_at)
    if decision.valid_until is not None:
        context["valid_until"] = instant(decision.valid_until)
    context["reason_user"] = _WORDS[decision.reason]
    if unsaid is not None:
        context["reason_admin"] = unsaid
    return {"decision": decision.permitted, "context": context}


def answer_parts(decision: Decision, unsaid: Mapping[str, str] | None = None) -> tuple[bytes, bytes]:
    """The JSON of one decision as bytes before and after its id."""
    before, after = encode(answer(decision, _MARK, unsaid)).split(_MARK_TEXT, 1)
    return before, after


def item_error(status: int, message: str, reason: Reason | None = None) -> dict[str, Any]:
    """The deny that stands in the place of a batch item that could not be judged (AuthZEN 7.2.1)."""
    context: dict[str, Any] = {"error": {"status": status, "message": message}}
    if reason is not None:
        context = {"reason": reason.value, "reason_user": _WORDS[reason], **context}
    return {"decision": False, "context": context}
