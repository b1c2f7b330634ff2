"""A decision as AuthZEN JSON: the one place that words an answer, for single calls, batches and explanations."""

from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from app.core.decision import Decision, Reason
from app.core.wording import REASON_FOR_USER

_WORDS: Final = {reason: dict(words) for reason, words in REASON_FOR_USER.items()}
_MARK: Final = UUID(int=0)
_MARK_TEXT: Final = str(_MARK).encode()
encode: Final = msgspec.json.Encoder().encode


def instant(at: datetime) -> str:
    """RFC 3339, UTC, with fractions only where there are some."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def answer(decision: Decision, identifier: UUID) -> dict[str, Any]:
    """The JSON object of one decision."""
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
    return {"decision": decision.permitted, "context": context}


def answer_parts(decision: Decision) -> tuple[bytes, bytes]:
    """The JSON of one decision as bytes before and after its id."""
    before, after = encode(answer(decision, _MARK)).split(_MARK_TEXT, 1)
    return before, after


def item_error(status: int, message: str, reason: Reason | None = None) -> dict[str, Any]:
    """The deny that stands in the place of a batch item that could not be judged (AuthZEN 7.2.1)."""
    context: dict[str, Any] = {"error": {"status": status, "message": message}}
    if reason is not None:
        context = {"reason": reason.value, "reason_user": _WORDS[reason], **context}
    return {"decision": False, "context": context}
