"""Make a caller and its first key. A key is shown once, when it is made."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from app.audit.trail import ActKind, Detail, Target, TargetKind, record_act
from app.auth.callers import ApiKey, Authenticated, Caller, CallerKind, new_key
from app.auth.key_store import add_key
from app.auth.scopes import Scope
from app.auth.store import add_caller, is_empty
from app.core.errors import InvalidExpiryError, ScopeNotHeldError
from app.db.session import WriteSession
from app.operations.callers.confirm_caller import hold_with


@dataclass(frozen=True, slots=True)
class NewCaller:
    """What a new caller is called and allowed; `processings` None allows every one. `expires_at` is its first key's."""

    name: str
    scopes: frozenset[Scope]
    processings: frozenset[str] | None = None
    kind: CallerKind = CallerKind.MACHINE
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A caller, one of its keys, and that key in clear: shown once, to the client that asked for it."""

    caller: Caller
    key: ApiKey
    secret: str


async def create_key(session: WriteSession, by: Authenticated | None, wanted: NewCaller) -> MadeKey:
    """Make a caller and its key.

    Args:
        session: the transaction.
        by: who makes it; None is an operator at the command line, who holds everything.
        wanted: what the new caller is to be.

    Raises:
        CredentialEndedError, ScopeMissingError: `by` is no longer in force, or lacks the scope.
        ScopeNotHeldError: `by` would hand out a scope or a processing that it does not have itself.
        InvalidExpiryError: the key would have expired already.

    """
    maker = await hold_maker(session, by, wanted)
    return await _add(session, wanted, new_key(), maker)


async def hold_maker(session: WriteSession, by: Authenticated | None, wanted: NewCaller) -> Caller | None:
    """Who makes a caller, as it is now; until the transaction ends nothing is taken from it.

    Raises:
        CredentialEndedError, ScopeMissingError: the caller is no longer in force, or lacks the scope.
        ScopeNotHeldError: it would hand out a scope or a processing that it does not have itself.

    """
    maker, _ = await hold_with(session, by, Scope.KEYS_MANAGE)
    if maker is not None and not maker.covers(wanted.scopes, wanted.processings):
        raise ScopeNotHeldError
    return maker


async def create_first_key(session: WriteSession, key: str) -> Caller | None:
    """Make the first, all-scopes caller of an empty database from SCEAU_BOOTSTRAP_KEY; None when there is one."""
    if not await is_empty(session):
        return None
    return (await _add(session, NewCaller("bootstrap", frozenset(Scope)), key, None)).caller


async def give_key(
    session: WriteSession, to: Caller, key: str, *, at: datetime, by: UUID | None, expires_at: datetime | None
) -> MadeKey:
    """Give a caller that is there already a key.

    Raises:
        InvalidExpiryError: the key would have expired already.

    """
    if expires_at is not None and expires_at <= at:
        raise InvalidExpiryError(field="expires_at")
    made = ApiKey(session.new_id(at), to.id, at, by, expires_at)
    await add_key(session, made, key)
    return MadeKey(to, made, key)


async def _add(session: WriteSession, wanted: NewCaller, key: str, by: Caller | None) -> MadeKey:
    now = await session.now()
    maker = by.id if by is not None else None
    caller = Caller(
        id=session.new_id(now),
        name=wanted.name,
        scopes=wanted.scopes,
        processings=wanted.processings,
        created_at=now,
        created_by=maker,
        kind=wanted.kind,
    )
    await add_caller(session, caller)
    made = await give_key(session, caller, key, at=now, by=maker, expires_at=wanted.expires_at)
    await tell_of_caller(session, caller, known_by="key", expires_at=wanted.expires_at)
    return made


async def tell_of_caller(
    session: WriteSession, made: Caller, *, known_by: str, expires_at: datetime | None = None
) -> None:
    """Put into the trail that a caller was made: what it may do, and whether a key or tokens show who it is."""
    told: dict[str, Detail] = {
        "known_by": known_by,
        "kind": made.kind.value,
        "scopes": sorted(made.scopes),
        "processings": sorted(made.processings) if made.processings is not None else None,
        "expires_at": expires_at.isoformat() if expires_at is not None else None,
    }
    await record_act(session, ActKind.CALLER_MADE, made.created_by, Target(TargetKind.CALLER, str(made.id)), told)
