"""The permits that had relied on what was invalidated: who analysed what, so that it can be put right."""

from typing import Annotated

from fastapi import Depends, Path

from app.api.audit.decision_log import DecisionsPage, logged_body
from app.api.http.paging import LIMIT, Cursor, Limit, read_cursor, write_cursor
from app.api.http.routing import problems, strict_router
from app.api.http.security import Needs
from app.api.http.services import DatabaseDep, DeploymentDep
from app.auth.callers import Caller, Scope
from app.core.errors import NotFoundError
from app.core.processing import can_be_an_id
from app.operations.audit.reading import list_relying_permits

router = strict_router("audit")

Auditor = Annotated[Caller, Depends(Needs(Scope.AUDIT_READ))]


@router.get(
    "/v1/processings/{id}/invalidations/{number}/permits",
    summary="List the permits that had relied on what was invalidated",
    response_model_exclude_none=True,
    responses=problems(
        (404, "No such processing, or no such invalidation of it."), (422, "Some fields are not as they should be.")
    ),
)
async def get_relying_permits(  # noqa: PLR0917 - a query's parts
    identifier: Annotated[
        str, Path(alias="id", max_length=100, description="The id of a processing", examples=["ads-mail"])
    ],
    number: Annotated[int, Path(ge=1, le=1_000_000, description="The number of an invalidation of it")],
    caller: Auditor,
    database: DatabaseDep,
    deployment: DeploymentDep,
    cursor: Cursor = None,
    limit: Limit = LIMIT,
) -> DecisionsPage:
    """List the permits in the decision log that rested on such a consent of the user, newest first.

    Permits that rested on such a consent of another party are not among them: whose those were is sealed in the log.
    Nor are those of days that the log dropped. A page may hold fewer than asked for, or none: there are more as long as
    there is a `next_cursor`.
    """
    caller.require_processing(identifier)
    if not can_be_an_id(identifier):
        raise NotFoundError
    pseudonyms, asked = deployment.pseudonyms, f"relying {caller.id} {identifier} {number}"
    before = read_cursor(pseudonyms, asked, cursor)
    async with database.write() as session:
        page = await list_relying_permits(session, caller, identifier, number, before, limit)
    return DecisionsPage(
        items=[logged_body(each) for each in page.items],
        next_cursor=write_cursor(pseudonyms, asked, page.next_before),
    )
