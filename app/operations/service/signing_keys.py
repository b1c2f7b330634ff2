"""The deployment's signing keys, of every ring: made at first, rotated with an overlap, opened to sign with."""

from datetime import datetime, timedelta
from uuid import UUID

from app.audit.trail import ActKind, Target, TargetKind, record_act
from app.db.session import WriteSession, uuid7
from app.keyring import KeyRing, WrappedKey, add_key, keys_in_force, new_private_key, retire_keys
from app.operations.service.deployment import Deployment


async def ensure_key(session: WriteSession, deployment: Deployment, ring: KeyRing) -> None:
    """Make the first key of a ring if there is none."""
    await session.await_turn(f"{ring.purpose}s")
    now = await session.instant()
    if not await keys_in_force(session, ring, now):
        await _add(session, deployment, ring, now)


async def rotate_key(
    session: WriteSession,
    deployment: Deployment,
    ring: KeyRing,
    overlap: timedelta,
    *,
    by: UUID | None,
    at_once: bool = False,
) -> WrappedKey:
    """Make a new key; earlier ones stay in force for the overlap or, with `at_once`, not a moment longer.

    `by` None stands for an operator's command.
    """
    await session.await_turn(f"{ring.purpose}s")
    now = await session.instant()
    await retire_keys(session, ring, now if at_once else now + overlap, all_of_them=at_once)
    made = await _add(session, deployment, ring, now)
    if at_once:  # a backup would bring leaked keys back: an operator must end them again
        session.narrow()
        session.note("other", {"what": "leaked signing keys were ended", "about": ring.purpose})
    target = Target(TargetKind.SIGNING_KEY, str(made.id))
    await record_act(session, ActKind.SIGNING_KEY_ROTATED, by, target, {"purpose": ring.purpose, "at_once": at_once})
    return made


def opened(deployment: Deployment, ring: KeyRing, key: WrappedKey) -> bytes:
    """Return the raw private half (32 bytes) of a key.

    Raises:
        VaultError: the master key that wraps it is not held.

    """
    return deployment.vault.unwrap(f"{ring.purpose} {key.id}", key.master_key_id, key.wrapped)


async def _add(session: WriteSession, deployment: Deployment, ring: KeyRing, now: datetime) -> WrappedKey:
    private, public = new_private_key()
    identifier = uuid7(now)
    master, wrapped = deployment.vault.wrap(f"{ring.purpose} {identifier}", private)
    key = WrappedKey(identifier, master, wrapped, now, public=public)
    await add_key(session, ring, key)
    return key
