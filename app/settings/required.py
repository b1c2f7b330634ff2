"""Settings that a command cannot do without, keys among them, and what is lost without others."""

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import SecretStr

from app.core.register import RegisterApproval
from app.settings import Settings
from app.settings.environment import PREFIX, SettingsError
from app.settings.values import Durability


def direct_url(settings: Settings) -> str:
    """Return the DSN on which feed and jobs listen: their own, or else the application's.

    Raises:
        SettingsError: neither is set.

    """
    direct = settings.direct_database_url
    return direct.get_secret_value() if direct is not None else required(settings.database_url, "database_url")


HOW_TO_MAKE: Final = "make one with `openssl rand -base64 32`"
"""How an operator makes a key of 32 bytes, for messages."""
HOW_MANY: Final = (
    "set two, so that a new processing is denied until a second person has approved it, or one, if a single key may "
    "register what is analysed without consent"
)
"""What an operator with a database of their own must choose."""
WHAT_SURVIVES: Final = (
    "set it to synchronous if PostgreSQL has a synchronous standby, or to local if it has none (losing the server may "
    "then lose decisions that were answered)"
)
"""What an operator with a database of their own must choose."""
_MADE_BY: Final = {
    "pseudonym_key": f": {HOW_TO_MAKE}, and keep it as long as the database",
    "master_key": f": {HOW_TO_MAKE}, and set 1:KEY",
    "database_url": ": such as postgresql://user:password@host:5432/database",
    "database_owner_url": ": the database as the role that owns its schema, such as postgresql://owner@host/database",
}


def required(value: SecretStr | None, name: str) -> str:
    """Return the value of a setting that this command cannot do without.

    Raises:
        SettingsError: it is not set.

    """
    if value is None:
        how = _MADE_BY.get(name, "")
        raise SettingsError(f"{PREFIX}{name.upper()} is not set (or {PREFIX}{name.upper()}_FILE){how}")
    return value.get_secret_value()


_KEY_BYTES: Final = 32
_MOST_PSEUDONYM_KEYS: Final = 2
_BOOTSTRAP_CHARACTERS: Final = 32


def pseudonym_keys(settings: Settings) -> tuple[bytes, bytes | None]:
    """Return the pseudonym key, at least 32 bytes, and the second one during an exchange of keys.

    Raises:
        SettingsError: it is missing, one is too short, or there are more than two.

    """
    written = required(settings.pseudonym_key, "pseudonym_key").split(",")
    keys = [_decoded(each.strip(), "PSEUDONYM_KEY") for each in written]
    if any(len(key) < _KEY_BYTES for key in keys):
        raise SettingsError("SCEAU_PSEUDONYM_KEY has fewer than 32 bytes: " + HOW_TO_MAKE)
    if len(keys) > _MOST_PSEUDONYM_KEYS:
        raise SettingsError("SCEAU_PSEUDONYM_KEY holds more than two keys: the one in use and, behind it, the next")
    return keys[0], keys[1] if keys[1:] else None


def master_keys(settings: Settings) -> dict[str, bytes]:
    """Return the master keys by key id, the one that seals first; 32 bytes each.

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
    """Return the bootstrap key, if there is one.

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


def durability(settings: Settings) -> Durability:
    """Return what a recorded decision survives; the embedded server's own start sets `local`.

    Raises:
        SettingsError: it is not set: an operator with a database of their own must decide it.

    """
    if settings.durability is None:
        raise SettingsError(f"{PREFIX}DURABILITY is not set: {WHAT_SURVIVES}")
    return settings.durability


def register_approval(settings: Settings) -> RegisterApproval:
    """Return how many persons it takes to register a processing; the embedded server's own start sets `one`.

    Raises:
        SettingsError: it is not set: an operator with a database of their own must decide it.

    """
    if settings.register_approval is None:
        raise SettingsError(f"{PREFIX}REGISTER_APPROVAL is not set: {HOW_MANY}")
    return settings.register_approval


@dataclass(frozen=True, slots=True)
class Unprotected:
    """Something that protects a deployment and is not set: what is lost without it, and how to set it."""

    what: str
    lost: str
    remedy: str

    @property
    def note(self) -> str:
        """Both as sentences, for logs and `/readyz`."""
        return f"{self.lost[0].upper()}{self.lost[1:]}. {self.remedy[0].upper()}{self.remedy[1:]}."


def unprotected(settings: Settings) -> Iterator[Unprotected]:
    """Yield what protects a deployment and is not set: a service works without it."""
    if settings.state_directory is None and settings.journal_hook is None:
        yield Unprotected(
            "journal",
            "no journal is kept outside the database: a restored backup revives withdrawn consents",
            f"set {PREFIX}STATE_DIRECTORY, {PREFIX}JOURNAL_HOOK or both (docs/recovery.md)",
        )
    if settings.state_directory is None:
        yield Unprotected(
            "outage file",
            "no outage file is kept: a service that starts while the database is away answers nothing, not even exempt "
            "purposes (L32-3, III)",
            f'set {PREFIX}STATE_DIRECTORY (docs/operating.md, "When the database is away")',
        )


# Every setting that is wrong or missing, at once: a start reports the first one only.

_LOOKS: Final[Mapping[str, Callable[[Settings], object]]] = {
    "database_url": lambda settings: required(settings.database_url, "database_url"),
    "pseudonym_key": pseudonym_keys,
    "master_key": master_keys,
    "bootstrap_key": bootstrap_key,
    "durability": durability,
    "register_approval": register_approval,
}
"""What a service cannot do without, and keys, whose form is checked only when they are used."""


def settings_errors(environment: Mapping[str, str]) -> list[str]:
    """Return a line for each setting that is wrong or missing, with how to mend it and without its value.

    Args:
        environment: names and values, such as `os.environ`.

    """
    settings, lines, wrong = Settings.read(environment)
    for name, look in _LOOKS.items():
        if name in wrong:
            continue
        try:
            look(settings)
        except SettingsError as error:
            lines.append(str(error))
    return list(dict.fromkeys(lines))
