"""The register: which processings there are, what each analyses and for what, and since when."""

from typing import Annotated

from fastapi import Depends, Path, Response

from app.api.http.idempotency import WriteDep
from app.api.http.routing import PROBLEMS, problems, strict_router
from app.api.http.security import Needs
from app.api.http.services import DatabaseDep
from app.api.register.models import (
    NewProcessing,
    NewVersion,
    ProcessingsPage,
    ProcessingView,
    StatusBody,
    VersionsPage,
    processing_view,
    version_view,
)
from app.auth.callers import Caller
from app.auth.scopes import Scope
from app.core.errors import NotFoundError
from app.db.session import WriteSession
from app.operations.decisions.evaluate_requests import present
from app.operations.register.add_version import add_version
from app.operations.register.change_status import change_status
from app.operations.register.register_processing import register_processing
from app.register.store import load_processing, load_processings

router = strict_router("register")

Reader = Annotated[Caller, Depends(Needs(Scope.REGISTER_READ))]
Writer = Annotated[Caller, Depends(Needs(Scope.REGISTER_WRITE))]
Id = Annotated[str, Path(max_length=100, description="The id of a processing", examples=["ads-mail"])]

_UNKNOWN = (404, "No such processing.")
_INVALID = (422, "Some fields are not as they should be.")


@router.post(
    "/v1/processings",
    status_code=201,
    summary="Register a processing",
    response_model=ProcessingView,
    responses=problems((409, "The id is taken."), _INVALID),
)
async def post_processing(body: NewProcessing, caller: Writer, write: WriteDep) -> Response:
    """Register a processing with its first version, in force at once. One processing has one purpose for ever."""

    async def register(session: WriteSession) -> ProcessingView:
        record = await register_processing(session, caller, body.id, body.draft())
        return processing_view(record, record.registered_at)

    caller.require_processing(body.id)
    return await write.perform(caller, 201, register)


@router.get(
    "/v1/processings",
    summary="List the register",
    response_model_exclude_none=True,
    responses=PROBLEMS,
)
async def get_processings(caller: Reader, database: DatabaseDep) -> ProcessingsPage:
    """Every processing with its present version and status. A register holds tens of entries: they come whole."""
    async with database.read() as session:
        records = await load_processings(session)
        now = await session.now()
    shown = [record for record in records.values() if caller.may_ask_about(record.id)]
    return ProcessingsPage(items=[processing_view(record, present(now, {}, record)) for record in shown])


@router.get(
    "/v1/processings/{id}",
    summary="Read one processing",
    response_model_exclude_none=True,
    responses=problems(_UNKNOWN, _INVALID),
)
async def get_processing(
    identifier: Annotated[Id, Path(alias="id")], caller: Reader, database: DatabaseDep
) -> ProcessingView:
    """One processing with its present version and status."""
    async with database.read() as session:
        record = await load_processing(session, identifier) if caller.may_ask_about(identifier) else None
        now = await session.now()
    if record is None:
        raise NotFoundError
    return processing_view(record, present(now, {}, record))


@router.get(
    "/v1/processings/{id}/versions",
    summary="Read the versions of a processing",
    responses=problems(_UNKNOWN, _INVALID),
)
async def get_versions(
    identifier: Annotated[Id, Path(alias="id")], caller: Reader, database: DatabaseDep
) -> VersionsPage:
    """Every version, those to come included, with the texts that were or will be shown and their hashes."""
    async with database.read() as session:
        record = await load_processing(session, identifier) if caller.may_ask_about(identifier) else None
    if record is None:
        raise NotFoundError
    return VersionsPage(items=[version_view(version) for version in record.versions])


@router.post(
    "/v1/processings/{id}/versions",
    status_code=201,
    summary="Add a version",
    response_model=ProcessingView,
    responses=problems(_UNKNOWN, (409, "The processing is retired."), _INVALID),
)
async def post_version(
    identifier: Annotated[Id, Path(alias="id")], body: NewVersion, caller: Writer, write: WriteDep
) -> Response:
    """Add a full new version, in force now or later. Purpose and controller cannot change.

    `material: false` is refused when an element or a data recipient is added, the retention lengthened or the party
    mode weakened. A material version makes every consent given before it stale once it is in force.
    """

    async def add(session: WriteSession) -> ProcessingView:
        record = await add_version(
            session, caller, identifier, body.draft(), material=body.material, effective_from=body.effective_from
        )
        return processing_view(record, present(await session.now(), {}, record))

    caller.require_processing(identifier)
    return await write.perform(caller, 201, add)


@router.patch(
    "/v1/processings/{id}",
    summary="Suspend, resume or retire a processing",
    response_model=ProcessingView,
    responses=problems(_UNKNOWN, (409, "The processing is retired."), _INVALID),
)
async def patch_processing(
    identifier: Annotated[Id, Path(alias="id")], body: StatusBody, caller: Writer, write: WriteDep
) -> Response:
    """Give a processing a status from now on. A suspended or retired one is denied whatever consents there are."""

    async def change(session: WriteSession) -> ProcessingView:
        record = await change_status(session, caller, identifier, body.status)
        return processing_view(record, present(await session.now(), {}, record))

    caller.require_processing(identifier)
    return await write.perform(caller, 200, change)
