"""Requests as bytes, and answers read strictly (AuthZEN Authorization API 1.0): no input, no output, no clock.

A reply that is not exactly an answer to the question is `malformed`, never a permit.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from unicodedata import category

from sceau_client.decisions import Decision, unknown
from sceau_client.questions import Question, Subject
from sceau_client.words import Cause, Channel, Outcome

EVALUATION: Final = "/access/v1/evaluation"
EVALUATIONS: Final = "/access/v1/evaluations"
CORRESPONDENCE: Final = "correspondence"
PROCESSINGS: Final = "/v1/processings"
MOST_ITEMS: Final = 1_000
"""Questions in one request: what Sceau takes."""
MOST_PARTICIPANTS: Final = 10_000
"""Other parties in all questions of one request: what Sceau takes."""
MOST_BYTES: Final = 768 * 1024
"""Bytes of one request's body, unless a single question is longer."""
_ANSWER_BYTES: Final = 64 * 1024
_ITEM_BYTES: Final = 4 * 1024
REGISTER_BYTES: Final = 32 * 1024 * 1024

_CAUSES: Final = {400: Cause.REFUSED, 401: Cause.REFUSED, 403: Cause.REFUSED, 413: Cause.REFUSED, 429: Cause.REFUSED}
_OK: Final = 200
_SERVER_ERRORS: Final = 500


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply: status, content type, seconds until the next request is allowed, and the body."""

    status: int
    content_type: str
    retry_after: float | None
    request_id: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class NoReply:
    """Says that no usable reply came, and why."""

    cause: Cause
    request_id: str
    status: int | None = None
    retry_after: float | None = None


class NotUnderstoodError(Exception):
    """An answer does not have the right form."""


# --- requests --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Item:
    """One question as JSON, and how many other parties it names."""

    body: bytes = field(repr=False)
    participants: int = 0


def item(question: Question) -> Item | None:
    """One question as JSON; None if an id has characters for which Sceau would refuse the whole request."""
    asked, about = question.subject, question.correspondence
    others = _others(question)
    if not all(map(_sendable, (asked, *others))):
        return None
    action: dict[str, Any] = {"name": question.processing}
    how: dict[str, Any] = {}
    if question.elements:
        how["elements"] = sorted(question.elements)
    if not question.automated:
        how["automated"] = False
    if how:
        action["properties"] = how
    properties: dict[str, Any] = {"territory": about.territory}
    if about.channel is not Channel.ONLINE:
        properties["channel"] = about.channel
    if not about.private:
        properties["private"] = False
    if about.parties is not None:
        outside = [f"outsider-{number}" for number in range(1, about.parties.outsiders + 1)]
        named = [{"id": each.id, "local": True} for each in others]
        properties["participants"] = named + [{"id": each, "local": False} for each in outside]
    members: dict[str, Any] = {
        "subject": {"type": asked.type, "id": asked.id},
        "action": action,
        "resource": {"type": CORRESPONDENCE, "id": about.handle(asked), "properties": properties},
    }
    if question.token:
        members["context"] = {"decision_token": True}
    body = json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode()
    return Item(body, len(properties.get("participants", ())))


def _sendable(subject: Subject) -> bool:
    """Whether an id is text without control characters and lone surrogates."""
    text = subject.id
    return text.isprintable() or not any(category(character) in {"Cc", "Cs"} for character in text)


def _others(question: Question) -> list[Subject]:
    """The users who take part beside the one who is asked about; none where the parties are not said."""
    parties = question.correspondence.parties
    return [each for each in parties.local if each != question.subject] if parties is not None else []


def batch(items: Sequence[Item]) -> bytes:
    """Several questions as one body."""
    return b'{"evaluations":[' + b",".join(each.body for each in items) + b"]}"


def largest_answer(questions: int) -> int:
    """The most bytes that an answer to so many questions may have."""
    return _ANSWER_BYTES + _ITEM_BYTES * questions


# --- answers ---------------------------------------------------------------------------------------------------------


def read_answers(reply: Reply | NoReply, path: str, questions: int) -> list[Decision]:
    """One answer for each question on this path; all are unknown if the reply does not answer them."""
    cause = reply.cause if isinstance(reply, NoReply) else cause_of(reply.status)
    if isinstance(reply, Reply) and cause is None:
        try:
            return _answers(reply, path, questions)
        except NotUnderstoodError:
            cause = None
    nothing = unknown(
        cause or Cause.MALFORMED, status=reply.status, retry_after=reply.retry_after, request_id=reply.request_id
    )
    return [nothing] * questions


def decision_of(value: Any, status: int) -> Decision:  # noqa: ANN401 - any JSON value
    """Read an answer from a JSON value and an HTTP status; the result is unknown if the value is no answer."""
    cause = cause_of(status)
    if cause is None:
        with suppress(NotUnderstoodError):
            return _decision(value, Reply(status, "application/json", None, "", b""))
    return unknown(cause or Cause.MALFORMED, status=status)


def _answers(reply: Reply, path: str, questions: int) -> list[Decision]:
    value = parse(reply)
    items = [value] if path == EVALUATION else value.get("evaluations")
    if type(items) is not list or len(items) != questions:
        raise NotUnderstoodError
    return [_decision(each, reply) for each in items]


def cause_of(status: int) -> Cause | None:
    """Why a status is no answer; None for 200, the only status of an answer."""
    if status == _OK:
        return None
    return Cause.UNAVAILABLE if status >= _SERVER_ERRORS else _CAUSES.get(status, Cause.MALFORMED)


def parse(reply: Reply) -> dict[str, Any]:
    """The JSON object of a reply.

    Raises:
        NotUnderstoodError: it is no JSON object, or a member stands in it twice.

    """
    if reply.content_type.partition(";")[0].strip().lower() != "application/json":
        raise NotUnderstoodError
    try:
        value = json.loads(reply.body, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise NotUnderstoodError from None
    if type(value) is not dict:
        raise NotUnderstoodError
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice")
    return members


def _decision(value: Any, reply: Reply) -> Decision:  # noqa: ANN401 - any JSON value
    if type(value) is not dict or type(value.get("decision")) is not bool:
        raise NotUnderstoodError
    context = value.get("context", {})
    if type(context) is not dict:
        raise NotUnderstoodError
    if "error" in context:
        return _item_error(permitted=value["decision"], error=context["error"], reply=reply)
    return Decision(
        outcome=Outcome.PERMIT if value["decision"] else Outcome.DENY,
        reason=_text(context, "reason"),
        article=_text(context, "article"),
        law_version=_text(context, "law_version"),
        valid_until=_instant(context, "valid_until"),
        expires_at=_instant(context, "expires_at"),
        reason_user=_words(context),
        id=_text(context, "id"),
        consent=_text(context, "consent"),
        token=_text(context, "decision_token") if value["decision"] else None,
        status=reply.status,
        request_id=reply.request_id,
    )


def _item_error(*, permitted: bool, error: Any, reply: Reply) -> Decision:  # noqa: ANN401 - any JSON value
    """An item that could not be judged (AuthZEN 7.2.1): not a deny, and certainly no permit."""
    status = error.get("status") if type(error) is dict else None
    if permitted or type(status) is not int:
        raise NotUnderstoodError
    return unknown(cause_of(status) or Cause.MALFORMED, status=status, request_id=reply.request_id)


def _text(context: Mapping[str, Any], name: str) -> str | None:
    value = context.get(name)
    if value is not None and type(value) is not str:
        raise NotUnderstoodError
    return value


def _instant(context: Mapping[str, Any], name: str) -> datetime | None:
    text = _text(context, name)
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise NotUnderstoodError from None
    if at.tzinfo is None:
        raise NotUnderstoodError
    return at


def _words(context: Mapping[str, Any]) -> dict[str, str]:
    words = context.get("reason_user", {})
    if type(words) is not dict or not all(type(word) is str for word in words.values()):
        raise NotUnderstoodError
    return words
