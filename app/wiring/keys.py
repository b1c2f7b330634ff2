"""The keys of a deployment, read from its settings: what makes pseudonyms, what wraps, and the first caller's."""

import base64
import binascii
from typing import Final

from app.settings import Settings
from app.settings.environment import PREFIX, SettingsError
from app.settings.required import HOW_TO_MAKE, required

_KEY_BYTES: Final = 32
_BOOTSTRAP_CHARACTERS: Final = 32


def pseudonym_key(settings: Settings) -> bytes:
    """The pseudonym key, at least 32 bytes.

    Raises:
        SettingsError: it is missing, or too short.

    """
    key = _decoded(required(settings.pseudonym_key, "pseudonym_key"), "PSEUDONYM_KEY")
    if len(key) < _KEY_BYTES:
        raise SettingsError("SCEAU_PSEUDONYM_KEY has fewer than 32 bytes: " + HOW_TO_MAKE)
    return key


def other_pseudonym_key(settings: Settings) -> bytes | None:
    """The second pseudonym key, during an exchange of keys.

    Raises:
        SettingsError: it is too short.

    """
    if settings.pseudonym_key_other is None:
        return None
    key = _decoded(settings.pseudonym_key_other.get_secret_value(), "PSEUDONYM_KEY_OTHER")
    if len(key) < _KEY_BYTES:
        raise SettingsError("SCEAU_PSEUDONYM_KEY_OTHER has fewer than 32 bytes: " + HOW_TO_MAKE)
    return key


def master_keys(settings: Settings) -> dict[str, bytes]:
    """The master keys by key id, the one that seals first; 32 bytes each.

    Raises:
        SettingsError: it is missing, a key has another length, or two have one id.

    """
    keys: dict[str, bytes] = {}
    for part in required(settings.master_key, "master_key").split(","):
        identifier, separator, key = part.strip().partition(":")
        name, text = (identifier, key) if separator else ("1", identifier)
        decoded = _decoded(text, "MASTER_KEY")
        if len(decoded) != _KEY_BYTES or not name or name in keys:
            raise SettingsError("SCEAU_MASTER_KEY is ID:KEY[,ID:KEY…], each KEY 32 bytes (`openssl rand -base64 32`)")
        keys[name] = decoded
    return keys


def bootstrap_key(settings: Settings) -> str | None:
    """The bootstrap key, if there is one.

    Raises:
        SettingsError: it is shorter than 32 characters.

    """
    if settings.bootstrap_key is None:
        return None
    key = settings.bootstrap_key.get_secret_value()
    if len(key) < _BOOTSTRAP_CHARACTERS or not key.isascii() or not key.isprintable() or " " in key:
        raise SettingsError(
            "SCEAU_BOOTSTRAP_KEY has fewer than 32 characters, or some that no header can carry: "
            "make one with `openssl rand -hex 32`"
        )
    return key


def _decoded(text: str, name: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        pass
    try:
        return base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise SettingsError(f"{PREFIX}{name} is neither hex nor base64: {HOW_TO_MAKE}") from None
