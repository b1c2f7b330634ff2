"""Check again, inside the write's transaction, that the caller is still in force.

Between the look at a credential and the act a request waits: for a connection, for a lock, for an event to happen.
What was revoked or narrowed meanwhile is gone once that was answered (docs/callers.md), also for who waits.
"""

from collections.abc import Mapping
from uuid import UUID

from app.auth.callers import Authenticated, Caller, Scope
from app.auth.store import hold_callers, is_key_in_force, load_caller
from app.core.errors import CredentialEndedError
from app.db.session import ReadSession, WriteSession


async def confirm_caller(session: ReadSession, by: Authenticated, scope: Scope) -> Caller:
    """The caller as it is now.

    Raises:
        CredentialEndedError: it, or what it showed, is in force no longer.
        ScopeMissingError: it no longer has the scope.

    """
    return await _confirmed(session, by, await load_caller(session, by.caller.id), scope)


async def hold_with(
    session: WriteSession, by: Authenticated | None, scope: Scope, *others: UUID
) -> tuple[Caller | None, Mapping[UUID, Caller]]:
    """The acting caller as it is now, and those of the others that exist; all are locked until the transaction ends.

    A revocation waits for acts that were begun before it, and an act that comes after one finds it. `by` None is an
    operator at the command line.

    Raises:
        CredentialEndedError, ScopeMissingError: as for `confirm_caller`.

    """
    mine = () if by is None else (by.caller.id,)
    held = await hold_callers(session, {*mine, *others})
    who = None if by is None else await _confirmed(session, by, held.get(by.caller.id), scope)
    return who, held


async def _confirmed(session: ReadSession, by: Authenticated, found: Caller | None, scope: Scope) -> Caller:
    if found is None or found.revoked_at is not None:
        raise CredentialEndedError
    if by.credential != found.id:  # else it is a token, which ends by its time alone
        if not await is_key_in_force(session, by.credential):
            raise CredentialEndedError
    elif by.until is not None and await session.now() >= by.until:
        raise CredentialEndedError
    who = found.narrowed(by.caller.scopes)  # a token may have taken scopes away
    who.require(scope)
    return who
