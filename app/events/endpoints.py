"""The receivers of webhooks: their endpoints, and the secrets and keys that sign what they get."""

import base64
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import delete, func, insert, or_, select, update

from app.db.session import ReadSession, WriteSession, as_columns, record_of
from app.events.outbox import EventType
from app.events.tables import webhook_endpoint, webhook_secret
from app.keyring import WrappedKey


class EndpointStatus(StrEnum):
    """Whether deliveries go out; those of a disabled endpoint are kept until they are too old."""

    ACTIVE = "active"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A receiver: `types` None means every type, `processings` None every processing.

    `status_reason` says why it is disabled: `by_request`, `gone` when it answered 410, or `maker_ended` when the caller
    that made or last changed it (`created_by`) no longer has the rights that the endpoint needs.
    """

    id: UUID
    url: str
    types: frozenset[EventType] | None
    processings: frozenset[str] | None
    include_subject: bool
    status: EndpointStatus
    status_reason: str | None
    status_at: datetime
    created_at: datetime
    created_by: UUID

    def wants(self, kind: str, processing: str | None) -> bool:
        """Return whether it gets events of that type about that processing; `deliveries.WANTED` is the same in SQL."""
        typed = self.types is None or kind in self.types
        return typed and (self.processings is None or processing in self.processings)


async def add_endpoint(session: WriteSession, endpoint: Endpoint) -> None:
    """Keep a new endpoint."""
    await session.execute(insert(webhook_endpoint).values(as_columns(endpoint)))


async def save_endpoint(session: WriteSession, endpoint: Endpoint) -> None:
    """Write an endpoint's changes."""
    columns = as_columns(endpoint)
    statement = update(webhook_endpoint).where(webhook_endpoint.c.id == columns.pop("id"))
    await session.execute(statement.values(columns))


async def remove_endpoint(session: WriteSession, identifier: UUID) -> None:
    """Remove an endpoint with its secrets, deliveries and their log."""
    await session.execute(delete(webhook_endpoint).where(webhook_endpoint.c.id == identifier))


async def count_endpoints(session: WriteSession) -> int:
    """Return how many endpoints there are; other counting transactions wait until this one ends."""
    await session.await_turn("webhook endpoints")
    return int((await session.execute(select(func.count()).select_from(webhook_endpoint))).scalar_one())


async def load_endpoint(session: ReadSession, identifier: UUID, *, hold: bool = False) -> Endpoint | None:
    """Return one endpoint; None when there is none. `hold` keeps it from changing until the end of the transaction."""
    statement = select(webhook_endpoint).where(webhook_endpoint.c.id == identifier)
    row = (await session.execute(statement.with_for_update() if hold else statement)).first()
    return None if row is None else record_of(Endpoint, row)


async def list_endpoints(session: ReadSession) -> list[Endpoint]:
    """Return every endpoint, oldest first."""
    rows = await session.execute(select(webhook_endpoint).order_by(webhook_endpoint.c.id))
    return [record_of(Endpoint, row) for row in rows]


# How deliveries are signed (Standard Webhooks), and the secrets that sign them.

PUBLIC_PREFIX: Final = "whpk_"
SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - how a secret begins, not one


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """The keys that sign a message: raw Ed25519 private keys (32 bytes each) and symmetric secrets, newest first."""

    private_keys: Sequence[bytes] = field(repr=False)
    secrets: Sequence[bytes] = field(default=(), repr=False)


def public_text(raw: bytes) -> str:
    """Return a public key in the standard's form: `whpk_` and base64."""
    return PUBLIC_PREFIX + base64.b64encode(raw).decode()


def secret_text(raw: bytes) -> str:
    """Return a symmetric secret in the standard's form: `whsec_` and base64."""
    return SECRET_PREFIX + base64.b64encode(raw).decode()


def signature_headers(keys: SigningKeys, message: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the three headers of a message.

    Args:
        keys: the keys that sign it.
        message: the id of the event, the same at each attempt; it holds no full stop.
        timestamp: when this attempt is made, in whole seconds since 1970.
        body: the exact bytes that are sent.

    """
    signed = f"{message}.{timestamp}.".encode() + body
    made = [f"v1,{_text(hmac.digest(secret, signed, sha256))}" for secret in keys.secrets]
    made += [f"v1a,{_text(Ed25519PrivateKey.from_private_bytes(key).sign(signed))}" for key in keys.private_keys]
    return {"webhook-id": message, "webhook-timestamp": str(timestamp), "webhook-signature": " ".join(made)}


def _text(signature: bytes) -> str:
    return base64.b64encode(signature).decode()


async def add_secret(session: WriteSession, endpoint: UUID, secret: WrappedKey, *, retire: datetime) -> None:
    """Keep a new symmetric secret of an endpoint; the previous ones go on signing until an instant."""
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


async def secrets_in_force(session: ReadSession, endpoint: UUID, now: datetime) -> list[WrappedKey]:
    """Return the symmetric secrets of an endpoint that are in force, newest first."""
    columns = webhook_secret.c
    in_force = or_(columns.retires_at.is_(None), columns.retires_at > now)
    statement = select(webhook_secret).where(columns.endpoint == endpoint, in_force)
    rows = await session.execute(statement.order_by(columns.created_at.desc()))
    return [WrappedKey(row.id, row.master_key_id, row.wrapped_secret, row.created_at, row.retires_at) for row in rows]
