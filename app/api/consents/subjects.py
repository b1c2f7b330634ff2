"""Routes about a person and every processing at once: ages, names that belong together, closures, erasures."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Response
from pydantic import BaseModel, ConfigDict, Field

from app.api.http.idempotency import WriteDep
from app.api.http.routing import problems, strict_router
from app.api.http.security import Needs
from app.api.http.services import DeploymentDep
from app.api.http.wire import CivilDate, Instant, SubjectBody, WireModel
from app.auth.callers import Caller
from app.auth.scopes import Scope
from app.core.aliases import AliasBasis
from app.core.consent import AgeBand, CheckedHow, StatedBy
from app.db.session import WriteSession
from app.operations.consents.subjects.close_subject import close_subject
from app.operations.consents.subjects.erase_subject import erase_subject
from app.operations.consents.subjects.link_names import link_names, unlink_names
from app.operations.consents.subjects.state_age import StatedAge, state_age

router = strict_router("consents")

Ender = Annotated[Caller, Depends(Needs(Scope.CONSENTS_WRITE, counted=False))]
"""For routes that end a consent: no rate limit refuses them."""
Writer = Annotated[Caller, Depends(Needs(Scope.CONSENTS_WRITE))]
Eraser = Annotated[Caller, Depends(Needs(Scope.SUBJECTS_ERASE))]

_INVALID = (422, "Some fields are not as they should be.")
_NOT_LINKED = (404, "Nothing says that these two are one person's.")
_TOO_MANY = (409, "The person would have more than fifty names.")
_YVES: dict[str, Any] = {"type": "user", "id": "yves@example.fr"}
_YVES_TOO: dict[str, Any] = {"type": "user", "id": "yves.martin@example.fr"}
_ZOE: dict[str, Any] = {"type": "user", "id": "zoe@example.fr"}  # who leaves: Alice's consents go on


class NewAge(WireModel):
    """An age of a person, as somebody stated it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"subject": _YVES, "age_band": "minor_15_plus", "stated_by": "self", "checked_how": "not_checked"}
            ]
        }
    )

    subject: SubjectBody
    age_band: AgeBand
    stated_by: StatedBy
    checked_how: CheckedHow
    under_15_until: CivilDate | None = Field(
        default=None, description="Of `under_15`: the day (Paris) from which on the person is 15 or older"
    )
    at: Instant | None = Field(default=None, description="When it was stated, if earlier than now")


class SubjectOnly(WireModel):
    """Just the user concerned."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"subject": _ZOE}]})

    subject: SubjectBody


class Names(WireModel):
    """Two names of which something is said."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"from": _YVES, "to": _YVES_TOO}]})

    one: SubjectBody = Field(alias="from")
    other: SubjectBody = Field(alias="to")


class NewAlias(Names):
    """Two names that are one person's, and how the operator knows."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"from": _YVES, "to": _YVES_TOO, "basis": "provider_account"}]}
    )

    basis: AliasBasis


class AliasBody(BaseModel):
    """What stands, and the consents that ended by it: those withdrawn under the other name since."""

    id: UUID
    basis: AliasBasis
    stated_at: datetime
    withdrawn: list[UUID]


class RemovedAlias(BaseModel):
    """Since when the two are taken for two persons."""

    effective_at: datetime


class AgeBody(BaseModel):
    """The entry of the ledger that states an age, and since when it counts."""

    id: UUID
    age_band: AgeBand
    effective_at: datetime


class ClosureBody(BaseModel):
    """The entry of the ledger, the consents that ended with the account, and since when."""

    id: UUID | None = Field(default=None, description="Absent when there was nobody to erase")
    closed: list[UUID]
    effective_at: datetime


@router.post(
    "/v1/subjects/ages",
    status_code=201,
    summary="State the age of a person",
    response_model=AgeBody,
    responses=problems(_INVALID),
)
async def post_age(body: NewAge, caller: Ender, deployment: DeploymentDep, write: WriteDep) -> Response:
    """Record the age band of a person: who stated it, and how it was checked.

    It counts for every processing, and for consents given before: under 15 a consent must be given jointly (LIL
    art. 45). Once this has answered, no decision permits what the age forbids. Closing the account forgets it.
    """
    caller.require_processing(None)
    stated = StatedAge(
        body.subject.name(), body.age_band, body.stated_by, body.checked_how, body.at, body.under_15_until
    )

    async def state(session: WriteSession) -> AgeBody:
        entry = await state_age(session, deployment, caller, stated)
        return AgeBody(id=entry.event.id, age_band=body.age_band, effective_at=entry.event.collected_at)

    return await write.perform(caller, 201, state)


@router.post(
    "/v1/subjects/closures",
    summary="An account is closed",
    response_model=ClosureBody,
    responses=problems(_INVALID),
)
async def post_closure(body: SubjectOnly, caller: Ender, deployment: DeploymentDep, write: WriteDep) -> Response:
    """The account is closed: the next holder of the address starts with nothing."""
    caller.require_processing(None)

    async def close(session: WriteSession) -> ClosureBody:
        closure = await close_subject(session, deployment, caller, body.subject.name())
        return ClosureBody(id=closure.id, closed=list(closure.closed), effective_at=closure.effective_at)

    return await write.perform(caller, 200, close)


@router.post(
    "/v1/subjects/erasures",
    summary="Erase a user",
    response_model=ClosureBody,
    responses=problems(_INVALID),
)
async def post_erasure(body: SubjectOnly, caller: Eraser, deployment: DeploymentDep, write: WriteDep) -> Response:
    """Close the account and destroy the key of its id (GDPR art. 17). The ledger keeps the proof, under a pseudonym."""
    caller.require_processing(None)

    async def erase(session: WriteSession) -> ClosureBody:
        closure = await erase_subject(session, deployment, caller, body.subject.name())
        return ClosureBody(id=closure.id, closed=list(closure.closed), effective_at=closure.effective_at)

    return await write.perform(caller, 200, erase)


@router.post(
    "/v1/subjects/links",
    status_code=201,
    summary="State that two names are one person's",
    response_model=AliasBody,
    responses=problems(_TOO_MANY, _INVALID),
)
async def post_link(body: NewAlias, caller: Ender, deployment: DeploymentDep, write: WriteDep) -> Response:
    """A refusal, a withdrawal or a closure under one is recorded under the other too, from now on; a consent never is.

    What was consented to under one name and refused or withdrawn under the other since ends with this. State it when
    one account has several addresses, or when the person has proved to have both; never because names look alike.
    """
    caller.require_processing(None)
    names = (body.one.name(), body.other.name())

    async def link(session: WriteSession) -> AliasBody:
        stated = await link_names(session, deployment, caller, *names, body.basis)
        alias = stated.alias
        return AliasBody(id=alias.id, basis=alias.basis, stated_at=alias.stated_at, withdrawn=list(stated.withdrawn))

    return await write.perform(caller, 201, link)


@router.post(
    "/v1/subjects/links/removals",
    summary="Take two names for two persons again",
    response_model=RemovedAlias,
    responses=problems(_NOT_LINKED, _INVALID),
)
async def post_removal(body: Names, caller: Writer, deployment: DeploymentDep, write: WriteDep) -> Response:
    """Nothing follows from one to the other any more. What ended meanwhile stays ended."""
    caller.require_processing(None)
    names = (body.one.name(), body.other.name())

    async def unlink(session: WriteSession) -> RemovedAlias:
        return RemovedAlias(effective_at=await unlink_names(session, deployment, caller, *names))

    return await write.perform(caller, 200, unlink)
