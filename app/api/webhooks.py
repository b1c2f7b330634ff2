"""Routes of webhooks and their deliveries, of the feed of events, and of acknowledgements by receivers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from fastapi import Depends, Path, Query, Response
from pydantic import BaseModel, Field, StrictBool, StrictInt, StrictStr, model_validator

from app.api.http.paging import LIMIT, Cursor, Limit, read_cursor, read_place, write_cursor, write_place
from app.api.http.security import Needs, as_shown, problems, strict_router
from app.api.http.services import (
    DatabaseDep,
    DeploymentDep,
    PseudonymsDep,
    SourceDep,
    StoppingDep,
    WebhookPolicyDep,
    WriteDep,
)
from app.api.http.wire import Instant, ProcessingId, WireModel, at_fault, examples
from app.auth.callers import Authenticated, Caller, Scope
from app.db.session import WriteSession, as_columns
from app.events.deliveries import Attempt, Delivery, find_delivery, list_deliveries
from app.events.effects import EXAMPLE, Effect, cloud_event
from app.events.endpoints import Endpoint, EndpointStatus
from app.events.outbox import EventType
from app.operations.webhooks.effects import acknowledge_effect
from app.operations.webhooks.manage_webhooks import (
    change_webhook,
    find_webhook,
    list_webhooks,
    read_events,
    register_webhook,
    remove_webhook,
    replay_delivery,
    replay_span,
)

Url = Annotated[
    StrictStr,
    Field(min_length=1, max_length=2_048, description="https; http in networks of SCEAU_WEBHOOK_NETWORKS only"),
]
Types = Annotated[list[EventType], Field(min_length=1, max_length=50)]
Processings = Annotated[list[ProcessingId], Field(min_length=1, max_length=1_000)]
DeliveryStatus = Literal["pending", "delivered", "dead"]
Status = Literal["active", "disabled", "removed"]

_TYPES = "Which types it wants; left out or null, every one, those of later versions too"
_PROCESSINGS = "Events about which processings; left out or null, about all"
_SUBJECT = "Whether each event names the user it is about; the id is read when the event is sent, and gone once erased"


class NewEndpoint(WireModel):
    """A receiver to send events to."""

    model_config = examples(
        {
            "url": "https://crm.example.fr/hooks/sceau",
            "types": ["fr.sceau.consent.renewal_due", "fr.sceau.consent.expired"],
            "include_subject": True,
        }
    )

    url: Url
    types: Types | None = Field(default=None, description=_TYPES)
    processings: Processings | None = Field(default=None, description=_PROCESSINGS)
    include_subject: StrictBool = Field(default=False, description=_SUBJECT)


class EndpointChange(WireModel):
    """What is to change of an endpoint; what is left out stays."""

    model_config = examples({"status": "disabled"}, {"types": None})

    url: Url | None = None
    types: Types | None = Field(default=None, description=_TYPES)
    processings: Processings | None = Field(default=None, description=_PROCESSINGS)
    include_subject: StrictBool | None = Field(default=None, description=_SUBJECT)
    status: Status | None = Field(
        default=None,
        description="Deliveries of a disabled endpoint wait until it is active again. `removed` is final: the endpoint "
        "goes with its deliveries and their log. It stands alone",
    )

    @model_validator(mode="after")
    def _gone_or_changed(self) -> Self:
        if self.status == "removed" and self.model_fields_set != {"status"}:
            raise at_fault("status", "`removed` stands alone: nothing else is changed of what goes")
        return self

    def changes(self) -> dict[str, Any]:
        """The properties that change; null stands for every one of `types` and `processings`, else for no change."""
        sent = {name: value for name, value in _properties(self).items() if name in self.model_fields_set}
        changes = {name: value for name, value in sent.items() if value is not None or name in {"types", "processings"}}
        return {**changes, "status": EndpointStatus(self.status)} if self.status is not None else changes


def _properties(body: NewEndpoint | EndpointChange) -> dict[str, Any]:
    """The members of a body as an endpoint has them."""
    return {name: frozenset(value) if isinstance(value, list) else value for name, value in body}


class EndpointBody(BaseModel):
    """An endpoint; `types` and `processings` are left out when it wants all."""

    id: UUID
    url: str
    types: list[EventType] | None = None
    processings: list[str] | None = None
    include_subject: bool
    status: Status
    status_reason: str | None = Field(
        default=None, description="Why it is disabled: by_request, gone (it said 410), maker_ended"
    )
    status_at: datetime
    created_at: datetime


class EndpointsPage(BaseModel):
    """All endpoints, oldest first: there are at most a hundred."""

    items: list[EndpointBody]


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
    log: list[AttemptBody] | None = Field(
        default=None, description="Of the one that was asked for by `event`: its attempts, oldest first, without bodies"
    )


class DeliveriesPage(BaseModel):
    """Some deliveries, by event."""

    items: list[DeliveryBody]
    next_cursor: str | None = None


class NewReplay(WireModel):
    """What to send again: one event, or those written in a span of time."""

    model_config = examples(
        {"since": "2026-01-01T00:00:00Z", "until": "2026-12-31T00:00:00Z", "deliveries": "all"},
        {"event": "0199c2f0-5b5e-7c3a-9a51-0d7f7a1f4e11"},
    )

    event: UUID | None = Field(default=None, description="The `webhook-id` that was sent; else `since` and `until`")
    since: Instant | None = None
    until: Instant | None = None
    deliveries: Literal["failed", "all"] = Field(
        default="failed",
        description="Of a span: failed: dead letters, and pending ones before their time; all: delivered ones too, and "
        "events from before the endpoint wanted them",
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if self.event is not None and (self.since or self.until or "deliveries" in self.model_fields_set):
            raise at_fault("event", "give either an event, or a span of time")
        lacking = [name for name in ("since", "until") if getattr(self, name) is None]
        if self.event is None and lacking:
            raise at_fault(lacking[0] if len(lacking) == 1 else "event", "give an event, or `since` and `until`")
        return self


class Queued(BaseModel):
    """How many deliveries were queued; 10,000 means that there may be more."""

    queued: int


def endpoint_body(endpoint: Endpoint, status: Status | None = None) -> EndpointBody:
    """The wire form of an endpoint."""
    columns = as_columns(endpoint)
    return EndpointBody.model_validate({**columns, "status": status or columns["status"]})


def delivery_body(delivery: Delivery, attempts: Sequence[Attempt] | None = None) -> DeliveryBody:
    """The wire form of a delivery, with its attempts if they are given."""
    body = DeliveryBody.model_validate(delivery, from_attributes=True)
    if attempts is not None:
        body.log = [
            AttemptBody(at=each.at, took_ms=int(each.took.total_seconds() * 1000), answer=each.answer, error=each.error)
            for each in attempts
        ]
    return body


router = strict_router("events")

Reader = Annotated[Authenticated, Depends(as_shown(Needs(Scope.CONSENTS_READ)))]
_FEED = "events"
_LONGEST_WAIT = 20


class CloudEventBody(BaseModel):
    """One event as CloudEvents 1.0 in JSON. `data` names the consent and its processing, never a user."""

    model_config = examples(dict(EXAMPLE))

    specversion: str
    id: str
    source: str
    type: str
    time: datetime
    datacontenttype: str
    data: dict[str, Any]


class EventsPage(BaseModel):
    """Some events in order. Keep `next` and ask `after` it, also when there was nothing new."""

    events: list[CloudEventBody]
    next: str = Field(description="Where the next page begins")


@router.get(
    "/v1/events",
    summary="Read events in order",
    responses=problems((410, "Events after this cursor are no longer kept.")),
)
async def get_events(  # noqa: PLR0917 - a place, a page and a wait
    by: Reader,
    database: DatabaseDep,
    pseudonyms: PseudonymsDep,
    source: SourceDep,
    stopping: StoppingDep,
    limit: Limit = LIMIT,
    after: Annotated[str | None, Query(max_length=128, description="`next` of the page before")] = None,
    wait: Annotated[
        int, Query(ge=0, le=_LONGEST_WAIT, description="Seconds to wait for a first event when there is none")
    ] = 0,
) -> EventsPage:
    """Every event once and in order: none is left out or comes later, in whichever order transactions commit.

    Without `after`, from the oldest event that is kept (thirty days). A caller that may name some
    processings only reads the events of those. A call that waits gets nothing once its key is revoked.
    """
    place = read_place(pseudonyms, _FEED, after)
    page = await read_events(database, by, place, limit=limit, wait=wait, stopping=stopping)
    return EventsPage(
        events=[CloudEventBody(**cloud_event(each, source)) for each in page.events],
        next=write_place(pseudonyms, _FEED, page.origin, page.next),
    )


# The route by which receivers state what they did after a consent ended.


Receiver = Annotated[Caller, Depends(Needs(Scope.EVENTS_ACKNOWLEDGE))]
_MOST = 2**53
_EXAMPLE: dict[str, Any] = {
    "event": "0199c2f0-5b5e-7c3a-9a51-0d7f7a1f4e11",
    "effect": "derived_data_erased",
    "count": 12,
}


class NewEffect(WireModel):
    """What was done after an event, and to how many items of derived data."""

    model_config = examples(_EXAMPLE)

    event: UUID = Field(description="The id of the event (CloudEvents `id`)")
    effect: Effect
    count: Annotated[StrictInt, Field(ge=0, le=_MOST)] | None = None


class EffectBody(BaseModel):
    """When the acknowledgement was recorded, and which effects no receiver has confirmed yet."""

    event: UUID
    effect: Effect
    acknowledged_at: datetime
    outstanding: list[Effect]


@router.post(
    "/v1/acknowledgements",
    status_code=201,
    summary="Say what was done after a consent ended",
    response_model=EffectBody,
    responses=problems((404, "The event ended no consent, or is not kept any more.")),
)
async def post_acknowledgement(body: NewEffect, caller: Receiver, write: WriteDep) -> Response:
    """That the analysis stopped (`stopped`), or that what was derived from it is erased (`derived_data_erased`).

    For an event that ended a consent: a withdrawal, a refusal, an expiry, a closure, an erasure, a material version,
    an invalidation.
    The console shows what is overdue: not erased within the delay that the register gives
    (`derived_data_erased_within`). Each receiver may say it; the first one to do so closes it.
    """

    async def note(session: WriteSession) -> EffectBody:
        at, outstanding = await acknowledge_effect(session, caller, body.event, body.effect, body.count)
        return EffectBody(event=body.event, effect=body.effect, acknowledged_at=at, outstanding=outstanding)

    return await write.perform(caller, 201, note)


Manager = Annotated[Caller, Depends(Needs(Scope.WEBHOOKS_MANAGE))]
EndpointId = Annotated[UUID, Path(alias="id", description="The id of an endpoint")]

_NO_ENDPOINT = (404, "No such endpoint.")
_NO_DELIVERY = (404, "No such endpoint, or no such delivery of it.")
_FORBIDDEN = (403, "The caller lacks the scope, or the endpoint would tell of more than it may name.")
_FULL = (409, "There are as many endpoints as there may be.")


@router.post(
    "/v1/webhooks",
    status_code=201,
    summary="Send events to a receiver",
    response_model=EndpointBody,
    responses=problems(_FORBIDDEN, _FULL),
)
async def post_webhook(
    body: NewEndpoint, caller: Manager, deployment: DeploymentDep, policy: WebhookPolicyDep, write: WriteDep
) -> Response:
    """Make an endpoint. It gets each event from now on, in order for each user, until it answers 2xx.

    Signed as Standard Webhooks 1.0.0 says: `v1a` under the keys of `/.well-known/webhook-keys`.
    """

    async def register(session: WriteSession) -> EndpointBody:
        return endpoint_body(await register_webhook(session, deployment, caller, _properties(body), policy))

    return await write.perform(caller, 201, register)


@router.get("/v1/webhooks", summary="List receivers")
async def get_webhooks(caller: Manager, database: DatabaseDep) -> EndpointsPage:
    """Every endpoint, disabled ones included, with why they are."""
    async with database.read() as session:
        return EndpointsPage(items=[endpoint_body(each) for each in await list_webhooks(session, caller)])


@router.patch(
    "/v1/webhooks/{id}",
    summary="Change, disable, enable or remove a receiver",
    response_model=EndpointBody,
    responses=problems(_FORBIDDEN, _NO_ENDPOINT),
)
async def patch_webhook(
    identifier: EndpointId, body: EndpointChange, caller: Manager, policy: WebhookPolicyDep, write: WriteDep
) -> Response:
    """Change the members that are given. An endpoint that is made active again gets the events that waited, in order.

    Events that waited and are no longer wanted are dropped, dead letters too. Neither the log nor a replay gives them
    to a receiver that may not have them. `{"status": "removed"}` ends the endpoint for good.
    """

    async def change(session: WriteSession) -> EndpointBody:
        if body.status == "removed":
            return endpoint_body(await remove_webhook(session, caller, identifier), body.status)
        return endpoint_body(await change_webhook(session, caller, identifier, body.changes(), policy))

    return await write.perform(caller, 200, change)


@router.get(
    "/v1/webhooks/{id}/deliveries",
    summary="List deliveries to a receiver, or read one",
    responses=problems(_NO_ENDPOINT),
)
async def get_deliveries(  # noqa: PLR0917 - a filter and a page
    identifier: EndpointId,
    caller: Manager,
    database: DatabaseDep,
    pseudonyms: PseudonymsDep,
    status: Annotated[DeliveryStatus | None, Query(description="Only those; `dead` lists the dead letters")] = None,
    event: Annotated[UUID | None, Query(description="Only that of this event, with its attempts in `log`")] = None,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> DeliveriesPage:
    """What was sent or waits, by event, with how the last attempt ended.

    Of one `event`, every attempt too: when, what the receiver answered or what went wrong, and how long it took.
    """
    query_text = f"deliveries {caller.id} {identifier} {status} {event}"
    after = read_cursor(pseudonyms, query_text, cursor)
    async with database.read() as session:
        await find_webhook(session, caller, identifier)
        if event is not None:
            delivery = await find_delivery(session, identifier, event)
            wanted = delivery is not None and status in {None, delivery[0].status}
            return DeliveriesPage(items=[delivery_body(*delivery)] if delivery is not None and wanted else [])
        deliveries = await list_deliveries(session, identifier, status=status, after=after, limit=limit + 1)
    page = deliveries[:limit]
    return DeliveriesPage(
        items=[delivery_body(each) for each in page],
        next_cursor=write_cursor(pseudonyms, query_text, page[-1].event if len(deliveries) > limit else None),
    )


@router.post(
    "/v1/webhooks/{id}/replays",
    status_code=202,
    summary="Send an event again, or those of a span",
    response_model=Queued,
    responses=problems(_NO_DELIVERY),
)
async def post_replays(identifier: EndpointId, body: NewReplay, caller: Manager, write: WriteDep) -> Response:
    """Queue one event anew, or what was written in a span of time: what failed, or all that the endpoint wants."""

    async def replay(session: WriteSession) -> Queued:
        queued = 1
        if body.event is not None:
            await replay_delivery(session, caller, identifier, body.event)
        elif body.since is not None and body.until is not None:
            every = body.deliveries == "all"
            queued = await replay_span(session, caller, identifier, body.since, body.until, all_of_them=every)
        return Queued(queued=queued)

    return await write.perform(caller, 202, replay)
