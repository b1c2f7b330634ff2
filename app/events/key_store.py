"""Where the keys and secrets that sign webhooks are kept: what signs, wrapped by a master key; public keys plain."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, or_, select, text, update

from app.db.session import ReadSession, WriteSession
from app.events.webhook_tables import webhook_key, webhook_secret


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A key as stored: `wrapped` opens under that master key; `retires_at` None while it is the newest.

    `public` is the raw public half (32 bytes) of an Ed25519 key, empty for a symmetric secret.
    """

    id: UUID
    master_key_id: str
    wrapped: bytes = field(repr=False)
    created_at: datetime
    retires_at: datetime | None = None
    public: bytes = b""


async def hold_keys(session: WriteSession) -> None:
    """Let one transaction at a time make keys."""
    await session.execute(text("SELECT pg_advisory_xact_lock(hashtext('sceau webhook keys'))"))


async def add_key(session: WriteSession, key: WrappedKey) -> None:
    """Keep a new signing key of the deployment."""
    await session.execute(
        insert(webhook_key).values(
            id=key.id,
            public_key=key.public,
            master_key_id=key.master_key_id,
            wrapped_key=key.wrapped,
            created_at=key.created_at,
        )
    )


async def retire_keys(session: WriteSession, at: datetime) -> None:
    """Let every key that is in force sign until an instant and no longer."""
    current = webhook_key.c.retires_at.is_(None)
    await session.execute(update(webhook_key).where(current).values(retires_at=at))


async def keys_in_force(session: ReadSession, now: datetime) -> list[WrappedKey]:
    """The deployment's signing keys that are in force, the newest first."""
    columns = webhook_key.c
    in_force = or_(columns.retires_at.is_(None), columns.retires_at > now)
    found = await session.execute(select(webhook_key).where(in_force).order_by(columns.created_at.desc()))
    return [
        WrappedKey(row.id, row.master_key_id, row.wrapped_key, row.created_at, row.retires_at, row.public_key)
        for row in found
    ]


async def add_secret(session: WriteSession, endpoint: UUID, secret: WrappedKey, *, retire: datetime) -> None:
    """Keep a new symmetric secret of an endpoint; the ones before sign until an instant."""
    columns = webhook_secret.c
    before = update(webhook_secret).where(columns.endpoint == endpoint, columns.retires_at.is_(None))
    await session.execute(before.values(retires_at=retire))
    values: dict[str, Any] = {
        "endpoint": endpoint,
        "id": secret.id,
        "master_key_id": secret.master_key_id,
        "wrapped_secret": secret.wrapped,
        "created_at": secret.created_at,
    }
    await session.execute(insert(webhook_secret).values(values))


async def secrets_in_force(session: ReadSession, endpoints: Iterable[UUID], now: datetime) -> list[WrappedKey]:
    """The symmetric secrets of some endpoints that are in force, the newest first."""
    columns = webhook_secret.c
    in_force = or_(columns.retires_at.is_(None), columns.retires_at > now)
    statement = select(webhook_secret).where(columns.endpoint.in_(list(endpoints)), in_force)
    found = await session.execute(statement.order_by(columns.created_at.desc()))
    return [WrappedKey(row.id, row.master_key_id, row.wrapped_secret, row.created_at, row.retires_at) for row in found]
