"""Shared by the operations that write versions: which controllers' records a version names."""

from app.auth.callers import Caller
from app.core.errors import InvalidVersionError
from app.core.register.controllers import ControllerKind, id_of_name
from app.db.session import ReadSession, WriteSession
from app.operations.register.version_draft import VersionDraft
from app.register.controllers import add_controller, load_controllers
from app.register.records import ControllerRecord, ControllerVersion


async def find_controllers(session: ReadSession, draft: VersionDraft) -> tuple[ControllerRecord | None, ...]:
    """The records that a draft names, in its order; None for a legal name that has no record yet.

    A legal name stands for the record of kind `other` that has it today, the first by id if there are several; else
    for the record under the id that is derived from it (`id_of_name`), whatever that is called by now.

    Raises:
        InvalidVersionError: an id is no controller's.

    """
    if draft.controller is not None:
        known = await load_controllers(session)
        named = (
            each for each in known.values() if each.kind is ControllerKind.OTHER and each.legal_name == draft.controller
        )
        return (next(named, known.get(id_of_name(draft.controller))),)
    found = await load_controllers(session, draft.controllers)
    if len(found) < len(set(draft.controllers)):
        message = "One of the controllers is not registered: POST /v1/controllers first."
        raise InvalidVersionError(message, field="controllers")
    return tuple(found[each] for each in draft.controllers)


async def resolve_controllers(
    session: WriteSession, caller: Caller, draft: VersionDraft
) -> tuple[ControllerRecord, ...]:
    """The records that a draft names, in its order; one is made for a legal name that has none.

    Raises:
        InvalidVersionError: an id is no controller's.

    """
    found = await find_controllers(session, draft)
    return tuple([each or await _made(session, caller, draft.controller or "") for each in found])


async def _made(session: WriteSession, caller: Caller, legal_name: str) -> ControllerRecord:
    now = await session.now()
    first = ControllerVersion(1, legal_name, now)
    record = ControllerRecord(id_of_name(legal_name), ControllerKind.OTHER, None, now, (first,))
    await add_controller(session, record, by=caller.id)  # on the trail it is part of the act that names it
    return record
