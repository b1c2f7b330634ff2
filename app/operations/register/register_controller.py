"""Register a controller: a legal person by its identifier, with its first name and address."""

from app.audit.trail import ActKind, Target, TargetKind, record_act
from app.auth.callers import Caller
from app.core.register.errors import ControllerExistsError
from app.db.session import WriteSession
from app.operations.register.controller_draft import ControllerDraft, NewControllerId
from app.register.controllers import add_controller
from app.register.records import ControllerRecord


async def register_controller(
    session: WriteSession, caller: Caller, known_by: NewControllerId, draft: ControllerDraft
) -> ControllerRecord:
    """Register a controller under an id; its identifier was checked at the edge.

    Raises:
        ControllerExistsError: the id is taken, or another controller has that identifier.

    """
    now = await session.now()
    record = ControllerRecord(known_by.id, known_by.kind, known_by.identifier, now, (draft.version(1, now),))
    if not await add_controller(session, record, by=caller.id):
        raise ControllerExistsError
    target = Target(TargetKind.CONTROLLER, known_by.id)
    await record_act(session, ActKind.CONTROLLER_REGISTERED, caller.id, target, {"kind": known_by.kind.value})
    return record
