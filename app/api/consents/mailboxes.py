"""The route that says of a mailbox that several people share it."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Response
from pydantic import BaseModel, ConfigDict, Field

from app.api.http.idempotency import WriteDep
from app.api.http.routing import problems, strict_router
from app.api.http.security import Needs
from app.api.http.services import DeploymentDep
from app.api.http.wire import SubjectBody, WireModel
from app.auth.callers import Caller, Scope
from app.db.session import WriteSession
from app.operations.consents.names import share_mailbox, unshare_mailbox

router = strict_router("consents")

_CONTACT: dict[str, Any] = {"type": "user", "id": "contact@example.fr"}


class Mailbox(WireModel):
    """A mailbox, and whether several people share it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"subject": _CONTACT, "shared": True}]})

    subject: SubjectBody
    shared: bool


class MailboxBody(BaseModel):
    """What stands now, since when, and the consents that ended by it."""

    shared: bool
    effective_at: datetime
    ended: list[UUID] = Field(description="The consents of the account that the id had, which was closed")


@router.post(
    "/v1/subjects/mailboxes",
    summary="State that several people share a mailbox",
    response_model=MailboxBody,
    responses=problems(
        (404, "Nothing says that this mailbox is shared."), (422, "Some fields are not as they should be.")
    ),
)
async def post_mailbox(
    body: Mailbox,
    caller: Annotated[Caller, Depends(Needs(Scope.CONSENTS_WRITE, counted=False))],
    deployment: DeploymentDep,
    write: WriteDep,
) -> Response:
    """Say that several people share a mailbox, such as contact@: it has no user who could consent for it.

    An account that the id has is closed. Once this has answered, every question of IV about the mailbox, or with it as
    a party whose consent is asked for, is denied (`other_party`), and a consent for it is refused with 409
    `mailbox-shared`. With `"shared": false` it is one person's again, who has not decided yet. Of several names of one
    mailbox, say it of each.
    """
    caller.require_processing(None)

    async def state(session: WriteSession) -> MailboxBody:
        change = share_mailbox if body.shared else unshare_mailbox
        stated = await change(session, deployment, caller, body.subject.name())
        return MailboxBody(shared=body.shared, effective_at=stated.at, ended=list(stated.ended))

    return await write.perform(caller, 200, state)
