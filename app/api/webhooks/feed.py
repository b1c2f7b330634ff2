"""The pull feed: domain events in order, for receivers that would rather poll than listen."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from app.api.http.paging import LIMIT, Limit, read_place, write_place
from app.api.http.routing import problems, strict_router
from app.api.http.security import Needs, as_shown
from app.api.http.services import DatabaseDep, PseudonymsDep, SourceDep, StoppingDep
from app.auth.callers import Authenticated, Scope
from app.events.sender import EXAMPLE, cloud_event
from app.operations.webhooks.read_events import read_events

router = strict_router("events")

Reader = Annotated[Authenticated, Depends(as_shown(Needs(Scope.CONSENTS_READ)))]
_FEED = "events"
_LONGEST_WAIT = 20


class CloudEventBody(BaseModel):
    """One event as CloudEvents 1.0 in JSON. `data` names the consent and its processing, never a user."""

    model_config = ConfigDict(json_schema_extra={"examples": [dict(EXAMPLE)]})

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
    responses=problems(
        (410, "Events after this cursor are no longer kept."), (422, "Some fields are not as they should be.")
    ),
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
    """Every event once and in order: none is left out or comes later, whatever order transactions commit in.

    Without `after`, from the oldest event that is kept (`SCEAU_EVENT_RETENTION`). A caller that may name some
    processings only reads the events of those. A call that waits gets nothing once its key is revoked.
    """
    place = read_place(pseudonyms, _FEED, after)
    page = await read_events(database, by, place, limit=limit, wait=wait, stopping=stopping)
    return EventsPage(
        events=[CloudEventBody(**cloud_event(each, source)) for each in page.events],
        next=write_place(pseudonyms, _FEED, page.next),
    )
