"""The keys that sign webhooks: made, rotated with an overlap, published, and opened to sign with."""

import secrets
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from app.db.session import DatabaseClock, ReadSession, WriteSession
from app.events.key_store import (
    WrappedKey,
    add_key,
    add_secret,
    hold_keys,
    keys_in_force,
    retire_keys,
    secrets_in_force,
)
from app.events.signing import SigningKeys, new_private_key, secret_text
from app.operations.deployment import Deployment

_KEY: Final = "webhook key"
_SECRET: Final = "webhook secret"  # noqa: S105 - what it is for, not one
_SECRET_BYTES: Final = 32


async def ensure_key(session: WriteSession, deployment: Deployment) -> None:
    """Make the deployment's first signing key if there is none."""
    await hold_keys(session)
    now = await DatabaseClock().now(session.connection)
    if not await keys_in_force(session, now):
        await _add(session, deployment, now)


async def rotate_key(session: WriteSession, deployment: Deployment, overlap: timedelta) -> WrappedKey:
    """Make a new signing key; those before it sign beside it for the overlap, then no more."""
    await hold_keys(session)
    now = await DatabaseClock().now(session.connection)
    await retire_keys(session, now + overlap)
    return await _add(session, deployment, now)


async def _add(session: WriteSession, deployment: Deployment, now: datetime) -> WrappedKey:
    private, public = new_private_key()
    identifier = session.new_id(now)
    master, wrapped = deployment.vault.wrap(f"{_KEY} {identifier}", private)
    key = WrappedKey(identifier, master, wrapped, now, public=public)
    await add_key(session, key)
    return key


async def new_secret(
    session: WriteSession, deployment: Deployment, endpoint: UUID, overlap: timedelta
) -> tuple[WrappedKey, str]:
    """Make a symmetric secret for one endpoint, shown once as `whsec_…`; the one before signs for the overlap."""
    now = await DatabaseClock().now(session.connection)
    raw, identifier = secrets.token_bytes(_SECRET_BYTES), session.new_id(now)
    master, wrapped = deployment.vault.wrap(f"{_SECRET} {identifier}", raw)
    made = WrappedKey(identifier, master, wrapped, now)
    await add_secret(session, endpoint, made, retire=now + overlap)
    return made, secret_text(raw)


async def signing_keys(session: ReadSession, deployment: Deployment, endpoint: UUID, now: datetime) -> SigningKeys:
    """All that signs for an endpoint at an instant.

    Raises:
        VaultError: the master key that wraps one of them is not held.

    """
    vault = deployment.vault
    private = [
        vault.unwrap(f"{_KEY} {key.id}", key.master_key_id, key.wrapped) for key in await keys_in_force(session, now)
    ]
    symmetric = [
        vault.unwrap(f"{_SECRET} {each.id}", each.master_key_id, each.wrapped)
        for each in await secrets_in_force(session, [endpoint], now)
    ]
    return SigningKeys(private, symmetric)
