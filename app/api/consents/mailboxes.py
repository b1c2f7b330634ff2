"""The route that says of a mailbox that several people share it."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from app.api.http.idempotency import WriteDep
from app.api.http.routing import problems, strict_router
from app.api.http.security import Needs
from app.api.http.services import DeploymentDep
from app.api.http.wire import SubjectBody, WireModel
from app.auth.callers import Caller
from app.auth.scopes import Scope
from app.core.aliases import MOST_HOLDERS
from app.db.session import WriteSession
from app.operations.consents.subjects.share_mailbox import share_mailbox, unshare_mailbox

router = strict_router("consents")

_CONTACT: dict[str, Any] = {"type": "user", "id": "contact@example.fr"}
_HOLDERS: list[Any] = [{"type": "user", "id": f"{name}@example.fr"} for name in ("yves", "rose")]


class Mailbox(WireModel):
    """A mailbox, and whether several people share it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"subject": _CONTACT, "shared": True, "holders": _HOLDERS}]}
    )

    subject: SubjectBody
    shared: bool
    holders: list[SubjectBody] = Field(
        default=[],
        max_length=MOST_HOLDERS,
        description="Everybody who shares it, each under a name of their own; with none named, IV is denied",
    )

    @model_validator(mode="after")
    def _holders_share(self) -> "Mailbox":
        if self.holders and not self.shared:
            message = "a mailbox that is not shared has no holders: leave them out, or say shared: true"
            raise ValueError(message)
        return self


class MailboxBody(BaseModel):
    """What stands now, and since when."""

    id: UUID | None = Field(default=None, description="The statement; absent of a mailbox that is not shared")
    shared: bool
    holders: int = Field(description="How many holders are named")
    effective_at: datetime


@router.post(
    "/v1/subjects/mailboxes",
    summary="State who shares a mailbox",
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
    """Say that several people share a mailbox, such as contact@: what rests on consent needs that of each of them.

    The consent under the mailbox's own name is wanted besides. Each statement takes the place of the one before; once
    it has answered, no decision about the mailbox permits what a holder has not consented to. Closing the account
    forgets it. With `"shared": false` the mailbox is one person's again.
    """
    caller.require_processing(None)

    async def state(session: WriteSession) -> MailboxBody:
        mailbox = body.subject.name()
        if not body.shared:
            since = await unshare_mailbox(session, deployment, caller, mailbox)
            return MailboxBody(shared=False, holders=0, effective_at=since)
        holders = [each.name() for each in body.holders]
        stated = await share_mailbox(session, deployment, caller, mailbox, holders)
        return MailboxBody(id=stated.id, shared=True, holders=stated.holders, effective_at=stated.stated_at)

    return await write.perform(caller, 200, state)
