"""Create and revoke the keys of callers. A key is shown once, when it is made."""

from dataclasses import dataclass
from uuid import UUID

from app.auth.callers import Caller, new_key
from app.auth.scopes import Scope
from app.auth.store import add_caller, is_empty, load_caller, mark_revoked
from app.core.errors import NotFoundError, ScopeNotHeldError
from app.db.session import WriteSession
from app.snapshot.changes import ChangeKind, record_change


@dataclass(frozen=True, slots=True)
class NewCaller:
    """What a new caller is called and allowed; `processings` None allows every one."""

    name: str
    scopes: frozenset[Scope]
    processings: frozenset[str] | None = None


async def create_key(session: WriteSession, by: Caller | None, wanted: NewCaller) -> tuple[Caller, str]:
    """Make a caller and its key.

    Args:
        session: the transaction.
        by: who makes it; None is an operator at the command line, who holds everything.
        wanted: what the new caller is to be.

    Raises:
        ScopeNotHeldError: `by` would hand out a scope or a processing that it does not have itself.

    """
    if by is not None and not by.covers(wanted.scopes, wanted.processings):
        raise ScopeNotHeldError
    return await _add(session, wanted, new_key(), by)


async def create_first_key(session: WriteSession, key: str) -> Caller | None:
    """Make the first, all-scopes caller of an empty database from SCEAU_BOOTSTRAP_KEY; None when there is one."""
    if not await is_empty(session):
        return None
    caller, _ = await _add(session, NewCaller("bootstrap", frozenset(Scope)), key, None)
    return caller


async def revoke_key(session: WriteSession, by: Caller | None, identifier: UUID) -> None:
    """Revoke a caller's key, at once; a second time is a no-op.

    Raises:
        NotFoundError: no such caller.
        ScopeNotHeldError: it has a scope or a processing that `by` does not have itself.

    """
    revoked = await load_caller(session, identifier)
    if revoked is None:
        raise NotFoundError
    if by is not None and not by.covers(revoked.scopes, revoked.processings):
        raise ScopeNotHeldError
    session.narrow()
    await mark_revoked(session, identifier, at=await session.now(), by=by.id if by is not None else None)
    await record_change(session, ChangeKind.CALLER, identifier.bytes)


async def _add(session: WriteSession, wanted: NewCaller, key: str, by: Caller | None) -> tuple[Caller, str]:
    now = await session.now()
    caller = Caller(
        id=session.new_id(now),
        name=wanted.name,
        scopes=wanted.scopes,
        processings=wanted.processings,
        created_at=now,
        created_by=by.id if by is not None else None,
    )
    await add_caller(session, caller, key)
    return caller, key
