"""Say what a controller is called from now on, and where it is reached: it stays the same controller."""

from dataclasses import replace

from app.audit.acts import ActKind, Target, TargetKind
from app.audit.trail import record_act
from app.auth.callers import Caller
from app.core.errors import NotFoundError
from app.db.session import WriteSession
from app.operations.register.controller_draft import ControllerDraft
from app.register.controllers import add_controller_version as append_version
from app.register.controllers import lock_controller
from app.register.records import ControllerRecord


async def add_controller_version(
    session: WriteSession, caller: Caller, identifier: str, draft: ControllerDraft
) -> ControllerRecord:
    """Append a version to a controller. No consent is touched: another name is not another controller.

    Raises:
        NotFoundError: no such controller.

    """
    record = await lock_controller(session, identifier)
    if record is None:
        raise NotFoundError
    version = draft.version(record.versions[-1].number + 1, await session.now())
    await append_version(session, identifier, version, by=caller.id)
    target = Target(TargetKind.CONTROLLER, identifier)
    await record_act(session, ActKind.CONTROLLER_VERSIONED, caller.id, target, {"version": version.number})
    return replace(record, versions=(*record.versions, version))
