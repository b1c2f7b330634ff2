"""Controllers: who answers for processings, as legal persons whose names may change."""

from datetime import datetime
from typing import Annotated, Any, Self

from fastapi import Depends, Path, Response
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr, model_validator

from app.api.http.idempotency import WriteDep
from app.api.http.routing import PROBLEMS, problems, strict_router
from app.api.http.security import Needs
from app.api.http.services import DatabaseDep, RegisterApprovalDep
from app.api.http.wire import Name, Territory, WireModel, at_fault
from app.api.register.models import Contact, ControllerId, LegalName
from app.api.register.views import WaitingView
from app.auth.callers import Caller, Scope
from app.core.errors import NotFoundError
from app.core.processing import can_be_an_id
from app.core.register import ControllerKind, GateProposal, is_identifier
from app.db.session import WriteSession
from app.operations.register.controllers import (
    ControllerDraft,
    NewControllerId,
    add_controller_version,
    register_controller,
)
from app.register.records import ControllerRecord, ControllerVersion
from app.register.store import load_controllers

router = strict_router("register")

Reader = Annotated[Caller, Depends(Needs(Scope.REGISTER_READ))]
Writer = Annotated[Caller, Depends(Needs(Scope.REGISTER_WRITE))]
Id = Annotated[str, Path(max_length=100, description="The id of a controller", examples=["exemple-courriel"])]

_UNKNOWN = (404, "No such controller.")
_INVALID = (422, "Some fields are not as they should be.")
_WAITS = (409, "Another version of it waits, or a version of one of its processings; or nobody could approve it.")
_EXAMPLE: dict[str, Any] = {
    "legal_name": "Exemple Courriel SAS",
    "postal_address": "1 rue de l'Exemple, 75001 Paris",
    "contact": "contact@exemple-courriel.example",
    "data_protection_officer": "dpo@exemple-courriel.example",
    "country": "FR",
}


class ControllerVersionBody(WireModel):
    """What a controller is called from now on, and where it is reached."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    legal_name: LegalName
    postal_address: Annotated[StrictStr, Field(min_length=1, max_length=500)] | None = None
    contact: Contact | None = None
    data_protection_officer: Contact | None = None
    country: Territory | None = None

    def draft(self) -> ControllerDraft:
        """The register's form of it."""
        return ControllerDraft(
            legal_name=self.legal_name,
            postal_address=self.postal_address,
            contact=self.contact,
            data_protection_officer=self.data_protection_officer,
            country=self.country,
        )


class NewControllerVersion(ControllerVersionBody):
    """What a controller is called from now on, and where it is reached."""

    same_legal_person: StrictBool = Field(
        default=False, description="Where one person decides: that it is the same legal person under another name"
    )


class NewController(ControllerVersionBody):
    """A controller to register."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"id": "exemple-courriel", "kind": "siren", "identifier": "732829320", **_EXAMPLE}]
        }
    )

    id: ControllerId
    kind: ControllerKind = Field(description="`siren`, `lei`, or `other`: whose identifier is not checked")
    identifier: Name | None = Field(
        default=None, description="Required of `siren` (9 digits) and `lei` (20 characters)"
    )

    def controller(self) -> NewControllerId:
        """Under which id it is registered, and by which identifier it is known."""
        return NewControllerId(self.id, self.kind, self.identifier)

    @model_validator(mode="after")
    def _identifier_is_one(self) -> Self:
        if not is_identifier(self.kind, self.identifier):
            raise at_fault("identifier", f"is missing, or no {self.kind.value.upper()}: its check digits are wrong")
        return self


class ControllerVersionView(BaseModel):
    """One version of a controller."""

    number: int
    legal_name: str
    postal_address: str | None = None
    contact: str | None = None
    data_protection_officer: str | None = None
    country: str | None = None
    recorded_at: datetime

    @classmethod
    def of(cls, version: ControllerVersion) -> Self:
        """The wire form of a version."""
        return cls(**{name: getattr(version, name) for name in cls.model_fields})


class ControllerView(BaseModel):
    """A controller with all of its names, the latest last."""

    id: str
    kind: ControllerKind
    identifier: str | None = None
    legal_name: str = Field(description="Its name today")
    registered_at: datetime
    versions: list[ControllerVersionView]

    @classmethod
    def of(cls, record: ControllerRecord) -> Self:
        """The wire form of a controller."""
        return cls(
            id=record.id,
            kind=record.kind,
            identifier=record.identifier,
            legal_name=record.legal_name,
            registered_at=record.registered_at,
            versions=[ControllerVersionView.of(each) for each in record.versions],
        )


class ControllersPage(BaseModel):
    """All controllers, by id."""

    items: list[ControllerView]


@router.post(
    "/v1/controllers",
    status_code=201,
    summary="Register a controller",
    response_model=ControllerView,
    responses=problems((409, "The id or the identifier is taken."), _INVALID),
)
async def post_controller(body: NewController, caller: Writer, write: WriteDep) -> Response:
    """Register a legal person under an id of your own; processings name it by that. Its identifier never changes."""

    async def register(session: WriteSession) -> ControllerView:
        record = await register_controller(session, caller, body.controller(), body.draft())
        return ControllerView.of(record)

    caller.require_processing(None)
    return await write.perform(caller, 201, register)


@router.get(
    "/v1/controllers",
    summary="List the controllers",
    response_model_exclude_none=True,
    responses=PROBLEMS,
)
async def get_controllers(caller: Reader, database: DatabaseDep) -> ControllersPage:  # noqa: ARG001 - whoever may read
    """Every controller with all of its names, also those that a legal name in a processing made."""
    async with database.read() as session:
        records = await load_controllers(session)
    return ControllersPage(items=[ControllerView.of(each) for each in records.values()])


@router.get(
    "/v1/controllers/{id}",
    summary="Read one controller",
    response_model_exclude_none=True,
    responses=problems(_UNKNOWN, _INVALID),
)
async def get_controller(
    identifier: Annotated[Id, Path(alias="id")],
    caller: Reader,  # noqa: ARG001 - whoever may read
    database: DatabaseDep,
) -> ControllerView:
    """One controller with all of its names."""
    async with database.read() as session:
        record = (await load_controllers(session, [identifier] if can_be_an_id(identifier) else [])).get(identifier)
    if record is None:
        raise NotFoundError
    return ControllerView.of(record)


@router.post(
    "/v1/controllers/{id}/versions",
    status_code=201,
    summary="Rename a controller, or move it",
    response_model=ControllerView,
    responses={
        **problems((403, "The caller is a program, where two persons decide."), _UNKNOWN, _WAITS, _INVALID),
        202: {"model": WaitingView, "description": "It waits for a second person."},
    },
)
async def post_controller_version(
    identifier: Annotated[Id, Path(alias="id")],
    body: NewControllerVersion,
    caller: Writer,
    write: WriteDep,
    approval: RegisterApprovalDep,
) -> Response:
    """Say what a controller is called from now on, and where it is reached.

    A new legal name, address or country waits for another person (202) where SCEAU_REGISTER_APPROVAL is `two`, and so
    does a new contact once anything of one of its processings was invalidated. Of kind `other`, another name is taken
    for another legal person, and so is another country of any: each of its processings gets a material version, so that
    everybody is asked anew, unless it is stated that it is the same legal person.
    """

    async def add(session: WriteSession) -> ControllerView | WaitingView:
        made = await add_controller_version(
            session, caller, identifier, body.draft(), approval, same_legal_person=body.same_legal_person
        )
        return WaitingView.of(made) if isinstance(made, GateProposal) else ControllerView.of(made)

    caller.require_processing(None)
    if not can_be_an_id(identifier):
        raise NotFoundError
    return await write.perform(caller, 201, add)
