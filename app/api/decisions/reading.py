"""Read AuthZEN requests: JSON by `jiter`, members by the declared types of `app.api.decisions.reading`.

Each request is read by itself, from its own bytes: nothing of one is kept for the next. Whatever is wrong with a
request is a `MalformedError`, which quotes nothing of it.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar, get_args

import msgspec
from msgspec import UNSET

from app.api.decisions.models import (
    MOST_ITEMS,
    MOST_PARTICIPANTS,
    Action,
    Context,
    EvaluationRequest,
    EvaluationsRequest,
    Item,
    ParticipantBody,
    Resource,
    Semantic,
    Subject,
    Wire,
)
from app.api.http.problems import FieldError, MalformedError, TooLargeError
from app.api.http.wire import BadJsonError, parse
from app.core.article import Channel, Element
from app.core.decision import Participant as Party
from app.core.errors import InvalidSubjectError
from app.operations.decisions.judging import Circumstances, Question

WRONG: Final = "A member is missing or not as it should be."
_MISSING: Final = re.compile(r"Object missing required field `(\w+)`")
_NAMED: Final = re.compile(r"`(\w+)` (does not .+)")
"""What the types of `app.api.decisions.models` say themselves."""
_WORDS: Final = {
    "channel": tuple(Channel),
    "elements": tuple(Element),
    "evaluations_semantic": get_args(Semantic),
}


def field_at_fault(error: msgspec.ValidationError) -> FieldError:
    """The member that failed validation, without its value."""
    message, separator, path = str(error).rpartition(" - at `$")  # the last: what is before may quote what was sent
    message, path = (message, path) if separator else (path, "")
    field = re.sub(r"\[(\d+|\.\.\.)\]", r".\1", path.rstrip("`")).lstrip(".")
    missing, named = _MISSING.fullmatch(message), _NAMED.fullmatch(message)
    if missing is not None:
        field, message = f"{field}.{missing[1]}", "is missing"
    elif named is not None:
        field, message = f"{field}.{named[1]}", named[2]
    elif message.startswith("Invalid enum value"):  # and then it quotes what was sent
        words = next((words for member, words in _WORDS.items() if f".{member}" in f".{field}"), ())
        message = f"must be one of {', '.join(words)}"
    return FieldError(field=field.lstrip(".") or "body", message=message)


def refuse_faults(kind: str, identifier: str, name: str, resource: Resource) -> None:
    """Refuse control characters in ids and names, and a territory that is no ISO 3166-1 code.

    Args:
        kind: the subject's type.
        identifier: the subject's id; "" where none is named.
        name: the processing's; "" where none is named.
        resource: the correspondence.

    Raises:
        MalformedError: there is one; the error names the member.

    """
    properties, listed = resource.properties, resource.properties.participants or ()
    # What can be printed has no control character; of what cannot, some is fine (a no-break space, a joiner).
    text = kind + identifier + name + resource.type + resource.id + "".join([each.id for each in listed])
    code = properties.territory
    if not (code.isascii() and code.isalpha() and code.isupper()):
        raise _refused("resource.properties.territory", "is not a code of two capital letters (ISO 3166-1)")
    if text.isprintable():
        return
    texts = {
        "subject.type": kind,
        "subject.id": identifier,
        "action.name": name,
        "resource.type": resource.type,
        "resource.id": resource.id,
        **{f"resource.properties.participants.{place}.id": each.id for place, each in enumerate(listed)},
    }
    for field, value in texts.items():
        if any(unicodedata.category(character) in {"Cc", "Cs"} for character in value):
            raise _refused(field, "has control characters")


def refused_domain(field: str) -> MalformedError:
    """The error for an address whose domain IDNA does not allow."""
    return _refused(field, "has a domain that IDNA does not allow (RFC 5890)")


def _refused(field: str, message: str) -> MalformedError:
    return MalformedError(WRONG, [FieldError(field=field, message=message)])


Refs = Callable[[str, str], bytes]
"""Makes a subject's pseudonym from its type and id."""

_Wire = TypeVar("_Wire", bound=Wire)
_NO_CONTEXT: Final = Context()
_NOBODY: Final = bytes(32)
"""The locator of nobody."""


@dataclass(frozen=True, slots=True)
class BadItem:
    """What is wrong with an item of a batch; it takes the place of the question."""

    message: str


@dataclass(frozen=True, slots=True)
class Batch:
    """The questions of a batch in their order, and which answer is the last."""

    items: Sequence[Question | BadItem]
    semantic: Semantic


class _Defaults(NamedTuple):
    """The members of a batch that its items may leave out: each as its declared type, or what is wrong with it."""

    subject: Subject | str
    action: Action | str
    resource: Resource | str
    context: Context | str


def read_object(body: bytes) -> dict[str, Any]:
    """Read a body as a JSON object.

    Raises:
        MalformedError: the body is no JSON object.

    """
    try:
        value = parse(body)
    except BadJsonError as error:
        raise MalformedError(str(error)) from None
    if type(value) is not dict:
        raise MalformedError("The request is a JSON object.")
    return value


def read_members(model: type[_Wire], value: Mapping[str, Any]) -> _Wire:
    """Convert an object to its declared type.

    Raises:
        MalformedError: a member is missing or wrong; the error names the first one found.

    """
    try:
        return msgspec.convert(value, model)
    except msgspec.ValidationError as error:
        raise MalformedError(WRONG, [field_at_fault(error)]) from None


def read_question(body: bytes, refs: Refs) -> Question:
    """The one question of a request (AuthZEN 6.1).

    Raises:
        MalformedError: it is not as it should be.

    """
    return question_of(read_members(EvaluationRequest, read_object(body)), refs)


def read_batch(body: bytes, refs: Refs) -> Batch | Question:
    """The questions of a batch (AuthZEN 7.1), or its single question if it has no items.

    Raises:
        MalformedError: the batch itself is not as it should be.
        TooLargeError: it has too many items, or its questions name too many participants.

    """
    value = read_object(body)
    batch = read_members(EvaluationsRequest, value)
    items = batch.evaluations
    if not items:
        return question_of(read_members(EvaluationRequest, value), refs)
    if len(items) > MOST_ITEMS:
        raise TooLargeError(f"A batch holds at most {MOST_ITEMS} items.")
    if _participants_named(value, items) > MOST_PARTICIPANTS:
        raise TooLargeError(f"A batch names at most {MOST_PARTICIPANTS} participants in all.")
    defaults = _Defaults(
        _default("subject", Subject, value),
        _default("action", Action, value),
        _default("resource", Resource, value),
        _default("context", Context, value) if "context" in value else _NO_CONTEXT,
    )
    return Batch(_with_defaults(_items(items), defaults, refs), batch.options.evaluations_semantic)


def question_of(request: EvaluationRequest, refs: Refs) -> Question:
    """The question of a request, with pseudonyms in the place of ids."""
    return _question(request.subject, request.action, request.resource, request.context, refs)


def circumstances(name: str, action: Action | None, resource: Resource) -> Circumstances:
    """Everything in a question except its subject; without an action it touches all elements of the processing."""
    how, what = action.properties if action is not None else None, resource.properties
    return Circumstances(
        name,
        how.elements if how is not None else None,
        how.automated if how is not None else True,
        what.channel,
        what.private,
        what.territory,
    )


def parties(kind: str, listed: Sequence[ParticipantBody], refs: Refs) -> tuple[Party, ...]:
    """The other parties by their locators; they have the subject's type.

    An address whose domain IDNA does not allow gets a locator that no subject has, so it leads to no consent.
    """
    return tuple([Party(_locator_or_none(kind, each.id, refs) or _NOBODY, each.local) for each in listed])


def _locator_or_none(kind: str, identifier: str, refs: Refs) -> bytes | None:
    try:
        return refs(kind, identifier)
    except InvalidSubjectError:
        return None


def _question(subject: Subject, action: Action, resource: Resource, context: Context, refs: Refs) -> Question:
    refuse_faults(subject.type, subject.id, action.name, resource)
    listed = resource.properties.participants
    locator = _locator_or_none(subject.type, subject.id, refs)
    if locator is None:
        raise refused_domain("subject.id")
    return Question(
        circumstances(action.name, action, resource),
        locator,
        None if listed is None else partial(parties, subject.type, listed, refs),
        (resource.type, resource.id),
        (subject.type, subject.id),
        context.decision_token,
    )


def _default(name: str, model: type[_Wire], value: Mapping[str, Any]) -> _Wire | str:
    """A default of a batch, or a text saying what is wrong with it for each item that takes the default."""
    if name not in value:
        return f"{name}: is missing"
    try:
        return msgspec.convert(value[name], model)
    except msgspec.ValidationError as error:
        return f"{name}: {field_at_fault(error).message}"


def _items(listed: Sequence[Any]) -> Sequence[Item | BadItem]:
    """The items as their declared type: converted in one step if all are valid, else one by one."""
    try:
        return msgspec.convert(listed, list[Item])
    except msgspec.ValidationError:
        return [_item(each) for each in listed]


def _item(value: Any) -> Item | BadItem:  # noqa: ANN401 - any JSON value
    if type(value) is not dict:
        return BadItem("An item is an object.")
    try:
        return msgspec.convert(value, Item)
    except msgspec.ValidationError as error:
        return BadItem(_fault(error))


def _fault(error: msgspec.ValidationError) -> str:
    at_fault = field_at_fault(error)
    return f"{at_fault.field}: {at_fault.message}"


def _with_defaults(items: Sequence[Item | BadItem], defaults: _Defaults, refs: Refs) -> list[Question | BadItem]:
    """The questions of a batch; an item takes each member that it leaves out from the batch's defaults."""
    made: list[Question | BadItem] = []
    for item in items:
        if isinstance(item, BadItem):
            made.append(item)
            continue
        subject = item.subject if item.subject is not UNSET else defaults.subject
        action = item.action if item.action is not UNSET else defaults.action
        resource = item.resource if item.resource is not UNSET else defaults.resource
        context = item.context if item.context is not UNSET else defaults.context
        if (
            type(subject) is Subject
            and type(action) is Action
            and type(resource) is Resource
            and type(context) is Context
        ):
            made.append(_question_or_fault(subject, action, resource, context, refs))
        else:
            parts = {"subject": subject, "action": action, "resource": resource, "context": context}
            made.append(BadItem("; ".join(part for part in parts.values() if type(part) is str)))
    return made


def _question_or_fault(
    subject: Subject, action: Action, resource: Resource, context: Context, refs: Refs
) -> Question | BadItem:
    try:
        return _question(subject, action, resource, context, refs)
    except MalformedError as error:
        return BadItem("; ".join(f"{each.field}: {each.message}" for each in error.fields))


def _participants_named(defaults: Mapping[str, Any], items: Sequence[Any]) -> int:
    """How many participants the questions of a batch name; those of a default count for each item that takes it."""
    of_default = _participants_of(defaults.get("resource"))
    return sum(
        _participants_of(item["resource"]) if type(item) is dict and "resource" in item else of_default
        for item in items
    )


def _participants_of(resource: Any) -> int:  # noqa: ANN401 - any JSON value
    properties = resource.get("properties") if type(resource) is dict else None
    named = properties.get("participants") if type(properties) is dict else None
    return len(named) if type(named) is list else 0
