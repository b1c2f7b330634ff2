"""What stands in the database in place of people's ids: keyed hashes by which they are found, and ids encrypted.

Ids are normalised first, so that two spellings are one person. The vault encrypts the deployment's secrets too, and
check values tell whether a process holds the same keys as the others.

A *locator* is HMAC-SHA-256 under SCEAU_PSEUDONYM_KEY over the type and the normalised id. It leads through one row
(`app.ledger.locators`) to the subject's random `subject_ref`, under which all else is stored. Erasing a person deletes
that row: afterwards even a holder of the key cannot find the past by the id. The key can be exchanged for another by
writing the rows anew. A keyed hash is a pseudonym, not anonymous data (GDPR art. 4(5)).
"""

import re
import secrets
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from hmac import digest
from struct import Struct
from typing import TYPE_CHECKING, Any, Final, Self
from uuid import UUID

import idna
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import CheckConstraint, Column, Index, LargeBinary, Table, delete, select, text
from sqlalchemy.dialects.postgresql import insert

from app.core.errors import InvalidSubjectError, RefusalError
from app.core.names import NameBasis
from app.db.schema import metadata
from app.db.session import Lookup, Prepared, Put, ReadSession, WriteSession, as_columns, as_refs, insertion, record_of
from app.ledger.tables import KEYS_IN_USE, KEYS_STATED, key_check, subject_vault

if TYPE_CHECKING:
    import hashlib

# When two ids are one subject: how ids are normalised before they are looked up. Two people are never merged. Domains
# are compared as A-labels without the dot of the root (UTS #46 non-transitional, IDNA 2008; RFC 5890 section
# 2.3.2.1), so `straße.example` and `strasse.example` are two; everything else by Unicode form C and lower case,
# without folding (RFC 6530 leaves the local part to its domain). The algorithm has a version, which is stored and
# checked at start: another version would find other people.

ALGORITHM: Final = "idna2008-2"
"""The version of the normalisation that this module implements."""

# A domain of letters, digits and single hyphens is its own A-label; tests compare this with the library. Nearly every
# domain is of that form, and the library takes 40 microseconds for it, about as long as a whole decision.
_PLAIN: Final = re.compile(r"[a-z0-9]++(?:[-.][a-z0-9]++)*+", re.ASCII)
_LONGEST_DOMAIN, _LONGEST_LABEL = 253, 63


class Normalisation(StrEnum):
    """How ids of a subject type are compared.

    `address`: a part and a domain, as in `alice@example.fr` or `@alice:example.fr`; ids without a domain as `lower`.
    `lower`: form C and lower case. `exact`: form C.
    """

    ADDRESS = "address"
    LOWER = "lower"
    EXACT = "exact"


@dataclass(frozen=True, slots=True)
class SubjectIds:
    """How the ids of each subject type are normalised (SCEAU_SUBJECT_IDS)."""

    default: Normalisation = Normalisation.ADDRESS
    by_type: Mapping[str, Normalisation] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> "SubjectIds":
        """Parse `address`, `lower` or `exact`, or a default with exceptions: `address,mxid=exact`.

        Raises:
            ValueError: a word is none of these, or there is more than one default.

        """
        words = [word.strip() for word in text.split(",")]
        defaults = [Normalisation(word) for word in words if "=" not in word]
        if len(defaults) > 1:
            message = "one default at most"
            raise ValueError(message)
        pairs = (word.split("=", 1) for word in words if "=" in word)
        by_type = {subject_type.strip(): Normalisation(word.strip()) for subject_type, word in pairs}
        return cls(defaults[0] if defaults else Normalisation.ADDRESS, by_type)

    def normalise(self, subject_type: str, identifier: str) -> str:
        """Return the normalised form of an id; ids with the same form are one subject.

        Raises:
            InvalidSubjectError: the id has a domain that IDNA refuses.

        """
        how = self.by_type.get(subject_type, self.default)
        if how is Normalisation.EXACT:
            return unicodedata.normalize("NFC", identifier)
        if how is Normalisation.LOWER:
            return _lower(identifier)
        if identifier.isascii():
            lowered = identifier.lower()
            if _is_plain(_split(lowered)[2]):
                return lowered
        name, mark, domain = _split(identifier)
        return f"{_lower(name)}{mark}{_a_labels(domain)}" if mark else _lower(identifier)

    def __str__(self) -> str:
        """Return a canonical form for comparing two deployments; it includes the algorithm's version."""
        exceptions = (f"{name}={word}" for name, word in sorted(self.by_type.items()) if word is not self.default)
        return ",".join([self.default.value, *exceptions, ALGORITHM])


def _split(identifier: str) -> tuple[str, str, str]:
    """Return the part before the domain, the separator and the domain; without a domain, the separator is empty."""
    if identifier.startswith("@"):  # a Matrix id: the first colon ends the local part
        return identifier.partition(":")
    return identifier.rpartition("@")


def _lower(text: str) -> str:
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())


def _is_plain(domain: str) -> bool:
    """Return whether a domain in lower case is its own A-label, judged by `_PLAIN` and the lengths of RFC 1035."""
    length = len(domain)
    if _PLAIN.fullmatch(domain) is None or length > _LONGEST_DOMAIN:
        return False
    return length <= _LONGEST_LABEL or max(map(len, domain.split("."))) <= _LONGEST_LABEL


def _a_labels(domain: str) -> str:
    """Return a domain as A-labels in lower case, without the dot of the root; of an address literal only the case."""
    lowered = domain.lower()
    host, colon, port = lowered.partition(":")
    if lowered.startswith("[") and lowered.isascii():  # RFC 5321 section 4.1.3
        return lowered
    try:
        return idna.encode(host, uts46=True, transitional=False).decode().removesuffix(".") + colon + port
    except idna.IDNAError:
        raise InvalidSubjectError(field="subject.id") from None


_LENGTH: Final = Struct(">I")
_KEY_ID: Final = 16
"""Hexadecimal digits of a key's id: enough to distinguish keys, and they reveal nothing about the key."""


_BLOCK: Final = 64
_INNER_PAD: Final = bytes(each ^ 0x36 for each in range(256))
_OUTER_PAD: Final = bytes(each ^ 0x5C for each in range(256))


class KeyedHash:
    """HMAC-SHA-256 (RFC 2104) of messages with a common beginning: the key and that beginning are hashed once.

    Keeping the two hash states takes two thirds of the time of a copied `hmac.HMAC`; every question computes one.
    """

    def __init__(self, inner: "hashlib._Hash", outer: "hashlib._Hash") -> None:
        """Continue from the inner and outer hash states of RFC 2104."""
        self._inner = inner
        self._outer = outer

    @classmethod
    def by(cls, key: bytes) -> Self:
        """Begin with the key alone."""
        block = (sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
        return cls(sha256(block.translate(_INNER_PAD)), sha256(block.translate(_OUTER_PAD)))

    def after(self, beginning: bytes) -> "KeyedHash":
        """Return a hash for messages that continue with this beginning."""
        inner = self._inner.copy()
        inner.update(beginning)
        return KeyedHash(inner, self._outer)

    def of(self, rest: bytes) -> bytes:
        """Return the hash (32 bytes) of the message that ends with this."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(rest)
        outer.update(inner.digest())
        return outer.digest()


class Pseudonyms:
    """Makes locators and other keyed hashes; holds the keys, and never shows them.

    `other` is the second key during an exchange of keys: each subject then has rows by both keys. `maker` is noted
    beside a locator: it says how ids were normalised, and which key made it.

    Only locators are made with these keys, because their rows can be written anew. All other hashes use `lasting`,
    which is never exchanged: what another key hashed could not be found afterwards.
    """

    def __init__(
        self, key: bytes, ids: SubjectIds | None = None, *, other: bytes | None = None, lasting: bytes | None = None
    ) -> None:
        """Keep the keys (at least 32 bytes; without `lasting`, one for everything) and the way ids are normalised."""
        self.ids = ids or SubjectIds()
        self.other = None if other is None else Pseudonyms(other, self.ids)
        self._keyed = KeyedHash.by(key)
        self._lasting = KeyedHash.by(lasting or key)
        self._of_subjects = self._begun("subject")
        self.maker = f"{ALGORITHM} {self._begun('check', 'locator').of(b'').hex()[:_KEY_ID]}"
        self._of_purpose: dict[str, KeyedHash] = {}

    def locator(self, subject_type: str, identifier: str) -> bytes:
        """Return the locator (32 bytes) by which a subject is found.

        Raises:
            InvalidSubjectError: the id has a domain that IDNA refuses.

        """
        kind, name = subject_type.encode(), self.ids.normalise(subject_type, identifier).encode()
        return self._of_subjects.of(b"%b%b%b%b" % (_LENGTH.pack(len(kind)), kind, _LENGTH.pack(len(name)), name))

    def found_by(self, subject_type: str, identifier: str) -> Mapping[bytes, str]:
        """Return the locators under which a subject has rows, that of the first key first, each with its maker.

        Raises:
            InvalidSubjectError: the id has a domain that IDNA refuses.

        """
        keys = (self,) if self.other is None else (self, self.other)
        return {each.locator(subject_type, identifier): each.maker for each in keys}

    def makers(self) -> tuple[str, ...]:
        """Return what identifies the keys, the first key first."""
        return (self.maker,) if self.other is None else (self.maker, self.other.maker)

    def opaque(self, purpose: str, value: str) -> bytes:
        """Return a keyed hash (32 bytes) of a value that must not be stored in clear, different for each purpose.

        `purpose` is a word of the code, never of a request, because a hash state is kept for each purpose.
        """
        begun = self._of_purpose.get(purpose)
        if begun is None:
            begun = self._of_purpose[purpose] = self._lasting.after(_prefixed("opaque") + _prefixed(purpose))
        return begun.of(_prefixed(value))

    def check_value(self) -> str:
        """Return what identifies the lasting key; it is stored so that another key is refused at start."""
        return self.opaque("check", "lasting").hex()[:_KEY_ID]

    def _begun(self, *parts: str) -> KeyedHash:
        return self._keyed.after(b"".join(map(_prefixed, parts)))


def _prefixed(part: str) -> bytes:
    """Return a part of a message prefixed with its length, so that different tuples give different messages."""
    encoded = part.encode()
    return _LENGTH.pack(len(encoded)) + encoded


# The vault: subject ids, each encrypted under its own key that erasure destroys; and secrets of the deployment.
# AES-256-GCM (NIST SP 800-38D) with 96-bit random nonces. The per-subject key is wrapped by a master key of
# SCEAU_MASTER_KEY, which rotates: the first key seals, every listed key opens.

_NONCE = 12
_SALT = 16


class VaultError(RefusalError):
    """A sealed id cannot be opened with the keys that this deployment holds."""

    message = "what the database keeps sealed does not open: check that SCEAU_MASTER_KEY is this deployment's"


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


_KEEP: Final = Put(order=30, sql=insertion(subject_vault))


def keep_name(session: WriteSession, kept: KeptName) -> None:
    """Keep a name of a person."""
    row = {
        "subject_ref": kept.ref,
        "name": kept.id,
        "type": kept.type,
        **as_columns(kept.sealed),
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
    names: dict[bytes, list[KeptName]] = {}
    for row in await session.execute(statement.order_by(table.basis.is_not(None), table.stored_at, table.name)):
        ref, sealed = bytes(row.subject_ref), record_of(SealedId, row)
        basis = None if row.basis is None else NameBasis(row.basis)
        kept = KeptName(row.name, ref, row.type, sealed, row.stored_at, basis, row.stated_by)
        names.setdefault(ref, []).append(kept)
    return names


async def load_name(session: ReadSession, ref: bytes, name: UUID) -> KeptName | None:
    """Return one name of a person; None when it is no longer theirs, or was erased."""
    return next((each for each in await names_of(session, ref) if each.id == name), None)


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
    values = {"into": stated.ref, "ref": names_of, "named": stated.id, "at": stated.kept_at}
    await session.execute(_FOLLOW, {**values, "basis": stated.basis, "by": stated.stated_by})


async def forget_name(session: WriteSession, ref: bytes, name: UUID) -> None:
    """Destroy the key and the sealed id of one name of a person."""
    await session.execute(delete(subject_vault).where(subject_vault.c.subject_ref == ref, subject_vault.c.name == name))


async def agree_on_check(session: WriteSession, name: str, value: str) -> bool:
    """Store a key's check value if it is the first of its name; return whether the stored value is this one."""
    await session.execute(insert(key_check).values(name=name, value=value).on_conflict_do_nothing())
    return await load_check(session, name) == value


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
_CLAIM: Final = Put(order=15, sql=insertion(document))


def documents_claimed(digests: Collection[bytes]) -> Lookup[dict[bytes, bytes | None]]:
    """Return a lookup of the subject_ref for whom each document stands; None for an unclaimed document."""

    def read(rows: Sequence[Any]) -> dict[bytes, bytes | None]:
        return {**dict.fromkeys(digests), **{bytes(row.sha256): bytes(row.subject_ref) for row in rows}}

    return Lookup(_STAND, {"digests": as_refs(digests)}, read)


def claim_document(session: WriteSession, digest: bytes, ref: bytes) -> None:
    """Have an unclaimed document stand for a person; it has been held since it was looked up."""
    session.stage(_CLAIM, {"sha256": digest, "subject_ref": ref})
