"""The wire models of the AuthZEN Authorization API 1.0 (sections 4 to 6 of the specification), as Sceau reads them.

Unknown members are ignored, as the specification asks; unknown *words* (a channel, an element) are refused: a
question that is not understood is not answered. `0` is no boolean and `null` is no value.
"""

import re
import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictStr,
)

from app.core.article import Channel, Element


def _no_control(text: str) -> str:
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
        raise ValueError("control characters are not allowed")
    return text


Identifier = Annotated[StrictStr, Field(min_length=1, max_length=512), AfterValidator(_no_control)]
Name = Annotated[StrictStr, Field(min_length=1, max_length=128), AfterValidator(_no_control)]


_RFC_3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _written_out(value: object) -> object:
    """Pydantic would also take a number for seconds, or milliseconds, since 1970."""
    if not isinstance(value, str) or _RFC_3339.fullmatch(value) is None:
        raise ValueError("must be a time with its offset, such as 2026-06-15T12:00:00Z (RFC 3339)")
    return value


def _plausible(at: datetime) -> datetime:
    if not _EARLIEST <= at < _LATEST:
        raise ValueError(f"must lie between {_EARLIEST.year} and {_LATEST.year}")
    return at


_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
Instant = Annotated[
    AwareDatetime,
    BeforeValidator(_written_out),
    AfterValidator(_plausible),
    Field(description="RFC 3339, with its offset"),
]
Territory = Annotated[StrictStr, Field(pattern=r"^[A-Z]{2}$", description="ISO 3166-1 alpha-2 code")]


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


EXAMPLE: dict[str, Any] = {
    "subject": {"type": "user", "id": "alice@example.fr"},
    "action": {"name": "ads-mail", "properties": {"elements": ["content"], "automated": True}},
    "resource": {
        "type": "correspondence",
        "id": "3f9c1e0b7a",
        "properties": {
            "channel": "online",
            "private": True,
            "territory": "FR",
            "participants": [{"id": "eve@else.example", "local": False}],
        },
    },
    "context": {},
}


class EvaluationRequest(Model):
    """One question: may this processing analyse this correspondence for this subject? (AuthZEN 6.1)."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    subject: Subject
    action: Action
    resource: Resource
    context: Context = Context()


class EvaluationOptions(Model):
    """How a batch is answered (AuthZEN 7.1.2.1)."""

    evaluations_semantic: Literal["execute_all", "deny_on_first_deny", "permit_on_first_permit"] = "execute_all"


class EvaluationsRequest(Model):
    """Several questions: top-level members are defaults, replaced whole by an item's own (AuthZEN 7.1)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "action": {"name": "ads-mail"},
                    "resource": EXAMPLE["resource"],
                    "evaluations": [
                        {"subject": {"type": "user", "id": "alice@example.fr"}},
                        {"subject": {"type": "user", "id": "bob@example.fr"}},
                    ],
                    "options": {"evaluations_semantic": "execute_all"},
                }
            ]
        }
    )

    subject: Any = None
    action: Any = None
    resource: Any = None
    context: Any = None
    evaluations: list[Any] = Field(default_factory=list)
    options: EvaluationOptions = EvaluationOptions()


class DecisionContext(BaseModel):
    """Why: the reason, what it cites and rests on, and a sentence for the user."""

    model_config = ConfigDict(extra="allow")

    id: str | None = Field(default=None, description="The id of this decision")
    reason: str | None = None
    article: str | None = None
    law_version: str | None = None
    consent: str | None = Field(default=None, description="The consent that the decision rests on")
    expires_at: str | None = None
    valid_until: str | None = Field(default=None, description="A permit under IV must not be used from this instant on")
    reason_user: dict[str, str] | None = None
    decision_token: str | None = Field(
        default=None, description="A compact JWS of this permit, where the request's context asked for one"
    )
    error: dict[str, Any] | None = None


class DecisionResponse(BaseModel):
    """One answer (AuthZEN 5.5). Anything but `true` means: do not analyse."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "decision": False,
                    "context": {
                        "id": "0199c2f0-5b5e-7c3a-9a51-0d7f7a1f4e11",
                        "reason": "no_consent",
                        "article": "L32-3 IV",
                        "law_version": "2025-07-02",
                        "reason_user": {"fr": "Vous n'avez pas donné…", "en": "You have not consented…"},
                    },
                }
            ]
        }
    )

    decision: bool
    context: DecisionContext | None = None


class DecisionsResponse(BaseModel):
    """The answers to a batch, in the order of its items."""

    evaluations: list[DecisionResponse]


BODIES = (EvaluationRequest, EvaluationsRequest)
