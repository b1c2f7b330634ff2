"""Another reader of decision requests, which shares nothing with the one in use: Python's `json`, pydantic, two passes.

It is stricter about members that nothing reads: a number out of range or deep nesting in one of those is refused here,
while the reader in use ignores what the specification says to ignore.
"""

import json
import math
import re
import unicodedata
from typing import Annotated, Any, Final, NoReturn

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictStr, ValidationError

from app.core.article import Channel, Element
from app.core.decision import DecisionRequest
from app.core.decision import Participant as Party
from app.core.errors import InvalidSubjectError


def _no_control(text: str) -> str:
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
        raise ValueError("control characters are not allowed")
    return text


Identifier = Annotated[StrictStr, Field(min_length=1, max_length=512), AfterValidator(_no_control)]
Name = Annotated[StrictStr, Field(min_length=1, max_length=128), AfterValidator(_no_control)]
Territory = Annotated[StrictStr, Field(pattern=r"^[A-Z]{2}$")]


class Model(BaseModel):
    """A value on the wire."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


class Subject(Model):
    """The user whose consent counts; `type` is a namespace of ids."""

    type: Name = Field(examples=["user"])
    id: Identifier = Field(examples=["alice@example.fr"])


class ActionProperties(Model):
    """How the processing would analyse: which elements (all that it declares by default), and whether by machine."""

    elements: list[Element] | None = Field(default=None, max_length=16, examples=[["content"]])
    automated: StrictBool = True


class Action(Model):
    """The processing, by its id in the register."""

    name: Name = Field(examples=["ads-mail"])
    properties: ActionProperties = ActionProperties()


class Participant(Model):
    """Another party of the correspondence; `local` when it has an account here, of the subject's type."""

    id: Identifier
    local: StrictBool


class ResourceProperties(Model):
    """What is known of the correspondence."""

    channel: Channel = Channel.ONLINE
    private: StrictBool = True
    territory: Territory = "FR"
    participants: list[Participant] | None = Field(default=None, max_length=10_000)


class Resource(Model):
    """The correspondence; its id is an opaque handle made by the caller, never a Message-ID."""

    type: Name = Field(examples=["correspondence"])
    id: Identifier = Field(examples=["3f9c1e0b7a"])
    properties: ResourceProperties = ResourceProperties()


class Context(Model):
    """What else the caller says. Sceau reads one member of it; no other changes anything."""

    decision_token: StrictBool = Field(
        default=False, description="Whether a permit is to carry a token for who cannot call Sceau"
    )


class EvaluationRequest(Model):
    """One question: may this processing analyse this correspondence for this subject? (AuthZEN 6.1)."""

    subject: Subject
    action: Action
    resource: Resource
    context: Context = Context()


MAX_DEPTH: Final = 32
"""How many objects and arrays may stand in one another."""
_LONGEST_INTEGER: Final = 20
_ESCAPED: Final = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")
_FORBIDDEN: Final = re.compile("[\\0\ud800-\udfff]")


class BadJsonError(Exception):
    """The body is not JSON that this service reads; the message says why, and never quotes it."""


def parse(body: bytes) -> Any:
    """Read a JSON document (UTF-8).

    Raises:
        BadJsonError: it is not JSON, or not I-JSON, nested deeper than `MAX_DEPTH`, or of too many values.

    """
    try:
        text = body.decode()
        value = json.loads(text, object_pairs_hook=unique_members, **number_hooks())
    except UnicodeDecodeError:
        raise BadJsonError("The body is not UTF-8.") from None
    except json.JSONDecodeError as error:
        raise BadJsonError(f"The body is not JSON: line {error.lineno}, column {error.colno}.") from None
    except RecursionError:
        raise BadJsonError(f"The body is nested deeper than {MAX_DEPTH} levels.") from None
    _check(value, strings=_ESCAPED.search(body) is not None)
    return value


def number_hooks() -> dict[str, Any]:
    """How `json` is to read numbers: finite ones of a sane length, nothing else."""
    return {"parse_constant": _no_constant, "parse_float": _float, "parse_int": _integer}


def unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object's members.

    Raises:
        BadJsonError: two of them have one name.

    """
    members = dict(pairs)
    if len(members) != len(pairs):
        raise BadJsonError("An object has two members of one name.")
    return members


def _no_constant(_: str) -> NoReturn:
    raise BadJsonError("NaN and Infinity are not JSON.")


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise BadJsonError("A number is out of range.")
    return number


def _integer(text: str) -> int:
    if len(text) > _LONGEST_INTEGER:  # beyond 64 bits
        raise BadJsonError("A number is out of range.")
    return int(text)


def _check(value: Any, *, strings: bool) -> None:
    """Look at a document level by level; at its strings only where an escape may have put something into one.

    Raw, JSON holds no control character, and UTF-8 no surrogate.
    """
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        if strings:
            _check_texts(level)
        level = [
            child
            for each in level
            if type(each) is dict or type(each) is list
            for child in (each.values() if type(each) is dict else each)
        ]
        if not level:
            return
    raise BadJsonError(f"The body is nested deeper than {MAX_DEPTH} levels.")


def _check_texts(level: list[Any]) -> None:
    for each in level:
        for text in (each,) if type(each) is str else each if type(each) is dict else ():
            found = _FORBIDDEN.search(text)
            if found is not None:
                what = "a NUL character" if found[0] == "\0" else "a lone surrogate"
                raise BadJsonError(f"A string holds {what}.")


def read(body: bytes, ref: Any) -> DecisionRequest | None:
    """The question of a body, with pseudonyms made by `ref`; None where the body is refused."""
    try:
        asked = EvaluationRequest.model_validate(parse(body))
    except (BadJsonError, ValidationError):
        return None
    kind, said, how = asked.subject.type, asked.resource.properties, asked.action.properties
    parties = said.participants
    try:
        subject = ref(kind, asked.subject.id)
    except InvalidSubjectError:
        return None
    return DecisionRequest(
        subject=subject,
        processing=asked.action.name,
        elements=frozenset(how.elements) if how.elements is not None else None,
        automated=how.automated,
        channel=said.channel,
        private=said.private,
        territory=said.territory,
        participants=None
        if parties is None
        else tuple(Party(_party(kind, each.id, ref), each.local) for each in parties),
    )


def _party(kind: str, identifier: str, ref: Any) -> bytes:
    """A party's pseudonym, or 32 zero bytes for an address that names no domain."""
    try:
        return bytes(ref(kind, identifier))
    except InvalidSubjectError:
        return bytes(32)
