"""Webhooks on the wire."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr

from app.api.http.wire import Instant, ProcessingId, WireModel
from app.events.deliveries import Attempt, Delivery
from app.events.endpoints import Endpoint, EndpointStatus, public_text
from app.events.outbox import EventType
from app.keyring import WrappedKey
from app.operations.webhooks.manage_webhooks import EndpointDraft

Url = Annotated[
    StrictStr,
    Field(min_length=1, max_length=2_048, description="https; http in networks of SCEAU_WEBHOOK_NETWORKS only"),
]
Types = Annotated[list[EventType], Field(min_length=1, max_length=50)]
Processings = Annotated[list[ProcessingId], Field(min_length=1, max_length=1_000)]
DeliveryStatus = Literal["pending", "delivered", "dead"]

_TYPES = "Which types it wants; left out or null, every one, those of later versions too"
_PROCESSINGS = "Events about which processings; left out or null, about all"
_SUBJECT = "Whether each event names the user it is about; the id is read when the event is sent, and gone once erased"


class NewEndpoint(WireModel):
    """A receiver to send events to."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "url": "https://crm.example.fr/hooks/sceau",
                    "types": ["fr.sceau.consent.renewal_due", "fr.sceau.consent.expired"],
                    "include_subject": True,
                }
            ]
        }
    )

    url: Url
    types: Types | None = Field(default=None, description=_TYPES)
    processings: Processings | None = Field(default=None, description=_PROCESSINGS)
    include_subject: StrictBool = Field(default=False, description=_SUBJECT)

    def draft(self) -> EndpointDraft:
        """The operation's form of it."""
        return _draft(self, EndpointDraft(self.url))


class EndpointChange(WireModel):
    """What is to change of an endpoint; what is left out stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "disabled"}, {"types": None}]})

    url: Url | None = None
    types: Types | None = Field(default=None, description=_TYPES)
    processings: Processings | None = Field(default=None, description=_PROCESSINGS)
    include_subject: StrictBool | None = Field(default=None, description=_SUBJECT)
    status: EndpointStatus | None = Field(
        default=None, description="Deliveries of a disabled endpoint wait until it is active again"
    )

    def draft(self, before: Endpoint) -> EndpointDraft:
        """What the endpoint is to be after the change."""
        now = EndpointDraft(before.url, before.types, before.processings, before.include_subject, before.status)
        return _draft(self, now)


def _draft(body: NewEndpoint | EndpointChange, before: EndpointDraft) -> EndpointDraft:
    said = body.model_fields_set
    status = body.status if isinstance(body, EndpointChange) else None
    types = frozenset(body.types) if body.types is not None else None
    processings = frozenset(body.processings) if body.processings is not None else None
    return EndpointDraft(
        url=body.url or before.url,
        types=types if "types" in said else before.types,
        processings=processings if "processings" in said else before.processings,
        include_subject=before.include_subject if body.include_subject is None else body.include_subject,
        status=status or before.status,
    )


class EndpointBody(BaseModel):
    """An endpoint; `types` and `processings` are left out when it wants all."""

    id: UUID
    url: str
    types: list[EventType] | None = None
    processings: list[str] | None = None
    include_subject: bool
    status: EndpointStatus
    status_reason: str | None = Field(
        default=None, description="Why it is disabled: by_request, gone (it said 410), maker_ended"
    )
    status_at: datetime
    created_at: datetime


class EndpointsPage(BaseModel):
    """All endpoints, oldest first: there are at most a hundred."""

    items: list[EndpointBody]


class SecretBody(BaseModel):
    """A symmetric secret, shown this once."""

    id: UUID
    secret: str = Field(description="`whsec_…`: for the `v1` signatures of this endpoint; it is not shown again")
    created_at: datetime


class SigningKeyBody(BaseModel):
    """A public key that verifies `v1a` signatures."""

    id: UUID
    public_key: str = Field(description="`whpk_` and the Ed25519 public key in base64")
    created_at: datetime
    retires_at: datetime | None = Field(default=None, description="From then on nothing is signed with it")


class SigningKeysBody(BaseModel):
    """The keys that sign now, the newest first."""

    keys: list[SigningKeyBody]


class AttemptBody(BaseModel):
    """One attempt: the status of the answer, or the class of what went wrong."""

    at: datetime
    took_ms: int
    answer: int | None = None
    error: str | None = None


class DeliveryBody(BaseModel):
    """One event's way to an endpoint. `event` is the `webhook-id` of every attempt."""

    event: UUID
    type: str
    occurred_at: datetime
    status: DeliveryStatus = Field(description="dead: every attempt failed; replay it when the receiver is well")
    attempts: int
    queued_at: datetime
    next_at: datetime | None = Field(
        default=None, description="When the next attempt is due; absent while an earlier event of the same user waits"
    )
    finished_at: datetime | None = None
    last_answer: int | None = None
    last_error: str | None = None


class DeliveryHistory(DeliveryBody):
    """One delivery with its attempts, oldest first. Bodies are not kept."""

    log: list[AttemptBody]


class DeliveriesPage(BaseModel):
    """Some deliveries, by event."""

    items: list[DeliveryBody]
    next_cursor: str | None = None


class SpanToReplay(WireModel):
    """Which events to send again: those written in a span of time."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"since": "2026-01-01T00:00:00Z", "until": "2026-12-31T00:00:00Z", "deliveries": "all"}]
        }
    )

    since: Instant
    until: Instant
    deliveries: Literal["failed", "all"] = Field(
        default="failed",
        description="failed: dead letters, and pending ones before their time; all: delivered ones too, and events "
        "from before the endpoint wanted them",
    )


class Queued(BaseModel):
    """How many deliveries were queued; 10,000 means that there may be more."""

    queued: int


def endpoint_body(endpoint: Endpoint) -> EndpointBody:
    """The wire form of an endpoint."""
    return EndpointBody(
        id=endpoint.id,
        url=endpoint.url,
        types=None if endpoint.types is None else sorted(endpoint.types),
        processings=None if endpoint.processings is None else sorted(endpoint.processings),
        include_subject=endpoint.include_subject,
        status=endpoint.status,
        status_reason=endpoint.status_reason,
        status_at=endpoint.status_at,
        created_at=endpoint.created_at,
    )


def key_body(key: WrappedKey) -> SigningKeyBody:
    """The public part of a key."""
    return SigningKeyBody(
        id=key.id, public_key=public_text(key.public), created_at=key.created_at, retires_at=key.retires_at
    )


def delivery_body(delivery: Delivery) -> DeliveryBody:
    """The wire form of a delivery."""
    return DeliveryBody.model_validate(delivery, from_attributes=True)


def history_body(delivery: Delivery, attempts: Sequence[Attempt]) -> DeliveryHistory:
    """A delivery with its attempts."""
    log = [
        AttemptBody(at=each.at, took_ms=int(each.took.total_seconds() * 1000), answer=each.answer, error=each.error)
        for each in attempts
    ]
    return DeliveryHistory(**delivery_body(delivery).model_dump(), log=log)
