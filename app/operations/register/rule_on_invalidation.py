"""Approve or reject an invalidation that another person proposed."""

from dataclasses import replace

from app.audit.acts import ActKind, Target, TargetKind
from app.audit.trail import record_act
from app.auth.callers import Caller
from app.core.errors import NotFoundError
from app.core.register.errors import NotProposedError
from app.core.register.invalidation import InvalidationState
from app.db.session import WriteSession
from app.operations.register.invalidate_processing import check_struck, put_in_force
from app.operations.service.second_person import check_person, check_second_person
from app.register.invalidations import InvalidationRecord, Ruled, add_invalidation_rejection, load_invalidations
from app.register.records import ProcessingRecord
from app.register.store import lock_processing


async def approve_invalidation(
    session: WriteSession, caller: Caller, identifier: str, number: int, reason: str
) -> InvalidationRecord:
    """Approve an invalidation: it is in force from now on.

    Raises:
        NotFoundError: no such processing, or no such invalidation of it.
        NotProposedError: it does not wait.
        PersonsOnlyError: the caller is a program.
        OwnProposalError: the caller proposed it, made the caller that did, or was made by it.
        NoticeOnPagesError: it is about a notice that the page has shown since it was proposed.

    """
    record, waiting = await _find(session, identifier, number)
    await check_struck(session, record, waiting.struck)  # the page may have shown it since
    await check_second_person(session, caller, waiting.by)
    at = record.next_instant(await session.now())
    approved = replace(waiting, at=at, ruled=Ruled(caller.id, at, reason))
    await put_in_force(session, caller, identifier, approved)
    return approved


async def reject_invalidation(
    session: WriteSession, caller: Caller, identifier: str, number: int, reason: str
) -> InvalidationRecord:
    """Reject an invalidation: it never comes into force. Who proposed it may take it back so.

    Raises:
        NotFoundError: no such processing, or no such invalidation of it.
        NotProposedError: it does not wait.
        PersonsOnlyError: the caller is a program.

    """
    _, waiting = await _find(session, identifier, number)
    check_person(caller)
    ruled = Ruled(caller.id, await session.now(), reason)
    await add_invalidation_rejection(session, identifier, number, ruled)
    target = Target(TargetKind.PROCESSING, identifier)
    await record_act(session, ActKind.INVALIDATION_REJECTED, caller.id, target, {"invalidation": number})
    return replace(waiting, ruled=ruled)


async def _find(session: WriteSession, identifier: str, number: int) -> tuple[ProcessingRecord, InvalidationRecord]:
    record = await lock_processing(session, identifier)
    if record is None:
        raise NotFoundError
    known = await load_invalidations(session, identifier)
    found = next((each for each in known if each.number == number), None)
    if found is None:
        raise NotFoundError("There is no such invalidation.")
    in_force = {each.struck for each in known if each.state is InvalidationState.IN_FORCE}
    if found.state is not InvalidationState.PROPOSED or found.struck in in_force:
        raise NotProposedError
    return record, found
