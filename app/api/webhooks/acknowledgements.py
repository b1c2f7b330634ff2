"""Where receivers say what they did after a consent ended."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Response
from pydantic import BaseModel, ConfigDict, Field, StrictInt

from app.api.http.idempotency import WriteDep
from app.api.http.routing import problems, strict_router
from app.api.http.security import Needs
from app.api.http.wire import WireModel
from app.auth.callers import Caller, Scope
from app.db.session import WriteSession
from app.events.effects import Effect
from app.operations.webhooks.effects import acknowledge_effect

router = strict_router("events")

Receiver = Annotated[Caller, Depends(Needs(Scope.EVENTS_ACKNOWLEDGE))]
_MOST = 2**53
_EXAMPLE: dict[str, Any] = {
    "event": "0199c2f0-5b5e-7c3a-9a51-0d7f7a1f4e11",
    "effect": "derived_data_erased",
    "count": 12,
}


class NewEffect(WireModel):
    """What was done after an event, and to how many items of derived data."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    event: UUID = Field(description="The id of the event (CloudEvents `id`)")
    effect: Effect
    count: Annotated[StrictInt, Field(ge=0, le=_MOST)] | None = None


class EffectBody(BaseModel):
    """When it was taken note of, and what nobody said to have done yet."""

    event: UUID
    effect: Effect
    acknowledged_at: datetime
    outstanding: list[Effect]


@router.post(
    "/v1/acknowledgements",
    status_code=201,
    summary="Say what was done after a consent ended",
    response_model=EffectBody,
    responses=problems(
        (404, "The event ended no consent, or is not kept any more."), (422, "Some fields are not as they should be.")
    ),
)
async def post_acknowledgement(body: NewEffect, caller: Receiver, write: WriteDep) -> Response:
    """That the analysis stopped (`stopped`), or that what was derived from it is erased (`derived_data_erased`).

    For an event that ended a consent: a withdrawal, a refusal, an expiry, a closure, an erasure, a material version.
    The dashboard shows what is overdue: not erased within the delay that the register gives
    (`derived_data_erased_within`). Each receiver may say it; the first one to do so closes it.
    """

    async def note(session: WriteSession) -> EffectBody:
        noted = await acknowledge_effect(session, caller, body.event, body.effect, body.count)
        return EffectBody(
            event=body.event, effect=noted.effect, acknowledged_at=noted.at, outstanding=noted.outstanding
        )

    return await write.perform(caller, 201, note)
