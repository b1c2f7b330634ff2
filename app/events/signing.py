"""How deliveries are signed (Standard Webhooks), and the secrets by which they are."""

import base64
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import insert, or_, select, update

from app.db.session import ReadSession, WriteSession
from app.events.tables import webhook_secret
from app.keyring import WrappedKey

PUBLIC_PREFIX: Final = "whpk_"
SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - how a secret begins, not one


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """What signs a message: raw Ed25519 private keys (32 bytes each) and symmetric secrets, the newest first."""

    private_keys: Sequence[bytes] = field(repr=False)
    secrets: Sequence[bytes] = field(default=(), repr=False)


def public_text(raw: bytes) -> str:
    """A public key as the standard writes it: `whpk_` and base64."""
    return PUBLIC_PREFIX + base64.b64encode(raw).decode()


def secret_text(raw: bytes) -> str:
    """A symmetric secret as the standard writes it: `whsec_` and base64."""
    return SECRET_PREFIX + base64.b64encode(raw).decode()


def signature_headers(keys: SigningKeys, message: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of a message.

    Args:
        keys: what signs it.
        message: the id of the event, the same at each attempt; it holds no full stop.
        timestamp: when this attempt is made, in whole seconds since 1970.
        body: exactly what is sent.

    """
    signed = f"{message}.{timestamp}.".encode() + body
    made = [f"v1,{_text(hmac.digest(secret, signed, sha256))}" for secret in keys.secrets]
    made += [f"v1a,{_text(Ed25519PrivateKey.from_private_bytes(key).sign(signed))}" for key in keys.private_keys]
    return {"webhook-id": message, "webhook-timestamp": str(timestamp), "webhook-signature": " ".join(made)}


def _text(signature: bytes) -> str:
    return base64.b64encode(signature).decode()


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
