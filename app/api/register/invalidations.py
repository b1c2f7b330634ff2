"""Invalidations of versions and texts that proved unlawful. Consents to these no longer permit anything."""

from datetime import datetime
from typing import Annotated, Self

from fastapi import Depends, Path, Response
from fastapi.responses import JSONResponse
from pydantic import Field, StrictBool, StrictInt, StrictStr, model_validator

from app.api.http.security import Needs, problems, strict_router
from app.api.http.services import DatabaseDep, DeploymentDep, WriteDep
from app.api.http.wire import RecordView, WireModel, at_fault, examples
from app.api.register.models import Reason
from app.api.register.views import InvalidationView
from app.auth.callers import Caller, Scope
from app.core.register import Struck
from app.db.session import WriteSession
from app.operations.register.invalidate_processing import invalidate_processing, preview_invalidation

router = strict_router("register")

Writer = Annotated[Caller, Depends(Needs(Scope.REGISTER_WRITE))]
Id = Annotated[str, Path(alias="id", max_length=100, description="The id of a processing", examples=["ads-mail"])]

_UNKNOWN = (404, "No such processing.")
_NOT_CONSENT = (409, "Its purpose does not rest on consent; or the page has shown that notice: name the version.")


class NewInvalidation(WireModel):
    """What proved unlawful: a version of the processing, or a text; and why."""

    model_config = examples(
        {"version": 1, "reason": "The notice did not name the recipient.", "dry_run": True},
        {"text": "ab" * 32, "reason": "The French page did not say how long data are kept."},
    )

    version: Annotated[StrictInt, Field(ge=1, le=1_000_000)] | None = None
    text: Annotated[StrictStr, Field(pattern=r"^[0-9A-Fa-f]{64}$")] | None = Field(
        default=None, description="SHA-256 of a text as consents name it: their `presented_text_sha256`"
    )
    reason: Reason = Field(description="Kept, to answer later why these consents ended")
    dry_run: StrictBool = Field(default=False, description="Say what would end, and change nothing")

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if (self.version is None) == (self.text is None):
            raise at_fault("version", "name either a version here, or a text in text")
        return self

    def struck(self) -> Struck:
        """The core's form of what is invalidated."""
        return Struck(self.version, self.text.lower() if self.text is not None else None)


class DryRunView(RecordView):
    """What an invalidation would come to now."""

    dry_run: bool = True
    people: int = Field(description="How many people's consents in force would end")
    permits: int = Field(
        description="How many permits in the decision log rested on such a consent, whatever it is now"
    )
    first_permit_at: datetime | None = Field(default=None, description="When the first of them was given")
    sealed_permits: int = Field(
        description="How many others looked at the consents of more people, which the log keeps under seal: some of "
        "them may have rested on such a consent"
    )


@router.post(
    "/v1/processings/{id}/invalidations",
    status_code=201,
    summary="Invalidate a version or a text",
    response_model=InvalidationView,
    responses={
        **problems(_UNKNOWN, _NOT_CONSENT),
        200: {"model": DryRunView, "description": "What it would come to, of a dry run."},
    },
)
async def post_invalidation(  # noqa: PLR0917 - a body, and the parts that it takes
    identifier: Id,
    body: NewInvalidation,
    caller: Writer,
    write: WriteDep,
    database: DatabaseDep,
    deployment: DeploymentDep,
) -> Response:
    """Invalidate a version of a processing, or a text that was shown, that proves unlawful. It cannot be taken back.

    From then on no consent permits that was given to that version, or on that text: `consent_invalid`; its state is
    `invalidated`. Consents to other versions and on other texts stand. One person may do it, for it only forbids. What
    is invalidated already is answered as it is. With `dry_run` the answer (200) says how many people's consents would
    end, and how many permits rested on them.
    """
    caller.require_processing(identifier)
    if body.dry_run:
        counts = await preview_invalidation(database, deployment.policy, identifier, body.struck())
        return JSONResponse(DryRunView.of(counts).model_dump(mode="json", exclude_none=True))

    async def invalidate(session: WriteSession) -> InvalidationView:
        made = await invalidate_processing(session, caller, identifier, body.struck(), body.reason)
        return InvalidationView.of(made)

    return await write.perform(caller, 201, invalidate)
