"""Suspend, resume or retire a processing."""

from dataclasses import replace
from typing import Final

from app.audit.acts import ActKind, Target, TargetKind
from app.audit.trail import record_act
from app.auth.callers import Caller
from app.core.errors import NotFoundError, ProcessingRetiredError
from app.core.processing import Status, StatusChange
from app.core.register.errors import ProcessingNotApprovedError
from app.db.session import WriteSession
from app.operations.register.read_register import read_names
from app.register.proposals import load_proposals
from app.register.records import Registered
from app.register.store import add_status_change, lock_processing
from app.snapshot.changes import ChangeKind, record_change

_ACTS: Final = {
    Status.ACTIVE: ActKind.PROCESSING_RESUMED,
    Status.SUSPENDED: ActKind.PROCESSING_SUSPENDED,
    Status.RETIRED: ActKind.PROCESSING_RETIRED,
}


async def change_status(session: WriteSession, caller: Caller, identifier: str, status: Status) -> Registered:
    """Give a processing a status from now on; the one it has already is a no-op.

    Raises:
        NotFoundError: no such processing.
        ProcessingRetiredError: it is retired, which is final.
        ProcessingNotApprovedError: it waits for a second person, and can only be retired.

    """
    record = await lock_processing(session, identifier)
    if record is None:
        raise NotFoundError
    last = record.status_changes[-1] if record.status_changes else None
    before = last.status if last is not None else Status.ACTIVE
    await record_change(session, ChangeKind.PROCESSING, identifier.encode())
    if status is not Status.ACTIVE:
        session.narrow()
    known = Registered(record, (await load_proposals(session, [identifier]))[identifier])
    if before is status:
        return await read_names(session, known)
    if before is Status.RETIRED:
        raise ProcessingRetiredError
    if before is Status.PROPOSED and status is not Status.RETIRED:
        raise ProcessingNotApprovedError
    if status is Status.ACTIVE and record.facts.rests_on_consent:
        session.widen()
    change = StatusChange(record.next_instant(await session.now()), status)
    await add_status_change(session, identifier, change, by=caller.id)
    await record_act(session, _ACTS[status], caller.id, Target(TargetKind.PROCESSING, identifier))
    changed = replace(record, changes=(*record.changes, change))
    return await read_names(session, replace(known, record=changed))
