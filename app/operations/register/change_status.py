"""Suspend, resume or retire a processing."""

from dataclasses import replace
from typing import Final

from app.audit.trail import ActKind, Target, TargetKind, record_act
from app.auth.callers import Caller
from app.core.errors import NotFoundError, ProcessingRetiredError
from app.core.processing import Status, StatusChange
from app.core.register import Gated, GateProposal, NotProposedError, ProcessingNotApprovedError, RegisterApproval
from app.db.session import WriteSession
from app.operations.register.read_register import read_names
from app.operations.service.gate import pass_gate
from app.register.proposals import load_proposals
from app.register.records import ProcessingRecord, Registered
from app.register.store import add_status_change, lock_processing
from app.snapshot.tables import ChangeKind, record_change

_ACTS: Final = {
    Status.ACTIVE: ActKind.PROCESSING_RESUMED,
    Status.SUSPENDED: ActKind.PROCESSING_SUSPENDED,
    Status.RETIRED: ActKind.PROCESSING_RETIRED,
}


async def change_status(
    session: WriteSession, caller: Caller, identifier: str, status: Status, approval: RegisterApproval
) -> Registered | GateProposal:
    """Give a processing a status from now on; the one it has already is a no-op.

    A processing of IV that is suspended resumes once a second person has approved it, where two are asked for. One of
    III resumes at once: mail must not wait.

    Raises:
        NotFoundError: no such processing.
        ProcessingRetiredError: it is retired, which is final.
        ProcessingNotApprovedError: it waits for a second person, and can only be retired.
        PersonsOnlyError, NoSecondPersonError: nobody could approve that it resumes.

    """
    record = await _hold(session, identifier)
    last = record.status_changes[-1] if record.status_changes else None
    before = last.status if last is not None else Status.ACTIVE
    await record_change(session, ChangeKind.PROCESSING, identifier.encode())
    if status is not Status.ACTIVE:
        session.narrow()
    if before is status:
        return await _with_names(session, record)
    if before is Status.RETIRED:
        raise ProcessingRetiredError
    if before is Status.PROPOSED and status is not Status.RETIRED:
        raise ProcessingNotApprovedError
    if status is Status.ACTIVE and record.facts.rests_on_consent:
        now = await session.now()
        wanted = GateProposal(session.new_id(now), Gated.RESUMPTION, identifier, {}, now, caller.id)
        waits = await pass_gate(session, caller, approval, wanted)
        if waits is not None:
            return waits
        session.widen()
    return await _change(session, caller, record, status)


async def resume(session: WriteSession, caller: Caller, identifier: str) -> None:
    """Resume a suspended processing of IV, which a second person has approved.

    Raises:
        NotFoundError: no such processing.
        NotProposedError: it is not suspended any more.

    """
    record = await _hold(session, identifier)
    if not record.status_changes or record.status_changes[-1].status is not Status.SUSPENDED:
        raise NotProposedError
    session.widen()
    await record_change(session, ChangeKind.PROCESSING, identifier.encode())
    await _change(session, caller, record, Status.ACTIVE)


async def _hold(session: WriteSession, identifier: str) -> ProcessingRecord:
    record = await lock_processing(session, identifier)
    if record is None:
        raise NotFoundError
    return record


async def _change(session: WriteSession, caller: Caller, record: ProcessingRecord, status: Status) -> Registered:
    change = StatusChange(record.next_instant(await session.now()), status)
    await add_status_change(session, record.id, change, by=caller.id)
    await record_act(session, _ACTS[status], caller.id, Target(TargetKind.PROCESSING, record.id))
    return await _with_names(session, replace(record, changes=(*record.changes, change)))


async def _with_names(session: WriteSession, record: ProcessingRecord) -> Registered:
    return await read_names(session, Registered(record, (await load_proposals(session, [record.id]))[record.id]))
