"""The types of the settings: how the text of each is read, and what a person reads when it is wrong."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit
from uuid import UUID

from cryptography.x509 import Certificate, load_pem_x509_certificates
from pydantic import (
    AfterValidator,
    BeforeValidator,
    DirectoryPath,
    FilePath,
    HttpUrl,
    InstanceOf,
    SecretStr,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import PydanticCustomError

from app.auth.callers import OFF, Quota
from app.auth.issuer_trust import is_safe
from app.core.consent_link import Brand
from app.core.errors import InvalidNoticeError, InvalidPeriodError
from app.core.period import ConsentPeriod
from app.core.renewal import parse_notices
from app.db.connections import names_a_database
from app.events.addresses import AddressPolicy, Network, parse_networks
from app.ledger.identifiers import SubjectIds
from app.ledger.link_store import Origins, parse_origins
from app.snapshot.feed import LONGEST_LEASE, SHORTEST_LEASE

REFUSED: Final = "refused_setting"
"""The type of an error whose message follows the name of the setting: `SCEAU_CACHE` `must be leased or strict`."""

_TOKEN_TYPES: Final = frozenset({"at+jwt", "jwt"})


class CacheMode(StrEnum):
    """Whether workers decide from memory under a lease, or read the primary for each decision."""

    LEASED = "leased"
    STRICT = "strict"


class Durability(StrEnum):
    """What a recorded decision survives: the loss of a server (a synchronous standby has it), or only its restart."""

    SYNCHRONOUS = "synchronous"
    LOCAL = "local"


class DecisionLogMode(StrEnum):
    """Whether decisions are logged, and whether permits under IV wait until theirs is."""

    OFF = "off"
    BUFFERED = "buffered"
    DURABLE = "durable"


class TracesMode(StrEnum):
    """Whether traces are sent: not at all, or to the OTLP receiver that the OTEL_… variables name."""

    OFF = "off"
    OTLP = "otlp"


class ScopeClaim(StrEnum):
    """What a token's own scope claim does to the scopes of its caller."""

    NARROWS = "narrows"
    IGNORED = "ignored"


def _refused(how: str) -> PydanticCustomError:
    return PydanticCustomError(REFUSED, "{how}", {"how": how})


def _reached(value: object, check: ValidatorFunctionWrapHandler) -> object:
    """Refuse a path that cannot be looked at, such as one in a directory of another account."""
    try:
        return check(value)
    except OSError as error:
        raise _refused(f"cannot be looked at: {error.strerror}") from None


Directory = Annotated[DirectoryPath, WrapValidator(_reached)]
ProgramFile = Annotated[FilePath, WrapValidator(_reached)]


def _read(parse: Callable[[str], object], how: str) -> BeforeValidator:
    """Return a validator that reads a setting with `parse`, and refuses a wrong text with the setting's name and `how`.

    A value that is not text is a default, or one that code hands in: pydantic checks its type.
    """

    def read(value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return parse(value)
        except (ValueError, InvalidNoticeError):
            raise _refused(f"must be {how}") from None

    return BeforeValidator(read)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _period(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return ConsentPeriod.parse(value)
    except InvalidPeriodError as error:
        raise ValueError(error.detail) from None


def _lease(value: timedelta) -> timedelta:
    if not SHORTEST_LEASE <= value.total_seconds() <= LONGEST_LEASE:
        raise _refused("lies between PT0.1S and PT10S")
    return value


def _postgresql_url(value: SecretStr) -> SecretStr:
    if not names_a_database(value.get_secret_value()):
        raise _refused(
            "must be a URL such as postgresql://user:password@host:5432/database, with special characters of user and "
            "password percent-encoded: % as %25, @ as %40, / as %2F, a blank as %20"
        )
    return value


def _base_url(value: HttpUrl) -> HttpUrl:
    if value.query is not None or value.fragment is not None or value.username is not None:
        raise ValueError("is an address that others begin with: it has no query, fragment or user")
    return value


_PNG: Final = b"\x89PNG\r\n\x1a\n"
_MOST_LOGO_BYTES: Final = 102_400


def _logo(path: str | bytes) -> bytes:
    """Return the picture itself, so that no page can fail because a file has gone."""
    if isinstance(path, bytes):
        return path
    try:
        with Path(path).open("rb") as file:
            read = file.read(_MOST_LOGO_BYTES + 1)
    except OSError as error:
        raise _refused("names a file that cannot be read: it must be the path of a PNG") from error
    if not read.startswith(_PNG):
        raise _refused("names a file that is no PNG")
    if len(read) > _MOST_LOGO_BYTES:
        raise _refused("names a PNG that is larger than 100 KiB")
    return read


def _authority_url(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    try:
        url = urlsplit(text)
        is_one = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0 and not url.fragment
        is_one = is_one and " " not in text and text.isprintable()  # urlsplit leaves these out, the client does not
    except ValueError:
        is_one = False
    if not is_one:
        raise _refused(
            "must be an address such as https://tsa.example.eu/tsr, with user:password@ where it asks for them"
        )
    return value


def _roots(path: object) -> object:
    """Return the certificates themselves, as `_logo` does with the picture."""
    if not isinstance(path, str):
        return path
    try:
        return tuple(load_pem_x509_certificates(Path(path).read_bytes()))
    except OSError as error:
        raise _refused("names a file that cannot be read: it must be the path of certificates in PEM") from error
    except ValueError:
        raise _refused("names a file that holds no certificates in PEM") from None


def _safe_urls(text: str) -> tuple[str, ...]:
    urls = _listed(text)
    if not all(map(is_safe, urls)):
        raise ValueError
    return urls


def _issuers(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) != len(names):
        raise _refused("names an issuer twice")
    return names


def _token_types(text: str) -> frozenset[str]:
    words = _listed(text.lower())
    if not words or not _TOKEN_TYPES.issuperset(words):
        raise ValueError
    return frozenset(words)


def _console_client(client: SecretStr) -> SecretStr:
    if client.get_secret_value().startswith(" "):
        raise ValueError("is the client's ID, or ID SECRET with a blank between")
    return client


_URL: Final = "an address such as https://login.example.fr/realms/staff (https; plain HTTP only for this machine)"

ConsoleClient = Annotated[SecretStr, AfterValidator(_console_client)]
PostgresUrl = Annotated[SecretStr, AfterValidator(_postgresql_url)]
AuthorityUrl = Annotated[SecretStr, AfterValidator(_authority_url)]
AuthorityRoots = Annotated[tuple[InstanceOf[Certificate], ...], BeforeValidator(_roots)]
BaseUrl = Annotated[HttpUrl, AfterValidator(_base_url)]
LeaseTime = Annotated[timedelta, AfterValidator(_lease)]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
BrandChoice = Annotated[
    InstanceOf[Brand],
    _read(
        Brand.parse,
        "a name of 60 characters at most, alone or with a colour on which white text can be read (4.5:1): "
        "Exemple Messagerie, #0b5d4e",
    ),
]
LogoFile = Annotated[bytes, BeforeValidator(_logo)]
Period = Annotated[ConsentPeriod, BeforeValidator(_period)]
NoticeDays = Annotated[tuple[int, ...], _read(parse_notices, "days or weeks, at most 365 days, such as P60D,P30D,P7D")]
SubjectIdRules = Annotated[
    SubjectIds, _read(SubjectIds.parse, "address, lower or exact, with exceptions such as mxid=exact")
]
RATES: Final[Mapping[str, Quota | None]] = {
    "decisions": None,
    "searches": Quota(1_200, 60),
    "consents": Quota(12_000, 60),
    "administration": Quota(1_200, 60),
    "unknown_keys": Quota(300, 60),
}
"""The quotas of a caller, by what is counted, and of an address without a key in force; None for no quota."""


_EXCEPT: Final = "except"


@dataclass(frozen=True, slots=True)
class Rates:
    """The quotas by what is counted, and the callers to which none of them applies."""

    quotas: Mapping[str, Quota | None] = field(default_factory=lambda: RATES)
    excepted: frozenset[UUID] = frozenset()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read how a text differs from `RATES`: `searches=600/60,decisions=off,except=ID`; `off` sets no quota at all.

        Raises:
            ValueError: it is not such a list, or names a quota twice.

        """
        if text == OFF:
            return cls(dict.fromkeys(RATES))
        parts = [part.split("=") for part in _listed(text)]
        excepted = frozenset(UUID(identifier) for name, identifier in parts if name == _EXCEPT)
        changed = [(name, Quota.parse(quota)) for name, quota in parts if name != _EXCEPT]
        if len(dict(changed)) < len(changed) or not dict(changed).keys() <= RATES.keys():
            raise ValueError
        return cls({**RATES, **dict(changed)}, excepted)


RateChoice = Annotated[
    InstanceOf[Rates],
    _read(
        Rates.parse,
        f"off, or N/SECONDS or off for some of {', '.join(RATES)}, and ids of callers to except, such as "
        "searches=1200/60,decisions=off,except=ID",
    ),
]
ProxyNetworks = Annotated[tuple[Network, ...], _read(parse_networks, "a list of networks, such as 10.0.0.0/8,fd00::/8")]
ReturnOrigins = Annotated[
    Origins,
    _read(parse_origins, "a list of https origins, such as https://mail.example.fr (plain HTTP only for this machine)"),
]
WebhookNetworks = Annotated[
    AddressPolicy, _read(AddressPolicy.parse, "a list of networks, such as 10.1.0.0/16,fd00:1::/64")
]
SafeUrls = Annotated[tuple[str, ...], _read(_safe_urls, _URL)]
Issuers = Annotated[SafeUrls, AfterValidator(_issuers)]
TokenTypes = Annotated[
    frozenset[str],
    _read(_token_types, "at+jwt, or at+jwt,JWT for an issuer that does not tell access tokens apart"),
]
