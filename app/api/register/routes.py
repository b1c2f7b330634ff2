"""The register: which processings there are, what each analyses and for what, and since when."""

from datetime import datetime
from typing import Annotated

from fastapi import Depends, Path, Response

from app.api.http.idempotency import WriteDep
from app.api.http.routing import PROBLEMS, problems, strict_router
from app.api.http.security import Needs
from app.api.http.services import DatabaseDep, DeploymentDep, RegisterApprovalDep
from app.api.register.models import NewProcessing, NewVersion, RulingBody, StatusBody
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
from app.operations.decisions.from_database import present
from app.operations.register.add_version import add_version, change_status, preview_processing, register_processing
from app.operations.register.proposals import approve_version, reject_version
from app.register.gate import read_register
from app.register.records import Registered

router = strict_router("register")

Reader = Annotated[Caller, Depends(Needs(Scope.REGISTER_READ))]
Writer = Annotated[Caller, Depends(Needs(Scope.REGISTER_WRITE))]
Approver = Annotated[Caller, Depends(Needs(Scope.REGISTER_APPROVE))]
Id = Annotated[str, Path(max_length=100, description="The id of a processing", examples=["ads-mail"])]

_UNKNOWN = (404, "No such processing.")
_INVALID = (422, "Some fields are not as they should be.")
_PERSONS = (403, "The caller is a program: where two persons decide, a person proposes.")


@router.post(
    "/v1/processings",
    status_code=201,
    summary="Register a processing",
    response_model=ProcessingView,
    responses=problems(_PERSONS, (409, "The id is taken; or nobody could approve it."), _INVALID),
)
async def post_processing(
    body: NewProcessing, caller: Writer, write: WriteDep, approval: RegisterApprovalDep
) -> Response:
    """Register a processing with its first version. One processing has one purpose for ever.

    It is in force at once; where SCEAU_REGISTER_APPROVAL is `two` it is `proposed`, and denied, until another person
    has approved version 1.
    """

    async def register(session: WriteSession) -> ProcessingView:
        known = await register_processing(session, caller, body.id, body.draft(), approval)
        return processing_view(known, known.record.registered_at)

    caller.require_processing(body.id)
    return await write.perform(caller, 201, register)


@router.post(
    "/v1/processings/previews",
    summary="Preview the text that asks for consent",
    responses=problems((409, "Nobody is asked about that purpose."), _INVALID),
)
async def post_preview(
    body: NewProcessing, caller: Writer, database: DatabaseDep, deployment: DeploymentDep
) -> PreviewView:
    """Show the text that a processing would ask consent with, in each language, with its hash. Nothing is recorded."""
    caller.require_processing(body.id)
    async with database.read() as session:
        texts = await preview_processing(session, body.draft(), deployment.policy)
    return PreviewView(texts={language: previewed(text) for language, text in texts.items()})


@router.get(
    "/v1/processings",
    summary="List the register",
    response_model_exclude_none=True,
    responses=PROBLEMS,
)
async def get_processings(caller: Reader, database: DatabaseDep) -> ProcessingsPage:
    """Every processing with its present version and status. A register holds tens of entries: they come whole."""
    async with database.read() as session:
        register = await read_register(session)
        now = await session.now()
    shown = [known for identifier, known in register.items() if caller.may_ask_about(identifier)]
    return ProcessingsPage(items=[_view(known, now) for known in shown])


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
        known = await _read(session, caller, identifier)
        return _view(known, await session.now())


@router.get(
    "/v1/processings/{id}/versions",
    summary="Read the versions of a processing",
    responses=problems(_UNKNOWN, _INVALID),
)
async def get_versions(
    identifier: Annotated[Id, Path(alias="id")], caller: Reader, database: DatabaseDep
) -> VersionsPage:
    """Every version with its texts, what it changed, and how it was approved; those to come and rejected ones too."""
    async with database.read() as session:
        return versions_view(await _read(session, caller, identifier))


@router.post(
    "/v1/processings/{id}/versions",
    status_code=201,
    summary="Add a version",
    response_model=ProcessingView,
    responses=problems(_PERSONS, _UNKNOWN, (409, "The processing is retired, or a version of it waits."), _INVALID),
)
async def post_version(
    identifier: Annotated[Id, Path(alias="id")],
    body: NewVersion,
    caller: Writer,
    write: WriteDep,
    approval: RegisterApprovalDep,
) -> Response:
    """Add a full new version, in force now or later. The purpose cannot change.

    `material: false` is refused when a fact that people are told changes other than by narrowing. A material version
    makes every consent given before it stale once it is in force. Words that change in a version that is not material
    wait for another person. Where SCEAU_REGISTER_APPROVAL is `two`, so does every version that does not narrow or is
    to come into force later, and every version at all once anything of the processing was invalidated:
    `proposed_version` tells.
    """

    async def add(session: WriteSession) -> ProcessingView:
        known = await add_version(
            session,
            caller,
            identifier,
            body.draft(body.reason),
            approval,
            material=body.material,
            effective_from=body.effective_from,
        )
        return _view(known, await session.now())

    caller.require_processing(identifier)
    return await write.perform(caller, 201, add)


_RULINGS = problems(
    (403, "The caller is a program, or the proposal is its own."),
    _UNKNOWN,
    (409, "The version does not wait, or the processing is retired."),
    _INVALID,
)


@router.post(
    "/v1/processings/{id}/approvals",
    status_code=201,
    summary="Approve what another person proposed",
    response_model=ProcessingView,
    responses=_RULINGS,
)
async def post_approval(
    identifier: Annotated[Id, Path(alias="id")], body: RulingBody, caller: Approver, write: WriteDep
) -> Response:
    """Approve a proposed version: it is in force from now on, or from its own instant if that is later.

    For persons: never for who proposed it, nor for whoever may be the same human being, by who made the two callers.
    The reason is kept.
    """

    async def approve(session: WriteSession) -> ProcessingView:
        known = await approve_version(session, caller, identifier, body.version, body.reason)
        return _view(known, await session.now())

    caller.require_processing(identifier)
    return await write.perform(caller, 201, approve)


@router.post(
    "/v1/processings/{id}/rejections",
    status_code=201,
    summary="Reject what was proposed",
    response_model=ProcessingView,
    responses=_RULINGS,
)
async def post_rejection(
    identifier: Annotated[Id, Path(alias="id")], body: RulingBody, caller: Approver, write: WriteDep
) -> Response:
    """Reject a proposed version: it never comes into force, and a new processing is retired. The reason is kept.

    For persons. Who proposed it may take it back so.
    """

    async def reject(session: WriteSession) -> ProcessingView:
        known = await reject_version(session, caller, identifier, body.version, body.reason)
        return _view(known, await session.now())

    caller.require_processing(identifier)
    return await write.perform(caller, 201, reject)


@router.patch(
    "/v1/processings/{id}",
    summary="Suspend, resume or retire a processing",
    response_model=ProcessingView,
    responses={
        **problems(_PERSONS, _UNKNOWN, (409, "The processing is retired, or not approved yet."), _INVALID),
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
    """Give a processing a status from now on. A suspended or retired one is denied whatever consents there are.

    A suspended one of IV becomes active again once another person has approved it (202), where
    SCEAU_REGISTER_APPROVAL is `two`; one of III at once.
    """

    async def change(session: WriteSession) -> ProcessingView | WaitingView:
        made = await change_status(session, caller, identifier, body.status, approval)
        return WaitingView.of(made) if isinstance(made, GateProposal) else _view(made, await session.now())

    caller.require_processing(identifier)
    return await write.perform(caller, 200, change)


def _view(known: Registered, now: datetime) -> ProcessingView:
    return processing_view(known, present(now, {}, known.record))


async def _read(session: ReadSession, caller: Caller, identifier: str) -> Registered:
    known = (await read_register(session, [identifier])).get(identifier) if caller.may_ask_about(identifier) else None
    if known is None:
        raise NotFoundError
    return known
