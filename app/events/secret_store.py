"""Where the symmetric secrets of webhook endpoints are kept, wrapped by a master key."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, or_, select, update

from app.db.session import ReadSession, WriteSession
from app.events.webhook_tables import webhook_secret
from app.keyring.store import WrappedKey


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
