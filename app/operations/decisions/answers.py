"""A decision as AuthZEN JSON: the one place that words an answer, for single calls, batches and explanations."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from app.core.decision import Decision, DecisionRequest, Reason
from app.core.processing import Processing, Status
from app.core.version import PartyMode
from app.core.wording import reason_for_user

_WORDS: Final = {reason: dict(reason_for_user(reason)) for reason in Reason}
_NOT_BEGUN: Final = dict(reason_for_user(Reason.PROCESSING_SUSPENDED, Status.PROPOSED))
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


def words_for_user(decision: Decision, processing: Processing | None, at: datetime) -> Mapping[str, str]:
    """What the user is told of a decision about a processing, as it stands at the instant judged."""
    if decision.reason is Reason.PROCESSING_SUSPENDED and processing is not None:
        return _NOT_BEGUN if processing.status_at(at) is Status.PROPOSED else _WORDS[decision.reason]
    return _WORDS[decision.reason]


def answer(
    decision: Decision,
    identifier: UUID,
    unsaid: Mapping[str, str] | None = None,
    words: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The JSON object of one decision; `unsaid` as `left_unsaid`, `words` as `words_for_user` gives it."""
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
    context["reason_user"] = words or _WORDS[decision.reason]
    if unsaid is not None:
        context["reason_admin"] = unsaid
    return {"decision": decision.permitted, "context": context}


def answer_parts(
    decision: Decision, unsaid: Mapping[str, str] | None = None, words: Mapping[str, str] | None = None
) -> tuple[bytes, bytes]:
    """The JSON of one decision as bytes before and after its id."""
    before, after = encode(answer(decision, _MARK, unsaid, words)).split(_MARK_TEXT, 1)
    return before, after


def item_error(status: int, message: str, reason: Reason | None = None) -> dict[str, Any]:
    """The deny that stands in the place of a batch item that could not be judged (AuthZEN 7.2.1)."""
    context: dict[str, Any] = {"error": {"status": status, "message": message}}
    if reason is not None:
        context = {"reason": reason.value, "reason_user": _WORDS[reason], **context}
    return {"decision": False, "context": context}
