"""Routes of controllers: the legal persons that answer for processings, whose names may change."""

from datetime import datetime
from typing import Annotated, Any, Self

from fastapi import Depends, Path, Response
from pydantic import BaseModel, Field, StrictBool, StrictStr, model_validator

from app.api.http.security import Needs, problems, strict_router
from app.api.http.services import DatabaseDep, RegisterApprovalDep, WriteDep
from app.api.http.wire import Name, RecordView, Territory, WireModel, at_fault, examples
from app.api.register.models import Contact, ControllerId, LegalName
from app.api.register.views import WaitingView
from app.auth.callers import Caller, Scope
from app.core.register import ControllerKind, GateProposal, is_identifier
from app.db.session import WriteSession
from app.operations.register.controllers import (
    ControllerDraft,
    ControllerKey,
    state_controller,
)
from app.register.store import load_controllers

router = strict_router("register")

Reader = Annotated[Caller, Depends(Needs(Scope.REGISTER_READ))]
Writer = Annotated[Caller, Depends(Needs(Scope.REGISTER_WRITE))]
Id = Annotated[ControllerId, Path(description="The id of a controller", examples=["exemple-courriel"])]

_UNKNOWN = (404, "No such controller, and no kind is given.")
_TAKEN = (
    409,
    "The id or the identifier is another controller's; another version of it waits; nobody could approve it.",
)
_EXAMPLE: dict[str, Any] = {
    "legal_name": "Exemple Courriel SAS",
    "postal_address": "1 rue de l'Exemple, 75001 Paris",
    "contact": "contact@exemple-courriel.example",
    "data_protection_officer": "dpo@exemple-courriel.example",
    "country": "FR",
}


class ControllerVersionBody(WireModel):
    """What a controller is called from now on, and where it is reached."""

    model_config = examples(_EXAMPLE)

    legal_name: LegalName
    postal_address: Annotated[StrictStr, Field(min_length=1, max_length=500)] | None = None
    contact: Contact | None = None
    data_protection_officer: Contact | None = None
    country: Territory | None = None

    def draft(self) -> ControllerDraft:
        """The register's form of it."""
        return ControllerDraft(**{name: getattr(self, name) for name in ControllerVersionBody.model_fields})


class ControllerBody(ControllerVersionBody):
    """Who a controller is: its kind and identifier, which never change, and what it is called from now on."""

    model_config = examples({"kind": "siren", "identifier": "732829320", **_EXAMPLE}, _EXAMPLE)

    kind: ControllerKind | None = Field(
        default=None,
        description="`siren`, `lei`, or `other`: whose identifier is not checked. Needed of a new one; an id without a "
        "controller is 404 otherwise",
    )
    identifier: Name | None = Field(
        default=None, description="Required of `siren` (9 digits) and `lei` (20 characters)"
    )
    same_legal_person: StrictBool = Field(
        default=False, description="Where one person decides: that it is the same legal person under another name"
    )

    @model_validator(mode="after")
    def _identifier_is_one(self) -> Self:
        if self.kind is None and self.identifier is not None:
            raise at_fault("kind", "is missing: an identifier is of a kind")
        if self.kind is not None and not is_identifier(self.kind, self.identifier):
            raise at_fault("identifier", f"is missing, or no {self.kind.value.upper()}: its check digits are wrong")
        return self


class NewController(ControllerBody):
    """A controller as a file or a form registers it: with its id."""

    id: ControllerId
    kind: ControllerKind


class ControllerVersionView(RecordView):
    """One version of a controller."""

    number: int
    legal_name: str
    postal_address: str | None = None
    contact: str | None = None
    data_protection_officer: str | None = None
    country: str | None = None
    recorded_at: datetime


class ControllerView(RecordView):
    """A controller with all of its names, the latest last."""

    id: str
    kind: ControllerKind
    identifier: str | None = None
    legal_name: str = Field(description="Its name today")
    registered_at: datetime
    versions: list[ControllerVersionView]


class ControllersPage(BaseModel):
    """All controllers, by id."""

    items: list[ControllerView]


@router.get("/v1/controllers", summary="List the controllers")
async def get_controllers(caller: Reader, database: DatabaseDep) -> ControllersPage:  # noqa: ARG001 - only readers
    """Every controller with all of its names, also those that a legal name in a processing made."""
    async with database.read() as session:
        records = await load_controllers(session)
    return ControllersPage(items=[ControllerView.of(each) for each in records.values()])


@router.put(
    "/v1/controllers/{id}",
    status_code=201,
    summary="Register a controller, or rename it",
    response_model=ControllerView,
    responses={
        **problems((403, "The caller is a program, where two persons decide."), _UNKNOWN, _TAKEN),
        202: {"model": WaitingView, "description": "It waits for a second person."},
    },
)
async def put_controller(
    identifier: Annotated[Id, Path(alias="id")],
    body: ControllerBody,
    caller: Writer,
    write: WriteDep,
    approval: RegisterApprovalDep,
) -> Response:
    """State who a controller is from now on, under an id that you choose; processings name it by that id.

    The first call registers it, with `kind` and its identifier, which never change. Each later change is a version of
    it; a call that changes nothing records nothing.

    A new legal name, address or country waits for another person (202) where SCEAU_REGISTER_APPROVAL is `two`, and so
    does a new contact once anything of one of its processings was invalidated. Of kind `other`, another name is taken
    for another legal person, and so is another country of any: each of its processings gets a material version, so that
    everybody is asked anew, unless it is stated that it is the same legal person.
    """

    async def state(session: WriteSession) -> ControllerView | WaitingView:
        known_by = ControllerKey(identifier, body.kind, body.identifier)
        made = await state_controller(
            session, caller, known_by, body.draft(), approval, same_legal_person=body.same_legal_person
        )
        return WaitingView.of(made) if isinstance(made, GateProposal) else ControllerView.of(made)

    caller.require_processing(None)
    return await write.perform(caller, 201, state)
