"""Give a caller a new key, and let the keys before it go on for a while, or end them at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from app.audit.trail import ActKind, Detail, Target, TargetKind, record_act
from app.auth.callers import ApiKey, Authenticated, new_key
from app.auth.key_store import end_keys, keys_of, let_expire
from app.core.errors import CallerRevokedError, InvalidExpiryError, KnownByTokenError, TooManyKeysError
from app.db.session import WriteSession
from app.operations.callers.create_key import MadeKey, give_key
from app.operations.callers.revoke_caller import forget_caller, held_by

LONGEST_OVERLAP: Final = timedelta(days=30)
"""How long an old key may go on beside a new one: for longer, make another caller."""
MOST_KEYS: Final = 5
"""How many keys of one caller may be in force at once."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """How a key is rotated: `overlap` zero ends the keys before at once. `expires_at` is the new key's."""

    overlap: timedelta
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Rotated:
    """The new key, and the keys that were in force before it, as they stand now."""

    made: MadeKey
    before: Sequence[ApiKey]


async def rotate_key(session: WriteSession, by: Authenticated | None, identifier: UUID, rotation: Rotation) -> Rotated:
    """Make a new key for a caller and limit all that were in force. Answer it as a narrowing write: it limits.

    Without an overlap the keys that have expired are revoked too: links that they made ask no more.

    Args:
        session: the transaction.
        by: who rotates; None is an operator at the command line.
        identifier: of the caller.
        rotation: for how long the keys before it go on, and until when the new one is good.

    Raises:
        CredentialEndedError, ScopeMissingError: `by` is no longer in force, or lacks the scope.
        NotFoundError: no such caller.
        ScopeNotHeldError: it has a scope or a processing that `by` does not have itself.
        CallerRevokedError: it is revoked: a new key would not open anything.
        KnownByTokenError: it is known by its tokens, and has no key.
        TooManyKeysError: so many of its keys are in force that no other may be.
        InvalidExpiryError: the overlap is too long, or the new key would have expired already.

    """
    if not timedelta(0) <= rotation.overlap <= LONGEST_OVERLAP:
        raise InvalidExpiryError(f"Keys overlap for {LONGEST_OVERLAP.days} days at most.", field="overlap")
    caller, who = await held_by(session, by, identifier)
    if caller.revoked_at is not None:
        raise CallerRevokedError
    if caller.identity is not None:
        raise KnownByTokenError
    now = await session.now()
    held = (await keys_of(session, [caller.id]))[caller.id]
    before = [each for each in held if each.in_force(now)]
    if rotation.overlap and len(before) >= MOST_KEYS:
        raise TooManyKeysError
    by_whom = who.id if who is not None else None
    made = await give_key(session, caller, new_key(), at=now, by=by_whom, expires_at=rotation.expires_at)
    ids = [each.id for each in before]
    if rotation.overlap:
        await let_expire(session, ids, now + rotation.overlap)
    else:
        await end_keys(session, [each.id for each in held if each.revoked_at is None], at=now, by=by_whom)
    await forget_caller(session, caller)
    after = (await keys_of(session, [caller.id]))[caller.id]
    told: dict[str, Detail] = {
        "key": str(made.key.id),
        "overlap_seconds": int(rotation.overlap.total_seconds()),
        "expires_at": rotation.expires_at.isoformat() if rotation.expires_at is not None else None,
    }
    await record_act(session, ActKind.KEY_ROTATED, by_whom, Target(TargetKind.CALLER, str(caller.id)), told)
    return Rotated(made, [each for each in after if each.id in ids])
