"""Routes about a person and every processing at once: ages, names that belong together, closures, erasures."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Response
from pydantic import BaseModel, Field, StrictBool, ValidationInfo, field_validator
from pydantic_core import PydanticKnownError

from app.api.http.security import Needs, problems, strict_router
from app.api.http.services import DeploymentDep, WriteDep
from app.api.http.wire import CivilDate, Instant, RecordView, SubjectBody, WireModel, examples
from app.auth.callers import Caller, Scope
from app.core.consent import AgeBand, CheckedHow, StatedBy
from app.core.names import NameBasis
from app.db.session import WriteSession
from app.operations.consents.close_subject import close_subject, erase_subject
from app.operations.consents.names import link_names, share_mailbox, unlink_names, unshare_mailbox
from app.operations.consents.statements import StatedAge, state_age
from app.operations.service.deployment import SubjectName

router = strict_router("consents")

Ender = Annotated[Caller, Depends(Needs(Scope.CONSENTS_WRITE, counted=False))]
"""For routes that end a consent: no rate limit refuses them."""
Eraser = Annotated[Caller, Depends(Needs(Scope.SUBJECTS_ERASE))]

_ERASED = (409, "This was recorded under this Idempotency-Key, and its subject was erased since.")
_NOT_LINKED = (404, "Nothing says that these two are one person's.")
_NOT_ONES = (
    409,
    "The person would have more than fifty names, or one of the two is a mailbox that several people share.",
)
_YVES: dict[str, Any] = {"type": "user", "id": "yves@example.fr"}
_YVES_TOO: dict[str, Any] = {"type": "user", "id": "yves.martin@example.fr"}
_ZOE: dict[str, Any] = {"type": "user", "id": "zoe@example.fr"}  # who leaves, so that Alice's consents go on


class NewAge(WireModel):
    """An age of a person, as it was stated."""

    model_config = examples(
        {"subject": _YVES, "age_band": "minor_15_plus", "stated_by": "self", "checked_how": "not_checked"}
    )

    subject: SubjectBody
    age_band: AgeBand
    stated_by: StatedBy
    checked_how: CheckedHow
    under_15_until: CivilDate | None = Field(
        default=None, description="Of `under_15`: the day (Paris) from which on the person is 15 or older"
    )
    at: Instant | None = Field(default=None, description="When it was stated, if earlier than now")

    def stated(self, subject: SubjectName) -> StatedAge:
        """The age of that person, as an operation takes it."""
        return StatedAge(subject, self.age_band, self.stated_by, self.checked_how, self.at, self.under_15_until)


class SubjectOnly(WireModel):
    """Just the user concerned."""

    model_config = examples({"subject": _ZOE})

    subject: SubjectBody


class NewName(WireModel):
    """A name, whose it is, and how the operator knows; or that it is theirs no more."""

    model_config = examples(
        {"from": _YVES, "to": _YVES_TOO, "basis": "provider_account"}, {"from": _YVES, "to": _YVES_TOO, "linked": False}
    )

    one: SubjectBody = Field(alias="from")
    other: SubjectBody = Field(alias="to")
    linked: StrictBool = True
    basis: NameBasis | None = Field(
        default=None, validate_default=True, description="Of names that are linked: how the operator knows"
    )

    @field_validator("basis")
    @classmethod
    def _of_linked_ones(cls, basis: NameBasis | None, info: ValidationInfo) -> NameBasis | None:
        linked = info.data.get("linked")
        if linked is True and basis is None:
            raise PydanticKnownError("missing")
        if linked is False and basis is not None:
            raise ValueError("is of names that are linked")
        return basis


class NameBody(RecordView):
    """What stands, and the consents that ended by it."""

    id: UUID
    basis: NameBasis
    stated_at: datetime
    ended: list[UUID] = Field(
        description="Consents of `from`, whose account was closed, and those of `to` that `from` had said no to"
    )
    closed: bool = Field(description="Whether `from` had a separate account, which was closed")


class RemovedName(BaseModel):
    """Since when `from` is no name of the person."""

    effective_at: datetime


_UNLINKED: dict[str, Any] = {"model": RemovedName, "description": "It is no name of theirs any more."}


class AgeBody(BaseModel):
    """The entry of the ledger that states an age, and since when it counts."""

    id: UUID
    age_band: AgeBand
    effective_at: datetime


class ClosureBody(RecordView):
    """The entry of the ledger, the consents that ended with the account, and since when."""

    id: UUID | None = Field(default=None, description="Absent if there was no person to erase")
    closed: list[UUID]
    effective_at: datetime


@router.post(
    "/v1/subjects/ages",
    status_code=201,
    summary="State the age of a person",
    responses=problems(_ERASED),
    response_model=AgeBody,
)
async def post_age(body: NewAge, caller: Ender, deployment: DeploymentDep, write: WriteDep) -> Response:
    """Record the age band of a person: who stated it, and how it was checked.

    It counts for every processing, and for consents given before: under 15 a consent must be given jointly (LIL
    art. 45). Once this has answered, no decision permits what the age forbids. Closing the account forgets it.
    """
    caller.require_processing(None)
    stated = body.stated(body.subject.name())

    async def state(session: WriteSession) -> AgeBody:
        entry = await state_age(session, deployment, caller, stated)
        return AgeBody(id=entry.event.id, age_band=body.age_band, effective_at=entry.event.collected_at)

    return await write.perform(caller, 201, state)


@router.post(
    "/v1/subjects/closures",
    summary="An account is closed",
    responses=problems(_ERASED),
    response_model=ClosureBody,
)
async def post_closure(body: SubjectOnly, caller: Ender, deployment: DeploymentDep, write: WriteDep) -> Response:
    """The account is closed, with all of its names: the next holder of an address starts with nothing."""
    caller.require_processing(None)

    async def close(session: WriteSession) -> ClosureBody:
        return ClosureBody.of(await close_subject(session, deployment, caller, body.subject.name()))

    return await write.perform(caller, 200, close)


@router.post(
    "/v1/subjects/erasures",
    summary="Erase a user",
    response_model=ClosureBody,
)
async def post_erasure(body: SubjectOnly, caller: Eraser, deployment: DeploymentDep, write: WriteDep) -> Response:
    """Close the account and destroy the keys of its ids (GDPR art. 17). The ledger keeps the proof, under a pseudonym.

    All names of the person are erased with the one that is given.
    """
    caller.require_processing(None)

    async def erase(session: WriteSession) -> ClosureBody:
        return ClosureBody.of(await erase_subject(session, deployment, caller, body.subject.name()))

    return await write.perform(caller, 200, erase)


@router.post(
    "/v1/subjects/links",
    status_code=201,
    summary="State that two names are one person's, or no longer",
    response_model=NameBody,
    responses={**problems(_NOT_LINKED, _NOT_ONES), 200: _UNLINKED},
)
async def post_link(body: NewName, caller: Ender, deployment: DeploymentDep, write: WriteDep) -> Response:
    """`from` becomes a name of the person of `to`: a decision by one name then counts for all names of the person.

    An account that `from` has is closed, as by `POST /v1/subjects/closures`, and its other names come with it. The
    consents of `to` go on, but for those that `from` had refused or withdrawn since. State it when one account has
    several addresses, or when the person has proved to have both; never because names look alike.

    With `"linked": false` (answered with 200) it is no name of theirs any more: nothing is permitted by it until
    somebody decides by it anew. What the person decided stays theirs, under their other names.
    """
    caller.require_processing(None)
    names = (body.one.name(), body.other.name())

    async def state(session: WriteSession) -> NameBody | RemovedName:
        if body.basis is None:
            return RemovedName(effective_at=await unlink_names(session, deployment, caller, *names))
        return NameBody.of(await link_names(session, deployment, caller, *names, body.basis))

    return await write.perform(caller, 201 if body.linked else 200, state)


# The route that states that several people share a mailbox.


_CONTACT: dict[str, Any] = {"type": "user", "id": "contact@example.fr"}


class Mailbox(WireModel):
    """A mailbox, and whether several people share it."""

    model_config = examples({"subject": _CONTACT, "shared": True})

    subject: SubjectBody
    shared: StrictBool


class MailboxBody(BaseModel):
    """What stands now, since when, and the consents that ended by it."""

    shared: bool
    effective_at: datetime
    ended: list[UUID] = Field(description="The consents of the account that the id had, which was closed")


@router.post(
    "/v1/subjects/mailboxes",
    summary="State that several people share a mailbox",
    response_model=MailboxBody,
    responses=problems((404, "Nothing says that this mailbox is shared.")),
)
async def post_mailbox(body: Mailbox, caller: Ender, deployment: DeploymentDep, write: WriteDep) -> Response:
    """Say that several people share a mailbox, such as contact@: it has no user who could consent for it.

    An account that the id has is closed. Once this has answered, every question of IV about the mailbox, or with it as
    a party whose consent is asked for, is denied (`other_party`), and a consent for it is refused with 409
    `mailbox-shared`. With `"shared": false` it is one person's again, who has not decided yet. Of several names of one
    mailbox, say it of each.
    """
    caller.require_processing(None)

    async def state(session: WriteSession) -> MailboxBody:
        change = share_mailbox if body.shared else unshare_mailbox
        closure = await change(session, deployment, caller, body.subject.name())
        return MailboxBody(shared=body.shared, effective_at=closure.effective_at, ended=list(closure.closed))

    return await write.perform(caller, 200, state)
