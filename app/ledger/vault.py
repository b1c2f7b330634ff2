"""The vault: subject ids, each encrypted under its own key that erasure destroys; and secrets of the deployment.

AES-256-GCM (NIST SP 800-38D) with 96-bit random nonces. The per-subject key is wrapped by a master key of
SCEAU_MASTER_KEY, which rotates: the first key seals, every listed key opens.
"""

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from hmac import digest
from typing import Any, Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import CheckConstraint, Column, Index, LargeBinary, Row, Table, delete, select, text
from sqlalchemy.dialects.postgresql import insert

from app.core.names import NameBasis
from app.db.schema import metadata
from app.db.session import Lookup, Prepared, Put, ReadSession, WriteSession, as_refs
from app.ledger.tables import KEYS_IN_USE, KEYS_STATED, key_check, subject_vault

_NONCE = 12
_SALT = 16


class VaultError(Exception):
    """A sealed id cannot be opened with the keys that this deployment holds."""


@dataclass(frozen=True, slots=True)
class SealedId:
    """One subject's id as stored."""

    master_key_id: str
    wrapped_key: bytes
    sealed_id: bytes
    sealed_for: bytes


class Vault:
    """Seals and opens subject ids."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        """Keep the master keys (32 bytes each) by key id; the first one seals."""
        self._keys = dict(keys)
        self._current = next(iter(self._keys))

    def seal(self, bound_to: bytes, identifier: str) -> SealedId:
        """Encrypt an id under a new key for it alone, bound to a locator or another value for its owner."""
        key = secrets.token_bytes(32)
        return SealedId(
            master_key_id=self._current,
            wrapped_key=_encrypt(self._keys[self._current], key, bound_to),
            sealed_id=_encrypt(key, identifier.encode(), bound_to),
            sealed_for=bound_to,
        )

    def open(self, sealed: SealedId) -> str:
        """Decrypt an id.

        Raises:
            VaultError: the master key is not held, or the stored bytes were altered.

        """
        try:
            key = _decrypt(self._keys[sealed.master_key_id], sealed.wrapped_key, sealed.sealed_for)
            return _decrypt(key, sealed.sealed_id, sealed.sealed_for).decode()
        except (KeyError, InvalidTag):
            raise VaultError from None

    def wrap(self, purpose: str, secret: bytes) -> tuple[str, bytes]:
        """Encrypt a secret of this deployment, bound to a purpose; return the master key's id, and what to store."""
        return self._current, _encrypt(self._keys[self._current], secret, purpose.encode())

    def unwrap(self, purpose: str, master_key_id: str, wrapped: bytes) -> bytes:
        """Decrypt a secret that was wrapped for this purpose.

        Raises:
            VaultError: the master key is not held, or the stored bytes were altered or wrapped for another purpose.

        """
        try:
            return _decrypt(self._keys[master_key_id], wrapped, purpose.encode())
        except (KeyError, InvalidTag):
            raise VaultError from None

    def seal_apart(self, purpose: str, plain: bytes) -> bytes:
        """Encrypt one of very many values, under a key derived from the master key and 128 random bits.

        With a key for each value, no number of values makes a nonce repeat under one key. The result carries the master
        key's id.
        """
        salt, name = secrets.token_bytes(_SALT), self._current.encode()
        key = _key_apart(self._keys[self._current], purpose, salt)
        return bytes([len(name)]) + name + salt + AESGCM(key).encrypt(bytes(_NONCE), plain, None)

    def open_apart(self, purpose: str, sealed: bytes) -> bytes:
        """Decrypt what `seal_apart` sealed for this purpose.

        Raises:
            VaultError: the master key is not held, or the stored bytes were altered or sealed for another purpose.

        """
        name, rest = sealed[1 : 1 + sealed[0]].decode(errors="replace"), sealed[1 + sealed[0] :]
        try:
            key = _key_apart(self._keys[name], purpose, rest[:_SALT])
            return AESGCM(key).decrypt(bytes(_NONCE), rest[_SALT:], None)
        except (KeyError, InvalidTag):
            raise VaultError from None

    def check_values(self) -> dict[str, str]:
        """Return what identifies each master key, by its id; it is stored so that a wrong key is refused at start."""
        return {
            f"master:{name}": digest(key, b"sceau master key check", sha256).hex() for name, key in self._keys.items()
        }


def _key_apart(master: bytes, purpose: str, salt: bytes) -> bytes:
    return digest(master, b"sceau apart " + purpose.encode() + b"\0" + salt, sha256)


def _encrypt(key: bytes, plain: bytes, ref: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE)
    return nonce + AESGCM(key).encrypt(nonce, plain, ref)


def _decrypt(key: bytes, sealed: bytes, ref: bytes) -> bytes:
    return AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], ref)


# The stored names of people and check values of keys. Deleting a row here is what erasure means. A name is a sealed id
# of some type. A person has the name with which the account began, and those that were stated to be theirs since
# (`app.core.names`).
@dataclass(frozen=True, slots=True)
class KeptName:
    """One name of a person: its type and sealed id, since when it is theirs, and how and by whom that was stated.

    For the name with which the account began, `basis` and `stated_by` are None: nothing was stated.
    """

    id: UUID
    ref: bytes
    type: str
    sealed: SealedId
    kept_at: datetime
    basis: NameBasis | None = None
    stated_by: UUID | None = None


_KEEP: Final = Put(
    order=30,
    sql="""
INSERT INTO subject_vault (subject_ref, name, type, master_key_id, wrapped_key, sealed_id, sealed_for, stored_at, basis,
    stated_by)
SELECT decode(ref, 'hex'), name, type, master_key_id, decode(wrapped_key, 'hex'), decode(sealed_id, 'hex'),
    decode(sealed_for, 'hex'), stored_at, basis, stated_by
FROM json_to_recordset(CAST(%(rows)s AS json)) AS given (ref text, name uuid, type text, master_key_id text,
    wrapped_key text, sealed_id text, sealed_for text, stored_at timestamptz, basis text, stated_by uuid)
""",
)


def keep_name(session: WriteSession, kept: KeptName) -> None:
    """Keep a name of a person."""
    row = {
        "ref": kept.ref,
        "name": kept.id,
        "type": kept.type,
        "master_key_id": kept.sealed.master_key_id,
        "wrapped_key": kept.sealed.wrapped_key,
        "sealed_id": kept.sealed.sealed_id,
        "sealed_for": kept.sealed.sealed_for,
        "stored_at": kept.kept_at,
        "basis": kept.basis,
        "stated_by": kept.stated_by,
    }
    session.stage(_KEEP, row)


async def names_of(session: ReadSession, ref: bytes) -> Sequence[KeptName]:
    """Return the names of a person, the first one first; empty when they were never kept, or were erased."""
    return (await load_names(session, [ref])).get(ref, ())


async def load_names(session: ReadSession, refs: Collection[bytes]) -> dict[bytes, list[KeptName]]:
    """Return the names of several people, each person's first one first, in one statement; others are left out."""
    if not refs:
        return {}
    table = subject_vault.c
    statement = select(subject_vault).where(table.subject_ref.in_(refs))
    found: dict[bytes, list[KeptName]] = {}
    for row in await session.execute(statement.order_by(table.basis.is_not(None), table.stored_at, table.name)):
        found.setdefault(bytes(row.subject_ref), []).append(name_of(row))
    return found


async def load_name(session: ReadSession, ref: bytes, name: UUID) -> KeptName | None:
    """Return one name of a person; None when it is no longer theirs, or was erased."""
    return next((each for each in await names_of(session, ref) if each.id == name), None)


def name_of(row: Row[tuple[object, ...]]) -> KeptName:
    """Return the name that a row of the vault holds."""
    sealed = SealedId(row.master_key_id, row.wrapped_key, row.sealed_id, row.sealed_for)
    basis = None if row.basis is None else NameBasis(row.basis)
    return KeptName(row.name, bytes(row.subject_ref), row.type, sealed, row.stored_at, basis, row.stated_by)


_FOLLOW: Final = text("""
INSERT INTO subject_vault (subject_ref, name, type, master_key_id, wrapped_key, sealed_id, sealed_for, stored_at, basis,
    stated_by)
SELECT :into, name, type, master_key_id, wrapped_key, sealed_id, sealed_for,
    CASE WHEN name = :named OR basis IS NULL THEN :at ELSE stored_at END,
    CASE WHEN name = :named OR basis IS NULL THEN :basis ELSE basis END,
    CASE WHEN name = :named OR basis IS NULL THEN :by ELSE stated_by END
FROM subject_vault WHERE subject_ref = :ref
""")


async def keep_names_of(session: WriteSession, names_of: bytes, stated: KeptName) -> None:
    """Keep the names of one account as names of another person too.

    Each name keeps what was stated about it, except the name stated now and the name with which the account began,
    about which nothing had been stated: both take what is stated now.
    """
    said = {"into": stated.ref, "ref": names_of, "named": stated.id, "at": stated.kept_at}
    await session.execute(_FOLLOW, {**said, "basis": stated.basis, "by": stated.stated_by})


async def forget_name(session: WriteSession, ref: bytes, name: UUID) -> None:
    """Destroy the key and the sealed id of one name of a person."""
    await session.execute(delete(subject_vault).where(subject_vault.c.subject_ref == ref, subject_vault.c.name == name))


async def destroy_names(session: WriteSession, refs: Collection[bytes]) -> None:
    """Destroy the keys and sealed ids of every name of some subjects."""
    for ref in refs:
        session.note("forgotten", {"subject_ref": ref})
    await session.execute(delete(subject_vault).where(subject_vault.c.subject_ref.in_(list(refs))))


async def agree_on_check(session: WriteSession, name: str, value: str) -> bool:
    """Store a key's check value if it is the first of its name; return whether the stored value is this one."""
    await session.execute(insert(key_check).values(name=name, value=value).on_conflict_do_nothing())
    stored = await session.execute(select(key_check.c.value).where(key_check.c.name == name))
    return bool(stored.scalar_one() == value)


async def keys_in_use(session: ReadSession) -> list[str]:
    """Return what identifies the pseudonym keys stated last, first key first; empty before the first start."""
    stated: str | None = (await session.execute(text(KEYS_IN_USE))).scalar_one_or_none()
    return stated.split(",") if stated is not None else []


async def state_keys_in_use(session: WriteSession, makers: Sequence[str]) -> None:
    """State by which keys processes find subjects: from now on, a process that lacks one of them cannot record.

    The keys are held (`app.ledger.locators.hold_keys`), so one process at a time does this.
    """
    number = len(await list_checks(session, KEYS_STATED)) + 1
    await agree_on_check(session, f"{KEYS_STATED}{number}", ",".join(makers))


async def list_checks(session: ReadSession, prefix: str) -> list[str]:
    """Return the names of check values that begin with this prefix."""
    named = select(key_check.c.name).where(key_check.c.name.startswith(prefix, autoescape=True))
    return list((await session.execute(named.order_by(key_check.c.name))).scalars())


async def load_check(session: ReadSession, name: str) -> str | None:
    """Return the stored check value of that name; None before the first start."""
    stored = await session.execute(select(key_check.c.value).where(key_check.c.name == name))
    value: str | None = stored.scalar_one_or_none()
    return value


# The person for whom each document stands, of those that consents name by their hashes: a form, a recording.

document: Final = Table(
    "document",
    metadata,
    Column("sha256", LargeBinary, primary_key=True),
    Column("subject_ref", LargeBinary, nullable=False),
    CheckConstraint("octet_length(sha256) = 32", name="hash_length"),
    Index("ix_document_subject_ref", "subject_ref"),
)


_STAND: Final = Prepared(
    text(
        "SELECT sha256, subject_ref FROM document WHERE sha256 = "
        "ANY (ARRAY(SELECT decode(each, 'hex') FROM string_to_table(:digests, ',') AS each))"
    )
)
_CLAIM: Final = Put(
    order=15,
    sql="""
INSERT INTO document (sha256, subject_ref) SELECT decode(digest, 'hex'), decode(ref, 'hex')
FROM json_to_recordset(CAST(%(rows)s AS json)) AS given (digest text, ref text)
""",
)


def documents_claimed(digests: Collection[bytes]) -> Lookup[dict[bytes, bytes | None]]:
    """Return a lookup of the subject_ref for whom each document stands; None for an unclaimed document."""

    def read(rows: Sequence[Any]) -> dict[bytes, bytes | None]:
        return {**dict.fromkeys(digests), **{bytes(row.sha256): bytes(row.subject_ref) for row in rows}}

    return Lookup(_STAND, {"digests": as_refs(digests)}, read)


def claim_document(session: WriteSession, digest: bytes, ref: bytes) -> None:
    """Have an unclaimed document stand for a person; it has been held since it was looked up."""
    session.stage(_CLAIM, {"digest": digest, "ref": ref})
