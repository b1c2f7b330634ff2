"""Propose and approve an import of grants: one human being alone brings in none (`app.core.register.gate`)."""

from datetime import datetime

from app.audit.trail import ActKind, Target, TargetKind, record_act
from app.auth.callers import Caller
from app.core.errors import NotFoundError
from app.core.register.errors import ImportChangedError
from app.db.session import WriteSession
from app.ledger.imports import ImportSource, approve_source, find_source, hold_source
from app.operations.service.gate import check_proposer, check_second_person


async def propose_import(
    session: WriteSession, caller: Caller, name: str, expected: int, until: datetime | None
) -> ImportSource:
    """Begin an import without a row, so that another person can approve it: so many grants, of until then.

    Raises:
        PersonsOnlyError, NoSecondPersonError: it could never be approved.

    """
    await check_proposer(session, caller)
    return await hold_source(session, name, caller.id, expected, until)


async def approve_import(
    session: WriteSession, caller: Caller, name: str, looked_at: tuple[int, datetime | None], reason: str
) -> ImportSource:
    """Approve an import of so many grants as were proposed, until then. Approving it again changes nothing.

    Raises:
        NotFoundError: no such import was begun.
        PersonsOnlyError: the caller is a program.
        OwnProposalError: the caller began it, made the caller that did, or was made by it.
        ImportChangedError: it is not what was looked at.

    """
    held = await find_source(session, name, hold=True)
    if held is None:
        raise NotFoundError("No such import was begun.")
    await check_second_person(session, caller, held.made_by)
    if looked_at != (held.expected, held.until):
        raise ImportChangedError
    if held.approved_at is not None:
        return held
    await approve_source(session, name, by=caller.id, at=await session.now(), reason=reason)
    await record_act(session, ActKind.IMPORT_APPROVED, caller.id, Target(TargetKind.IMPORT, name), {"rows": held.rows})
    return await find_source(session, name) or held
