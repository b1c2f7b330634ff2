"""Signing keys at rest: Ed25519, sealed by the vault's master key, and the table that keeps them."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from sqlalchemy import Column, LargeBinary, Row, Table, Text, Uuid, insert, or_, select, update

from app.db.schema import Instant, metadata
from app.db.session import ReadSession, WriteSession

ALGORITHM: Final = "EdDSA"
"""The `alg` of JWS (RFC 8037, section 3.1); with a key on this curve it means Ed25519."""


def new_private_key() -> tuple[bytes, bytes]:
    """Return a new Ed25519 key: its raw private and public halves, 32 bytes each."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    return private, key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def signed_jws(key: Ed25519PrivateKey, identifier: str, kind: str, claims: Mapping[str, Any]) -> str:
    """Return a compact JWS of claims.

    Args:
        key: the key that signs.
        identifier: its `kid`.
        kind: the `typ` of the header, by which one kind of token is never taken for another (RFC 8725, 3.11).
        claims: the payload, as JSON.

    """
    header = {"alg": ALGORITHM, "kid": identifier, "typ": kind}
    signed = f"{_part(header)}.{_part(claims)}"
    return f"{signed}.{base64url(key.sign(signed.encode()))}"


def public_jwk(identifier: str, public: bytes) -> dict[str, str]:
    """Return the public half of a key as a JSON Web Key (RFC 7517; RFC 8037, section 2)."""
    return {
        "kty": "OKP",
        "crv": "Ed25519",
        "x": base64url(public),
        "kid": identifier,
        "use": "sig",
        "alg": ALGORITHM,
    }


def base64url(raw: bytes) -> str:
    """Return base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _part(value: Mapping[str, Any]) -> str:
    return base64url(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys that sign one kind of message. `purpose`: what they are wrapped for, and the turn to make one."""

    table: Table
    purpose: str


def _ring(name: str) -> KeyRing:
    """Declare the table of a ring."""
    columns = (
        Column("id", Uuid, primary_key=True),
        Column("public_key", LargeBinary, nullable=False),
        Column("master_key_id", Text, nullable=False),
        Column("wrapped_key", LargeBinary, nullable=False),
        Column("created_at", Instant, nullable=False),
        Column("retires_at", Instant),
    )
    return KeyRing(Table(name, metadata, *columns), name.replace("_", " "))


WEBHOOK_KEYS: Final = _ring("webhook_key")
DECISION_KEYS: Final = _ring("decision_key")
PROOF_KEYS: Final = _ring("proof_key")
RECEIPT_KEYS: Final = _ring("receipt_key")


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


async def add_key(session: WriteSession, ring: KeyRing, key: WrappedKey) -> None:
    """Keep a new signing key of the deployment."""
    await session.execute(
        insert(ring.table).values(
            id=key.id,
            public_key=key.public,
            master_key_id=key.master_key_id,
            wrapped_key=key.wrapped,
            created_at=key.created_at,
        )
    )


async def retire_keys(session: WriteSession, ring: KeyRing, at: datetime, *, all_of_them: bool = False) -> None:
    """Let the keys that are in force stay so until an instant and no longer.

    With `all_of_them`, also those that were to retire later than that, whose instant otherwise stays.
    """
    retires_at = ring.table.c.retires_at
    concerned = or_(retires_at.is_(None), retires_at > at) if all_of_them else retires_at.is_(None)
    await session.execute(update(ring.table).where(concerned).values(retires_at=at))


async def all_keys(session: ReadSession, ring: KeyRing) -> list[WrappedKey]:
    """Return every key that a ring ever had, newest first: what a retired one signed must still be verified."""
    rows = await session.execute(select(ring.table).order_by(ring.table.c.created_at.desc()))
    return [_key(row) for row in rows]


async def keys_in_force(session: ReadSession, ring: KeyRing, now: datetime) -> list[WrappedKey]:
    """Return the keys of a ring that are in force, the newest first."""
    columns = ring.table.c
    in_force = or_(columns.retires_at.is_(None), columns.retires_at > now)
    rows = await session.execute(select(ring.table).where(in_force).order_by(columns.created_at.desc()))
    return [_key(row) for row in rows]


def _key(row: Row[Any]) -> WrappedKey:
    return WrappedKey(row.id, row.master_key_id, row.wrapped_key, row.created_at, row.retires_at, row.public_key)
