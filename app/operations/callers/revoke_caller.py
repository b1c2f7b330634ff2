"""Revoke a caller with all that it is known by, or one of its keys: at once, on every replica."""

from uuid import UUID

from app.audit.trail import ActKind, Target, TargetKind, record_act
from app.auth.callers import Authenticated, Caller
from app.auth.key_store import end_keys, keys_of
from app.auth.scopes import Scope
from app.auth.store import mark_revoked
from app.core.errors import NotFoundError, ScopeNotHeldError
from app.db.session import WriteSession
from app.operations.callers.confirm_caller import hold_with
from app.snapshot.tables import ChangeKind, record_change


async def revoke_caller(session: WriteSession, by: Authenticated | None, identifier: UUID) -> None:
    """Revoke a caller: none of its keys and tokens is good any more. A second time changes nothing.

    Raises:
        CredentialEndedError, ScopeMissingError: `by` is no longer in force, or lacks the scope.
        NotFoundError: no such caller.
        ScopeNotHeldError: it has a scope or a processing that `by` does not have itself.

    """
    caller, who = await held_by(session, by, identifier)
    by_whom = who.id if who is not None else None
    await mark_revoked(session, caller.id, at=await session.now(), by=by_whom)
    await forget_caller(session, caller)
    if caller.revoked_at is None:
        await record_act(session, ActKind.CALLER_REVOKED, by_whom, Target(TargetKind.CALLER, str(identifier)))


async def revoke_key(session: WriteSession, by: Authenticated | None, identifier: UUID, key: UUID) -> None:
    """Revoke one key of a caller; its others stay. A second time changes nothing.

    Raises:
        CredentialEndedError, ScopeMissingError: `by` is no longer in force, or lacks the scope.
        NotFoundError: no such caller, or it has no such key.
        ScopeNotHeldError: it has a scope or a processing that `by` does not have itself.

    """
    caller, who = await held_by(session, by, identifier)
    keys = {each.id: each for each in (await keys_of(session, [caller.id]))[caller.id]}
    if key not in keys:
        raise NotFoundError
    by_whom = who.id if who is not None else None
    await end_keys(session, [key], at=await session.now(), by=by_whom)
    await forget_caller(session, caller)
    if keys[key].revoked_at is None:
        await record_act(
            session, ActKind.KEY_REVOKED, by_whom, Target(TargetKind.CALLER, str(identifier)), {"key": str(key)}
        )


async def held_by(session: WriteSession, by: Authenticated | None, identifier: UUID) -> tuple[Caller, Caller | None]:
    """The caller, if `by` may decide about it (None may about all), and `by` as it is now: both held.

    Raises:
        CredentialEndedError, ScopeMissingError: `by` is no longer in force, or lacks the scope.
        NotFoundError: no such caller.
        ScopeNotHeldError: it has a scope or a processing that `by` does not have itself.

    """
    who, held = await hold_with(session, by, Scope.KEYS_MANAGE, identifier)
    caller = held.get(identifier)
    if caller is None:
        raise NotFoundError
    if who is not None and not who.covers(caller.scopes, caller.processings):
        raise ScopeNotHeldError
    return caller, who


async def forget_caller(session: WriteSession, caller: Caller) -> None:
    """Have every replica forget what it remembers of a caller, before this write is answered."""
    session.narrow()
    await record_change(session, ChangeKind.CALLER, caller.id.bytes)
