"""Controllers: the legal persons that processings name, their names and addresses, and how either changes."""

from functools import partial
from typing import Annotated, Final

from fastapi import Path, Response

from app.api.http.security import open_to_all
from app.api.register.controllers import ControllerBody, NewController
from app.auth.callers import Scope
from app.core.errors import NotFoundError
from app.core.processing import can_be_an_id
from app.core.register import ControllerExistsError, GateProposal
from app.db.session import WriteSession
from app.operations.register.controllers import ControllerKey, state_controller
from app.pages.console.acts import ActRequest, DoneAct, act, form_of
from app.pages.console.fields import FilledForm, FormField, Kind, needed
from app.pages.console.frame import Desk, Room, router
from app.pages.console.register import RegisterDesk
from app.pages.console.tables import Cell, Table
from app.pages.dates import moment
from app.register.store import load_controllers
from app.words import Catalogue

KINDS: Final = Catalogue("console_controller_kind")
_PATH: Final = "/console/controllers"
_SAID: Final = ("legal_name", "postal_address", "contact", "data_protection_officer", "country")


@router.get(_PATH)
@open_to_all
async def show_controllers(desk: RegisterDesk) -> Response:
    """Show every controller."""
    return await _list(desk, "", None)


async def _list(desk: Desk, about: str, failed: FilledForm | None) -> Response:
    async with desk.visit.database.read() as session:
        records = await load_controllers(session)
    t = desk.t
    rows = [
        [
            Cell(record.legal_name, record.id, href=desk.address(f"{_PATH}/{record.id}")),
            Cell(KINDS[record.kind][desk.language], record.identifier or ""),
            Cell(record.versions[-1].postal_address or "—", record.versions[-1].country or ""),
            Cell(record.versions[-1].data_protection_officer or "—"),
        ]
        for record in records.values()
    ]
    context = {
        "title": t["controllers"],
        "table_of": desk.table("controllers_caption", ("controller", "identifier", "address", "officer"), rows),
        "forms": [await form_of(_add, desk, about, failed)],
        "back": (desk.address(Room.REGISTER.path), t["back_to_register"]),
    }
    return desk.page("console/controllers.html", Room.REGISTER, context, failed)


@router.get(f"{_PATH}/{{id}}")
@open_to_all
async def show_controller(identifier: Annotated[str, Path(alias="id", max_length=100)], desk: RegisterDesk) -> Response:
    """Show one controller with every name it had."""
    return await _controller(desk, identifier, None)


async def _controller(desk: Desk, about: str, failed: FilledForm | None) -> Response:
    async with desk.visit.database.read() as session:
        records = await load_controllers(session, [about] if can_be_an_id(about) else [])
    if about not in records:
        raise NotFoundError
    record = records[about]
    t, last = desk.t, record.versions[-1]
    rows = [
        [
            Cell(version.legal_name, str(version.number)),
            Cell(version.postal_address or "—", version.country or ""),
            Cell(version.contact or "—"),
            Cell(version.data_protection_officer or "—"),
            Cell(moment(version.recorded_at, desk.language)),
        ]
        for version in reversed(record.versions)
    ]
    columns = [(t[name], False) for name in ("controller", "address", "contact", "officer", "since_when")]
    sent = {name: getattr(last, name) or "" for name in _SAID}
    context = {
        "title": record.legal_name,
        "table_of": Table(f"{record.id}, {KINDS[record.kind][desk.language]} {record.identifier or ''}", columns, rows),
        "forms": [await form_of(_rename, desk, about, failed, sent)],
        "back": (desk.address(_PATH), t["back_to_controllers"]),
    }
    return desk.page("console/controllers.html", Room.REGISTER, context, failed)


_FIELDS: Final = (
    needed("legal_name", most=300),
    FormField("postal_address", most=500),
    FormField("country", most=2),
    FormField("contact", most=300),
    FormField("data_protection_officer", most=300),
)


_NEW_FIELDS: Final = (
    needed("id", most=100),
    needed("kind", Kind.CHOICE, KINDS, word="controller_kind"),
    FormField("identifier", most=128),
    *_FIELDS,
)


_writes = partial(act, needs=Scope.REGISTER_WRITE, unrestricted=True)


@_writes("add_controller", back=_list, model=NewController, fields=_NEW_FIELDS)
async def _add(session: WriteSession, request: ActRequest) -> DoneAct:
    body: NewController = request.body
    if await load_controllers(session, [body.id]):
        raise ControllerExistsError
    known_by, approval = ControllerKey(body.id, body.kind, body.identifier), request.desk.services.register_approval
    await state_controller(session, request.desk.caller, known_by, body.draft(), approval)
    return DoneAct(f"{_PATH}/{body.id}", "add_controller")


@_writes(
    "rename_controller",
    back=_controller,
    model=ControllerBody,
    fields=(*_FIELDS, FormField("same_legal_person", Kind.CHECK)),
)
async def _rename(session: WriteSession, request: ActRequest) -> DoneAct:
    desk, body = request.desk, request.body
    if not can_be_an_id(request.about):
        raise NotFoundError
    made = await state_controller(
        *(session, desk.caller, ControllerKey(request.about), body.draft(), desk.services.register_approval),
        same_legal_person=body.same_legal_person,
    )
    waits = isinstance(made, GateProposal)
    return DoneAct(f"{_PATH}/{request.about}", "rename_controller_waits" if waits else "rename_controller")
