"""Routes of the register: its processings, with their versions and status."""

from typing import Annotated

from fastapi import Depends, Path, Response
from fastapi.responses import JSONResponse

from app.api.http.security import Needs, problems, strict_router
from app.api.http.services import DatabaseDep, DeploymentDep, RegisterApprovalDep, WriteDep
from app.api.register.models import NewProcessing, NewVersion, StatusBody
from app.api.register.views import (
    PreviewView,
    ProcessingsPage,
    ProcessingView,
    VersionsPage,
    WaitingView,
    previewed,
    processing_view,
    versions_view,
)
from app.auth.callers import Caller, Scope
from app.core.errors import NotFoundError
from app.core.register import GateProposal
from app.db.session import ReadSession, WriteSession
from app.operations.register.add_version import add_version, change_status, preview_processing, register_processing
from app.register.gate import read_register
from app.register.records import Registered
from app.register.store import load_invalidations

router = strict_router("register")

Reader = Annotated[Caller, Depends(Needs(Scope.REGISTER_READ))]
Writer = Annotated[Caller, Depends(Needs(Scope.REGISTER_WRITE))]
Id = Annotated[str, Path(max_length=100, description="The id of a processing", examples=["ads-mail"])]

_UNKNOWN = (404, "No such processing.")
_PERSONS = (403, "The caller is a program: where two persons decide, a person proposes.")


@router.post(
    "/v1/processings",
    status_code=201,
    summary="Register a processing",
    response_model=ProcessingView,
    responses={
        **problems(_PERSONS, (409, "The id is taken; or nobody could approve it.")),
        200: {"model": PreviewView, "description": "The texts that would ask for consent, of a dry run."},
    },
)
async def post_processing(  # noqa: PLR0917 - a body, and the parts that it takes
    body: NewProcessing,
    caller: Writer,
    write: WriteDep,
    approval: RegisterApprovalDep,
    database: DatabaseDep,
    deployment: DeploymentDep,
) -> Response:
    """Register a processing with its first version. One processing has one purpose for ever.

    It is in force at once; where SCEAU_REGISTER_APPROVAL is `two` it is `proposed`, and denied, until another person
    has approved version 1. With `dry_run` nothing is recorded, and the answer (200) is the text that would ask for
    consent in each language, with its hash, even if the id is taken.
    """

    async def register(session: WriteSession) -> ProcessingView:
        entry = await register_processing(session, caller, body.id, body.draft(), approval)
        return processing_view(entry, entry.record.registered_at)

    caller.require_processing(body.id)
    if body.dry_run:
        async with database.read() as session:
            texts = await preview_processing(session, body.draft(), deployment.policy)
        view = PreviewView(texts={language: previewed(text) for language, text in texts.items()})
        return JSONResponse(view.model_dump(mode="json"))
    return await write.perform(caller, 201, register)


@router.get("/v1/processings", summary="List the register")
async def get_processings(caller: Reader, database: DatabaseDep) -> ProcessingsPage:
    """Every processing with its present version and status. The list is short, and not paged."""
    async with database.read() as session:
        register = await read_register(session)
        now = await session.now()
    shown = [entry for identifier, entry in register.items() if caller.may_ask_about(identifier)]
    return ProcessingsPage(items=[processing_view(entry, now) for entry in shown])


@router.get("/v1/processings/{id}", summary="Read one processing", responses=problems(_UNKNOWN))
async def get_processing(
    identifier: Annotated[Id, Path(alias="id")], caller: Reader, database: DatabaseDep
) -> ProcessingView:
    """One processing with its present version and status."""
    async with database.read() as session:
        entry = await _read(session, caller, identifier)
        return processing_view(entry, await session.now())


@router.get(
    "/v1/processings/{id}/versions",
    summary="Read the versions of a processing",
    response_model=VersionsPage,
    responses=problems(_UNKNOWN),
)
async def get_versions(identifier: Annotated[Id, Path(alias="id")], caller: Reader, database: DatabaseDep) -> Response:
    """Every version with its texts, what it changed, and how it was approved, including future and rejected versions.

    With what was invalidated of the processing, by which caller and why.
    """
    async with database.read() as session:
        entry = await _read(session, caller, identifier)
        view = versions_view(entry, await load_invalidations(session, identifier))
    return Response(view.model_dump_json(), media_type="application/json")  # with what there is not, as null


@router.post(
    "/v1/processings/{id}/versions",
    status_code=201,
    summary="Add a version",
    response_model=ProcessingView,
    responses=problems(_PERSONS, _UNKNOWN, (409, "The processing is retired, or a version of it waits.")),
)
async def post_version(
    identifier: Annotated[Id, Path(alias="id")],
    body: NewVersion,
    caller: Writer,
    write: WriteDep,
    approval: RegisterApprovalDep,
) -> Response:
    """Add a full new version, in force now or later. The purpose cannot change.

    `material: false` is refused if a fact on the consent page changes other than by narrowing. A material version
    makes every consent given before it stale once it is in force. Words that change in a version that is not material
    wait for another person. Where SCEAU_REGISTER_APPROVAL is `two`, so does every version that does not narrow or is
    to come into force later, and every version at all once anything of the processing was invalidated:
    `proposed_version` tells.
    """

    async def add(session: WriteSession) -> ProcessingView:
        entry = await add_version(
            session,
            caller,
            identifier,
            body.draft(body.reason),
            approval,
            material=body.material,
            effective_from=body.effective_from,
        )
        return processing_view(entry, await session.now())

    caller.require_processing(identifier)
    return await write.perform(caller, 201, add)


@router.patch(
    "/v1/processings/{id}",
    summary="Suspend, resume or retire a processing",
    response_model=ProcessingView,
    responses={
        **problems(_PERSONS, _UNKNOWN, (409, "The processing is retired, or not approved yet.")),
        202: {"model": WaitingView, "description": "It waits for a second person."},
    },
)
async def patch_processing(
    identifier: Annotated[Id, Path(alias="id")],
    body: StatusBody,
    caller: Writer,
    write: WriteDep,
    approval: RegisterApprovalDep,
) -> Response:
    """Give a processing a status from now on. A suspended or retired one is denied, even where consents are in force.

    A suspended one of IV becomes active again once another person has approved it (202), where
    SCEAU_REGISTER_APPROVAL is `two`; one of III at once.
    """

    async def change(session: WriteSession) -> ProcessingView | WaitingView:
        made = await change_status(session, caller, identifier, body.status, approval)
        return WaitingView.of(made) if isinstance(made, GateProposal) else processing_view(made, await session.now())

    caller.require_processing(identifier)
    return await write.perform(caller, 200, change)


async def _read(session: ReadSession, caller: Caller, identifier: str) -> Registered:
    entry = (await read_register(session, [identifier])).get(identifier) if caller.may_ask_about(identifier) else None
    if entry is None:
        raise NotFoundError
    return entry
