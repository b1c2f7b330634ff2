"""What decisions look like in the OpenAPI document (AuthZEN 5.5 and 7.2), and what searches answer (8.2 to 8.6)."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import force_setattr
from pydantic import BaseModel, ConfigDict, Field

from app.api.http.wire import examples
from app.core.article import Channel, Element


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
    reason_admin: dict[str, str] | None = Field(
        default=None, description="For the caller's operator: what the question left unsaid, so that it was denied"
    )
    decision_token: str | None = Field(
        default=None, description="A compact JWS of this permit, where the request's context asked for one"
    )
    error: dict[str, Any] | None = None


class DecisionResponse(BaseModel):
    """One answer (AuthZEN 5.5). Anything but `true` means: do not analyse."""

    model_config = examples(
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
    )

    decision: bool
    context: DecisionContext | None = None


class DecisionsResponse(BaseModel):
    """The answers to a batch, in the order of its items."""

    evaluations: list[DecisionResponse]


class FoundPage(BaseModel):
    """Where a page stands among the others (8.2.2)."""

    next_token: str = Field(description="Sent as `page.token`, it brings the next page; empty after the last one")
    count: int = Field(description="How many results this page has; a page may have none and not be the last")


class FoundSubject(BaseModel):
    """A subject that would be permitted, by the id under which it was recorded."""

    type: str
    id: str


class FoundAction(BaseModel):
    """A processing that would be permitted."""

    name: str


class EveryoneContext(BaseModel):
    """The answer does not depend on who it is: every subject is permitted, and none is listed."""

    everyone: bool
    reason: str
    article: str | None = None


class SubjectsFound(BaseModel):
    """A page of subjects."""

    model_config = examples(
        {
            "page": {"next_token": "AAAB…", "count": 1},
            "results": [{"type": "user", "id": "alice@example.fr"}],
        }
    )

    page: FoundPage
    context: EveryoneContext | None = None
    results: list[FoundSubject]


class ActionsFound(BaseModel):
    """A page of processings."""

    model_config = examples(
        {"page": {"next_token": "", "count": 2}, "results": [{"name": "ads-mail"}, {"name": "spam"}]}
    )

    page: FoundPage
    results: list[FoundAction]


# The requests of the AuthZEN Authorization API 1.0 (sections 4 to 6 and 8 of the specification), as Sceau reads them.
#
# Unknown members are ignored, as the specification asks; unknown *words* (a channel, an element) are refused: a
# question that is not understood is not answered. `0` is no boolean.

MOST_ITEMS: Final = 1_000
"""Questions in one batch."""
MOST_PARTICIPANTS: Final = 10_000
"""Other parties that the questions of one request name together."""
DEFAULT_LIMIT: Final = 50
MOST_RESULTS: Final = 500
"""Results on one page of a search."""

Name = Annotated[str, Meta(min_length=1, max_length=128)]
Identifier = Annotated[str, Meta(min_length=1, max_length=512)]
Instant = Annotated[datetime, Meta(tz=True, description="RFC 3339, with its offset")]
_EARLIEST, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
Semantic = Literal["execute_all", "deny_on_first_deny", "permit_on_first_permit"]

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


class Wire(Struct, frozen=True):
    """A value on the wire. Its repr shows nothing: it holds ids."""

    def __repr__(self) -> str:
        """The name of the type."""
        return f"{type(self).__name__}(…)"


class Subject(Wire, frozen=True):
    """The user whose consent counts; `type` is a namespace of ids."""

    type: Annotated[Name, Meta(examples=["user"])]
    id: Annotated[Identifier, Meta(examples=["alice@example.fr"])]


class ActionProperties(Wire, frozen=True):
    """How the processing would analyse: which elements (all that it declares by default), and whether by machine."""

    elements: Annotated[frozenset[Element], Meta(examples=[["content"]])] | None = None
    automated: bool = True


class Action(Wire, frozen=True):
    """The processing, by its id in the register."""

    name: Annotated[Name, Meta(examples=["ads-mail"])]
    properties: ActionProperties = ActionProperties()


class ParticipantBody(Wire, frozen=True):
    """Another party of the correspondence; `local` when it has an account here, of the subject's type."""

    id: Identifier
    local: bool


Participants = Annotated[tuple[ParticipantBody, ...], Meta(max_length=MOST_PARTICIPANTS)]
Territory = Annotated[
    str,
    Meta(
        min_length=2,
        max_length=2,
        description="ISO 3166-1 alpha-2 code",
        extra_json_schema={"pattern": "^[A-Z]{2}$"},
    ),
]


class ResourceProperties(Wire, frozen=True):
    """What is known of the correspondence."""

    channel: Channel = Channel.ONLINE
    private: bool = True
    territory: Territory = "FR"
    participants: Participants | None = None


class Resource(Wire, frozen=True):
    """The correspondence; its id is an opaque handle made by the caller, never a Message-ID."""

    type: Annotated[Name, Meta(examples=["correspondence"])]
    id: Annotated[Identifier, Meta(examples=["3f9c1e0b7a"])]
    properties: ResourceProperties = ResourceProperties()


class Context(Wire, frozen=True):
    """What else the caller says. Sceau reads one member of it; no other changes anything."""

    decision_token: Annotated[
        bool, Meta(description="Whether a permit is to carry a token for who cannot call Sceau")
    ] = False


class EvaluationRequest(Wire, frozen=True):
    """One question: may this processing analyse this correspondence for this subject? (AuthZEN 6.1)."""

    subject: Subject
    action: Action
    resource: Resource
    context: Context = Context()


class ExplanationRequest(EvaluationRequest, frozen=True):
    """An evaluation request, the instant judged, and what is taken as known.

    `at`: now when left out. `known_at`: only what had been recorded by then is used; everything known now when left
    out.
    """

    at: Instant | None = None
    known_at: Instant | None = None

    def __post_init__(self) -> None:
        """Refuse instants that no law or record of ours can be of (ValueError)."""
        for name, instant in (("at", self.at), ("known_at", self.known_at)):
            if instant is None:
                continue
            if not _EARLIEST <= instant < _LATEST:
                raise ValueError(f"`{name}` does not lie between {_EARLIEST.year} and {_LATEST.year}")
            force_setattr(self, name, instant.astimezone(UTC))


class Item(Wire, frozen=True):
    """One question of a batch: what it leaves out is taken from the batch, member by member (AuthZEN 7.1)."""

    subject: Subject | UnsetType = UNSET
    action: Action | UnsetType = UNSET
    resource: Resource | UnsetType = UNSET
    context: Context | UnsetType = UNSET


class Options(Wire, frozen=True):
    """How a batch is answered (AuthZEN 7.1.2.1)."""

    evaluations_semantic: Semantic = "execute_all"


class EvaluationsRequest(Wire, frozen=True):
    """Several questions: top-level members are defaults, replaced whole by an item's own (AuthZEN 7.1).

    The defaults and the items are read one by one, so that what is wrong with one is told in the place of its answer.
    """

    subject: Any = None
    action: Any = None
    resource: Any = None
    context: Any = None
    evaluations: list[Any] = []
    options: Options = Options()


class SearchPage(Wire, frozen=True):
    """Which part of the results is wanted (8.2.1)."""

    token: Annotated[str, Meta(max_length=512, description="`next_token` of the page before")] = ""
    limit: Annotated[
        int,
        Meta(
            ge=0,
            description=f"How many results at most; more than {MOST_RESULTS} counts as {MOST_RESULTS}. 0 asks for "
            "none, and for a token from which to begin",
        ),
    ] = DEFAULT_LIMIT
    properties: dict[str, Any] = {}


class SubjectKind(Wire, frozen=True):
    """Subjects of a type; an `id` is ignored."""

    type: Annotated[Name, Meta(examples=["user"])]


class SubjectSearchRequest(Wire, frozen=True):
    """Which subjects would be permitted? (8.4.1)."""

    subject: SubjectKind
    action: Action
    resource: Resource
    context: dict[str, Any] = {}
    page: SearchPage = SearchPage()


class ActionSearchRequest(Wire, frozen=True):
    """Which processings would be permitted? (8.6.1). An `action` is ignored."""

    subject: Subject
    resource: Resource
    context: dict[str, Any] = {}
    page: SearchPage = SearchPage()


EXAMPLES: Final[dict[type[Wire], list[dict[str, Any]]]] = {
    EvaluationRequest: [EXAMPLE],
    ExplanationRequest: [EXAMPLE, {**EXAMPLE, "at": "2026-06-15T12:00:00Z", "known_at": "2026-07-01T00:00:00Z"}],
    EvaluationsRequest: [
        {
            "action": {"name": "ads-mail"},
            "resource": EXAMPLE["resource"],
            "evaluations": [
                {"subject": {"type": "user", "id": "alice@example.fr"}},
                {"subject": {"type": "user", "id": "bob@example.fr"}},
            ],
            "options": {"evaluations_semantic": "execute_all"},
        }
    ],
    SubjectSearchRequest: [
        {
            "subject": {"type": "user"},
            "action": {"name": "ads-mail", "properties": {"elements": ["content"]}},
            "resource": EXAMPLE["resource"],
            "page": {"limit": 50},
        }
    ],
    ActionSearchRequest: [
        {"subject": EXAMPLE["subject"], "resource": EXAMPLE["resource"], "page": {"limit": DEFAULT_LIMIT}}
    ],
}
"""What the API page fills in for each body."""


_COMPONENT: Final = "#/components/schemas/{name}"


def documented_body(model: type[Wire]) -> dict[str, Any]:
    """What OpenAPI says of a body that a route reads by itself."""
    schema = {"$ref": _COMPONENT.format(name=model.__name__)}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
