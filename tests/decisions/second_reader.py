"""Another reader of decision requests, which shares nothing with the one in use: Python's `json`, pydantic, two passes.

It is stricter about members that nothing reads: a number out of range or deep nesting in one of those is refused here,
while the reader in use ignores what the specification says to ignore.
"""

import json
import math
import re
import unicodedata
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictStr

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

    model_config = ConfigDict(extra="ignore")


class Subject(Model):
    """The user whose consent counts; `type` is a namespace of ids."""

    type: Name
    id: Identifier


class ActionProperties(Model):
    """How the processing would analyse: which elements (all that it declares by default), and whether by machine."""

    elements: list[Element] | None = Field(default=None, max_length=16)
    automated: StrictBool = True


class Action(Model):
    """The processing, by its id in the register."""

    name: Name
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

    type: Name
    id: Identifier
    properties: ResourceProperties = ResourceProperties()


class Context(Model):
    """What else the caller says. Sceau reads one member of it; no other changes anything."""

    decision_token: StrictBool = False


class EvaluationRequest(Model):
    """One question: may this processing analyse this correspondence for this subject? (AuthZEN 6.1)."""

    subject: Subject
    action: Action
    resource: Resource
    context: Context = Context()


MAX_DEPTH: Final = 32
"""How many objects and arrays may stand in one another."""
_LONGEST_INTEGER: Final = 20
_FORBIDDEN: Final = re.compile("[\\0\ud800-\udfff]")


def parse(body: bytes) -> Any:
    """Read a JSON document (UTF-8).

    Raises:
        ValueError: it is not JSON, or not I-JSON, or nested deeper than `MAX_DEPTH`.
        RecursionError: it is nested far deeper than that.

    """
    hooks: Any = {"parse_constant": float, "parse_float": _number, "parse_int": _number}
    value = json.loads(body.decode(), object_pairs_hook=_members, **hooks)
    _check(value, MAX_DEPTH)
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("two members of one name")
    return members


def _number(text: str) -> float:
    if text.lstrip("-").isdecimal():
        if len(text) > _LONGEST_INTEGER:  # beyond 64 bits
            raise ValueError("a number out of range")
        return int(text)
    return float(text)


def _check(value: Any, depth: int) -> None:
    """Look at each string, number and member, so many levels deep."""
    if isinstance(value, str) and _FORBIDDEN.search(value):
        raise ValueError("a NUL or a lone surrogate")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number out of range")
    inside = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ()
    if inside and not depth:
        raise ValueError("too deep")
    for each in inside:
        _check(each, depth - 1)


def read(body: bytes, ref: Any) -> DecisionRequest | None:
    """The question of a body, with pseudonyms made by `ref`; None where the body is refused."""
    try:
        asked = EvaluationRequest.model_validate(parse(body))
    except (ValueError, RecursionError):  # what pydantic raises is a ValueError, too
        return None
    kind, about, how = asked.subject.type, asked.resource.properties, asked.action.properties
    parties = about.participants
    try:
        subject = ref(kind, asked.subject.id)
    except InvalidSubjectError:
        return None
    return DecisionRequest(
        subject=subject,
        processing=asked.action.name,
        elements=frozenset(how.elements) if how.elements is not None else None,
        automated=how.automated,
        channel=about.channel,
        private=about.private,
        territory=about.territory,
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
