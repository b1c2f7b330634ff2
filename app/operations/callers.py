"""Make, rotate, revoke and list keys, and bind an identity to a caller."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

from app.audit.trail import ActKind, Detail, Target, TargetKind, record_act
from app.auth.callers import ApiKey, Authenticated, Caller, CallerKind, Identity, Scope, new_key
from app.auth.sessions import Uses, last_uses, write_uses
from app.auth.store import (
    add_caller,
    add_key,
    end_keys,
    hold_callers,
    is_empty,
    is_key_in_force,
    keep_changes,
    keys_of,
    let_expire,
    load_caller,
    mark_revoked,
)
from app.auth.store import list_callers as load_page
from app.core.errors import (
    CallerRevokedError,
    CredentialEndedError,
    IdentityTakenError,
    InvalidExpiryError,
    KnownByTokenError,
    NotFoundError,
    ScopeNotHeldError,
    TooManyKeysError,
    UnknownIssuerError,
)
from app.db.database import Database, DatabaseUnavailableError
from app.db.session import ChangeKind, ReadSession, WriteSession, uuid7
from app.register.store import load_processings

if TYPE_CHECKING:
    from app.auth.issuers import TokenCheck


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
        by: the caller that makes it; None is an operator at the command line, who holds everything.
        wanted: what the new caller is to be.

    Raises:
        CredentialEndedError, ScopeMissingError: `by` is no longer in force, or lacks the scope.
        ScopeNotHeldError: `by` would hand out a scope or a processing that it does not have itself.
        InvalidExpiryError: the key would have expired already.

    """
    maker = await hold_maker(session, by, wanted)
    return await _add_with_key(session, wanted, new_key(), maker)


async def hold_maker(session: WriteSession, by: Authenticated | None, wanted: NewCaller) -> Caller | None:
    """Return the maker of a caller as it is now, locked: until the transaction ends nothing is taken from it.

    Raises:
        CredentialEndedError, ScopeMissingError: the caller is no longer in force, or lacks the scope.
        ScopeNotHeldError: it would hand out a scope or a processing that it does not have itself.

    """
    maker, _ = await hold_with(session, by)
    if maker is not None and not maker.covers(wanted.scopes, wanted.processings):
        raise ScopeNotHeldError
    return maker


async def create_first_key(session: WriteSession, key: str) -> Caller | None:
    """Make the first, all-scopes caller of an empty database from SCEAU_BOOTSTRAP_KEY; None if it has a caller."""
    if not await is_empty(session):
        return None
    return (await _add_with_key(session, NewCaller("bootstrap", frozenset(Scope)), key, None)).caller


async def give_key(
    session: WriteSession, to: Caller, key: str, *, at: datetime, by: UUID | None, expires_at: datetime | None
) -> MadeKey:
    """Give a key to a caller that exists already.

    Raises:
        InvalidExpiryError: the key would have expired already.

    """
    if expires_at is not None and expires_at <= at:
        raise InvalidExpiryError(field="expires_at")
    made = ApiKey(uuid7(at), to.id, at, by, expires_at)
    await add_key(session, made, key)
    return MadeKey(to, made, key)


async def _add_with_key(session: WriteSession, wanted: NewCaller, key: str, by: Caller | None) -> MadeKey:
    caller = await _add(session, wanted, by)
    made_by, expires_at = caller.created_by, wanted.expires_at
    return await give_key(session, caller, key, at=caller.created_at, by=made_by, expires_at=expires_at)


async def _add(
    session: WriteSession,
    wanted: NewCaller,
    by: Caller | None,
    identity: Identity | None = None,
    ref: bytes | None = None,
) -> Caller:
    """Add a caller, and put into the trail what it may do and whether a key or the tokens of an identity identify it.

    Raises:
        IdentityTakenError: another caller in force has that identity (`ref` is its keyed reference).

    """
    now = await session.now()
    caller = Caller(
        id=uuid7(now),
        name=wanted.name,
        scopes=wanted.scopes,
        processings=wanted.processings,
        created_at=now,
        created_by=by.id if by is not None else None,
        kind=wanted.kind,
        identity=identity,
    )
    if not await add_caller(session, caller, ref):
        raise IdentityTakenError(field="identity.subject")
    detail: dict[str, Detail] = {
        "known_by": "key" if identity is None else "token",
        "kind": caller.kind.value,
        "scopes": sorted(caller.scopes),
        "processings": sorted(caller.processings) if caller.processings is not None else None,
        "expires_at": wanted.expires_at.isoformat() if wanted.expires_at is not None else None,
    }
    await record_act(session, ActKind.CALLER_MADE, caller.created_by, Target(TargetKind.CALLER, str(caller.id)), detail)
    return caller


async def register_identity(
    session: WriteSession, by: Authenticated | None, wanted: NewCaller, identity: Identity, check: "TokenCheck | None"
) -> Caller:
    """Make a caller whose credentials are the tokens of an identity.

    Args:
        session: the transaction.
        by: the caller that makes it; None is an operator at the command line, who holds everything.
        wanted: what the caller is to be; tokens bring their own end.
        identity: the one whose tokens they are.
        check: knows the issuers whose tokens this deployment accepts; None where it accepts none.

    Raises:
        CredentialEndedError, ScopeMissingError: `by` is no longer in force, or lacks the scope.
        ScopeNotHeldError: `by` would hand out a scope or a processing that it does not have itself.
        UnknownIssuerError: tokens of that issuer are not accepted.
        IdentityTakenError: another caller in force has that identity.

    """
    maker = await hold_maker(session, by, wanted)
    if check is None or identity.issuer not in check.issuers:
        raise UnknownIssuerError(field="identity.issuer")
    return await _add(session, wanted, maker, identity, check.ref(identity.issuer, identity.subject))


LONGEST_OVERLAP: Final = timedelta(days=30)
"""How long an old key may go on beside a new one: for longer, make another caller."""
MOST_KEYS: Final = 5
"""How many keys of one caller may be in force at once."""


@dataclass(frozen=True, slots=True)
class Rotated:
    """The new key, and the earlier keys that were in force, as they stand now."""

    made: MadeKey
    before: Sequence[ApiKey]


async def rotate_key(
    session: WriteSession,
    by: Authenticated | None,
    identifier: UUID,
    overlap: timedelta,
    expires_at: datetime | None = None,
) -> Rotated:
    """Make a new key for a caller and limit all that were in force: a narrowing write, to be answered as one.

    Without an overlap, keys that have expired are revoked too, so that links which they made no longer ask.

    Args:
        session: the transaction.
        by: the caller that rotates; None is an operator at the command line.
        identifier: the caller's.
        overlap: how long the earlier keys go on; zero ends them at once.
        expires_at: until when the new key is good.

    Raises:
        CredentialEndedError, ScopeMissingError: `by` is no longer in force, or lacks the scope.
        NotFoundError: no such caller.
        ScopeNotHeldError: it has a scope or a processing that `by` does not have itself.
        CallerRevokedError: it is revoked: a new key would not open anything.
        KnownByTokenError: it is known by its tokens, and has no key.
        TooManyKeysError: `MOST_KEYS` of its keys are in force already.
        InvalidExpiryError: the overlap is too long, or the new key would have expired already.

    """
    if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
        raise InvalidExpiryError(f"Keys overlap for {LONGEST_OVERLAP.days} days at most.", field="overlap")
    caller, who = await held_by(session, by, identifier)
    if caller.revoked_at is not None:
        raise CallerRevokedError
    if caller.identity is not None:
        raise KnownByTokenError
    now = await session.now()
    keys = (await keys_of(session, [caller.id]))[caller.id]
    before = [each for each in keys if each.in_force(now)]
    if overlap and len(before) >= MOST_KEYS:
        raise TooManyKeysError
    by_whom = who.id if who is not None else None
    made = await give_key(session, caller, new_key(), at=now, by=by_whom, expires_at=expires_at)
    ids = [each.id for each in before]
    if overlap:
        await let_expire(session, ids, now + overlap)
    else:
        await end_keys(session, [each.id for each in keys if each.revoked_at is None], at=now, by=by_whom)
    await forget_caller(session, caller)
    after = (await keys_of(session, [caller.id]))[caller.id]
    detail: dict[str, Detail] = {
        "key": str(made.key.id),
        "overlap_seconds": int(overlap.total_seconds()),
        "expires_at": expires_at.isoformat() if expires_at is not None else None,
    }
    await record_act(session, ActKind.KEY_ROTATED, by_whom, Target(TargetKind.CALLER, str(caller.id)), detail)
    return Rotated(made, [each for each in after if each.id in ids])


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


async def _revoke_keys(session: WriteSession, caller: Caller, keys: frozenset[UUID], by: UUID | None) -> None:
    """Revoke some keys of a caller that is locked; its other keys stay."""
    by_id = {each.id: each for each in (await keys_of(session, [caller.id]))[caller.id]}
    if not keys <= by_id.keys():
        raise NotFoundError
    await end_keys(session, sorted(keys), at=await session.now(), by=by)
    await forget_caller(session, caller)
    for key in sorted(keys):
        if by_id[key].revoked_at is None:
            target = Target(TargetKind.CALLER, str(caller.id))
            await record_act(session, ActKind.KEY_REVOKED, by, target, {"key": str(key)})


async def held_by(session: WriteSession, by: Authenticated | None, identifier: UUID) -> tuple[Caller, Caller | None]:
    """Return the caller, if `by` may decide about it (None may about all), and `by` as it is now; both are locked.

    Raises:
        CredentialEndedError, ScopeMissingError: `by` is no longer in force, or lacks the scope.
        NotFoundError: no such caller.
        ScopeNotHeldError: it has a scope or a processing that `by` does not have itself.

    """
    who, callers = await hold_with(session, by, identifier)
    caller = callers.get(identifier)
    if caller is None:
        raise NotFoundError
    if who is not None and not who.covers(caller.scopes, caller.processings):
        raise ScopeNotHeldError
    return caller, who


async def forget_caller(session: WriteSession, caller: Caller) -> None:
    """Make every replica forget what it remembers of a caller, before this write is answered."""
    session.narrow()
    session.change(ChangeKind.CALLER, caller.id.bytes)


# Change what a caller is called and allowed: what is taken away is gone when that is answered, on every replica.


@dataclass(frozen=True, slots=True)
class CallerChange:
    """What a caller is to be from now on; None leaves a part as it is. `every_processing` removes its list.

    `revoked_keys` end at once; its other keys stay.
    """

    name: str | None = None
    scopes: frozenset[Scope] | None = None
    processings: frozenset[str] | None = None
    every_processing: bool = False
    revoked_keys: frozenset[UUID] = frozenset()

    def of(self, before: Caller) -> Caller:
        """Return the caller as it is after this change."""
        processings = before.processings if self.processings is None else self.processings
        return replace(
            before,
            name=before.name if self.name is None else self.name,
            scopes=before.scopes if self.scopes is None else self.scopes,
            processings=None if self.every_processing else processings,
        )


async def change_caller(
    session: WriteSession, by: Authenticated | None, identifier: UUID, change: CallerChange
) -> Caller:
    """Change a caller. What it loses is gone on every replica when that is answered; what it gains comes soon.

    Raises:
        CredentialEndedError, ScopeMissingError: `by` is no longer in force, or lacks the scope.
        NotFoundError: no such caller, or it has not all of these keys.
        ScopeNotHeldError: it has, or would get, a scope or a processing that `by` does not have itself.
        CallerRevokedError: it is revoked, which is final; its keys may be revoked still.

    """
    before, who = await held_by(session, by, identifier)
    by_whom = who.id if who is not None else None
    if change.revoked_keys:
        await _revoke_keys(session, before, change.revoked_keys, by_whom)
        if change == CallerChange(revoked_keys=change.revoked_keys):
            return before
    if before.revoked_at is not None:
        raise CallerRevokedError
    after = change.of(before)
    if who is not None and not who.covers(after.scopes, after.processings):
        raise ScopeNotHeldError
    # A change that only adds does not narrow. One without effect may repeat one that narrowed and was never answered.
    if after == replace(before, name=after.name) or not after.covers(before.scopes, before.processings):
        session.narrow()
        session.note("other", {"what": "a caller was changed", "about": f"caller {after.id}"})
    if not before.covers(after.scopes, after.processings):
        session.widen()
    await keep_changes(session, after)
    session.change(ChangeKind.CALLER, after.id.bytes)
    if after != before:
        target = Target(TargetKind.CALLER, str(after.id))
        await record_act(session, ActKind.CALLER_CHANGED, by_whom, target, _change_detail(before, after))
    return after


def _change_detail(before: Caller, after: Caller) -> dict[str, Detail]:
    """Return what changed, and to what; of a name, which is free text, only that it did. No list: every processing."""
    detail: dict[str, Detail] = {
        "changed": [name for name in ("name", "scopes", "processings") if getattr(before, name) != getattr(after, name)]
    }
    if before.scopes != after.scopes:
        detail |= {"scopes_before": sorted(before.scopes), "scopes": sorted(after.scopes)}
    if before.processings != after.processings:
        detail["processings_before"] = sorted(before.processings) if before.processings is not None else None
        detail["processings"] = sorted(after.processings) if after.processings is not None else None
    return detail


# Check again, inside the write's transaction, that the caller is still in force.
#
# A request waits between the look at its credential and its act: for a connection, a lock or an event. What was
# revoked or narrowed meanwhile, and answered, is gone for the waiting request too (docs/callers.md).


async def confirm_caller(session: ReadSession, by: Authenticated, scope: Scope) -> Caller:
    """Return the caller as it is now.

    Raises:
        CredentialEndedError: the caller, or its credential, is no longer in force.
        ScopeMissingError: it no longer has the scope.

    """
    return await _confirmed(session, by, await load_caller(session, by.caller.id), scope)


async def hold_with(
    session: WriteSession, by: Authenticated | None, *others: UUID
) -> tuple[Caller | None, Mapping[UUID, Caller]]:
    """Return the caller that manages keys as it is now, and the others that exist; all are locked until the end.

    A revocation waits for acts that were begun before it, and an act that comes after one sees it. `by` None is an
    operator at the command line.

    Raises:
        CredentialEndedError, ScopeMissingError: as for `confirm_caller`.

    """
    mine = () if by is None else (by.caller.id,)
    callers = await hold_callers(session, {*mine, *others})
    who = None if by is None else await _confirmed(session, by, callers.get(by.caller.id), Scope.KEYS_MANAGE)
    return who, callers


async def _confirmed(session: ReadSession, by: Authenticated, caller: Caller | None, scope: Scope) -> Caller:
    if caller is None or caller.revoked_at is not None:
        raise CredentialEndedError
    if by.credential != caller.id:  # else it is a token, which ends by its time alone
        if not await is_key_in_force(session, by.credential):
            raise CredentialEndedError
    elif by.until is not None and await session.now() >= by.until:
        raise CredentialEndedError
    who = caller.narrowed(by.caller.scopes)  # a token may have taken scopes away
    who.require(scope)
    return who


# List callers with what they are known by and when that was last used; never with a key.


@dataclass(frozen=True, slots=True)
class CallerView:
    """A caller, its keys, and when each of its credentials was last used (to the minute).

    A credential is a key, or the caller itself where it is known by tokens.
    """

    caller: Caller
    keys: Sequence[ApiKey]
    uses: Mapping[UUID, datetime]

    @property
    def last_used_at(self) -> datetime | None:
        """When any of its credentials was last used."""
        return max(self.uses.values(), default=None)


async def list_callers(
    session: ReadSession, by: Caller | None, *, after: UUID | None, limit: int, only: UUID | None = None
) -> Sequence[CallerView]:
    """Return the next callers, oldest first, revoked ones included.

    Args:
        session: where to read.
        by: the caller that asks; it is not shown callers with processings that it may not name. None is shown all.
        after: the id of the last caller of the page before.
        limit: how many at most.
        only: the id of the one caller that is wanted, if any.

    """
    if only is not None:
        one = await load_caller(session, only)
        return await _viewed(
            session, [one] if one is not None and (by is None or by.covers((), one.processings)) else []
        )
    within = by.processings if by is not None else None
    return await _viewed(session, await load_page(session, after=after, limit=limit, within=within))


async def find_caller(session: ReadSession, by: Caller, identifier: UUID) -> CallerView:
    """Return one caller.

    Raises:
        NotFoundError: there is none, or `by` may not see it.

    """
    views = await list_callers(session, by, after=None, limit=1, only=identifier)
    if not views:
        raise NotFoundError
    return views[0]


async def _viewed(session: ReadSession, callers: Sequence[Caller]) -> list[CallerView]:
    keys = await keys_of(session, [each.id for each in callers])
    credentials = {each.id: [each.id, *(key.id for key in keys[each.id])] for each in callers}
    uses = await last_uses(session, [used for some in credentials.values() for used in some])
    return [
        CallerView(caller, keys[caller.id], {used: uses[used] for used in credentials[caller.id] if used in uses})
        for caller in callers
    ]


async def find_unregistered(session: ReadSession, caller: Caller) -> list[str]:
    """Return the ids in a caller's list of processings that the register does not know, in order."""
    named = caller.processings or frozenset()
    records = await load_processings(session, named) if named else {}
    return sorted(named - records.keys())


_EVERY_SECONDS: Final = 60.0


async def keep_uses(database: Database, uses: Uses) -> None:
    """Write the noted uses of credentials every minute, until cancelled; `flush_uses` then writes the rest."""
    while True:
        await asyncio.sleep(_EVERY_SECONDS)
        await flush_uses(database, uses)


async def flush_uses(database: Database, uses: Uses) -> None:
    """Write the uses that are not written yet. What cannot be written now is kept for the next time."""
    noted = uses.unwritten()
    if not noted:
        return
    try:
        async with database.write() as session:
            await write_uses(session, noted)
    except DatabaseUnavailableError:
        return
    uses.written(noted)
