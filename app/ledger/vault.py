"""The vault: subject ids, encrypted, each under a key of its own that erasure destroys; and secrets of the deployment.

AES-256-GCM (NIST SP 800-38D) with 96-bit random nonces. The per-subject key is wrapped by a master key of
SCEAU_MASTER_KEY, which rotates: the first key seals, every listed key opens.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from hmac import digest

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

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
        """Encrypt an id under a new key of its own, bound to a locator (or what else stands for its owner)."""
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
            VaultError: the master key is not held, or what is stored was altered.

        """
        try:
            key = _decrypt(self._keys[sealed.master_key_id], sealed.wrapped_key, sealed.sealed_for)
            return _decrypt(key, sealed.sealed_id, sealed.sealed_for).decode()
        except (KeyError, InvalidTag):
            raise VaultError from None

    def wrap(self, purpose: str, secret: bytes) -> tuple[str, bytes]:
        """Encrypt a secret of this deployment, apart for each purpose; the master key's id, and what to store."""
        return self._current, _encrypt(self._keys[self._current], secret, purpose.encode())

    def unwrap(self, purpose: str, master_key_id: str, wrapped: bytes) -> bytes:
        """Decrypt a secret that was wrapped for this purpose.

        Raises:
            VaultError: the master key is not held, or what is stored was altered or wrapped for another purpose.

        """
        try:
            return _decrypt(self._keys[master_key_id], wrapped, purpose.encode())
        except (KeyError, InvalidTag):
            raise VaultError from None

    def seal_apart(self, purpose: str, plain: bytes) -> bytes:
        """Encrypt one of very many: under a key of its own, made of the master key and 128 random bits.

        So that no number of them makes a nonce under one key repeat. It carries the master key's id.
        """
        salt, name = secrets.token_bytes(_SALT), self._current.encode()
        key = _key_apart(self._keys[self._current], purpose, salt)
        return bytes([len(name)]) + name + salt + AESGCM(key).encrypt(bytes(_NONCE), plain, None)

    def open_apart(self, purpose: str, sealed: bytes) -> bytes:
        """Decrypt what was sealed so for this purpose.

        Raises:
            VaultError: the master key is not held, or what is stored was altered or sealed for another purpose.

        """
        name, rest = sealed[1 : 1 + sealed[0]].decode(errors="replace"), sealed[1 + sealed[0] :]
        try:
            key = _key_apart(self._keys[name], purpose, rest[:_SALT])
            return AESGCM(key).decrypt(bytes(_NONCE), rest[_SALT:], None)
        except (KeyError, InvalidTag):
            raise VaultError from None

    def check_values(self) -> dict[str, str]:
        """For each key id, what tells its key from another: stored to refuse a wrong key at start."""
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
