"""Settings that a command cannot do without, what is lost without others, and which URL stands in for another."""

from collections.abc import Iterator
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
