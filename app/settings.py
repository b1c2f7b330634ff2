"""The settings, read from the environment once: names begin with SCEAU_. Only the roots and `app.wiring` read them.

A secret may come from a file instead: SCEAU_MASTER_KEY_FILE holds the path of a file with the key. `.env.example`
lists them all.
"""

import os
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, HttpUrl, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.core.staff import GateMode
from app.events.addresses import AddressPolicy

PREFIX: Final = "SCEAU_"
ELSEWHERE: Final = frozenset({"TEST_DATABASE_URL"})
"""Names under the prefix that are not the service's."""


class SettingsError(Exception):
    """A setting is missing or wrong; the message is one line that names it and says how to mend it."""


class LogFormat(StrEnum):
    """How log lines look."""

    JSON = "json"
    CONSOLE = "console"


def _postgresql_url(value: SecretStr) -> SecretStr:
    try:
        url = urlsplit(value.get_secret_value())
        is_one = url.scheme in {"postgresql", "postgresql+psycopg"} and url.path.strip("/") and url.port != 0
    except ValueError:
        is_one = False
    if not is_one:
        raise ValueError("is not a URL such as postgresql://user:password@host:5432/database")
    return value


def _base_url(value: HttpUrl) -> HttpUrl:
    if value.query is not None or value.fragment is not None or value.username is not None:
        raise ValueError("is an address that others begin with: it has no query, fragment or user")
    return value


PostgresUrl = Annotated[SecretStr, AfterValidator(_postgresql_url)]


class Settings(BaseSettings):
    """Every setting, with its default."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    database_url: PostgresUrl | None = Field(default=None, description="DSN of the application role")
    database_owner_url: PostgresUrl | None = Field(default=None, description="DSN of the schema's owner: migrations")
    pseudonym_key: SecretStr | None = Field(default=None, description="32 bytes, hex or base64; can never change")
    master_key: SecretStr | None = Field(default=None, description="ID:KEY of 32 bytes, the newest first; rotates")
    bootstrap_key: SecretStr | None = Field(default=None, description="The first caller's key, on an empty database")
    public_url: Annotated[HttpUrl, AfterValidator(_base_url)] = Field(
        default=HttpUrl("http://127.0.0.1:8080"), description="Where callers reach the service"
    )
    subject_ids: str = Field(default="casefold", description="casefold, exact, or casefold,TYPE=exact; cannot change")
    consent_validity: str = Field(default="P1Y", description="Ceiling for every processing, at most one year")
    period_counting: str = Field(default="start_of_day", description="start_of_day or same_instant")
    renewal_notice: str = Field(default="P60D,P30D,P7D", description="How long before its expiry a consent is flagged")
    max_backdating: timedelta = Field(
        default=timedelta(minutes=10), ge=timedelta(0), description="For live grants, ISO 8601"
    )
    solicitation_pause: str = Field(default="P6M", description="How long what was refused is not offered again")
    consent_link_validity: timedelta = Field(
        default=timedelta(days=30),
        ge=timedelta(minutes=1),
        le=timedelta(days=366),
        description="How long a link to the consent page asks",
    )
    pool_size: int = Field(default=10, ge=1, le=500, description="Database connections of each worker")
    pool_waiting: int = Field(default=200, ge=0, le=100_000, description="Requests that may wait for one, else 503")
    database_timeout: timedelta = Field(
        default=timedelta(seconds=5),
        ge=timedelta(milliseconds=100),
        le=timedelta(minutes=5),
        description="Deadline of a request's database work",
    )
    max_body_bytes: int = Field(default=1_048_576, ge=1_024, le=67_108_864, description="Largest request body")
    rate_decisions: str = Field(default="off", description="Questions of a caller under IV, N/SECONDS in each worker")
    rate_searches: str = Field(default="1200/60", description="Reads and searches of a caller, likewise")
    rate_consents: str = Field(default="12000/60", description="Consents and links of a caller; withdrawals never")
    rate_administration: str = Field(default="1200/60", description="Other administrative requests of a caller")
    rate_exceptions: str = Field(default="", description="Ids of callers that none of these limits apply to")
    rate_unknown_keys: str = Field(default="300/60", description="Requests of an address without a key in force")
    trusted_proxies: str = Field(default="", description="Networks of proxies whose X-Forwarded-For is believed")
    cache: str = Field(default="leased", description="leased, or strict: read the primary for each decision")
    cache_subjects: int = Field(default=200_000, ge=2, le=50_000_000, description="Subjects each worker remembers")
    lease: timedelta = Field(default=timedelta(seconds=2), description="How long a worker may decide unheard, ≤ PT10S")
    feed_database_url: PostgresUrl | None = Field(default=None, description="Direct DSN, when a pooler stands between")
    jobs: bool = Field(default=True, description="Whether serve runs a jobs process beside its workers")
    jobs_database_url: PostgresUrl | None = Field(default=None, description="Direct DSN for jobs; default: the feed's")
    decision_log: str = Field(default="buffered", description="off, buffered, or durable: permits under IV wait for it")
    decision_log_exempt_share: float = Field(default=0.01, ge=0, le=1, description="Share of permits under III logged")
    decision_log_retention: timedelta = Field(default=timedelta(days=400), description="How long decisions are kept")
    event_retention: timedelta = Field(
        default=timedelta(days=30), ge=timedelta(days=8), description="How long events and deliveries are kept, ≥ P8D"
    )
    webhook_networks: str = Field(default="", description="Networks that webhooks may reach though they are not public")
    webhook_key_overlap: timedelta = Field(
        default=timedelta(days=7), ge=timedelta(0), description="How long a rotated webhook key or secret still signs"
    )
    key_overlap: timedelta = Field(
        default=timedelta(days=7),
        ge=timedelta(0),
        le=timedelta(days=30),
        description="How long a caller's key is good beside the one that was made in its place",
    )
    oidc_issuer: str = Field(default="", description="Issuers whose access tokens are taken, separated by commas")
    oidc_audience: str = Field(default="", description="What tokens must be for (`aud`): a name of this deployment")
    oidc_jwks_url: str = Field(default="", description="Where an issuer's keys are; default: as its discovery says")
    oidc_algorithms: str = Field(default="RS256,PS256,ES256,EdDSA", description="How tokens may be signed")
    oidc_token_types: str = Field(default="at+jwt", description="`typ` of access tokens; at+jwt,JWT for older issuers")
    oidc_scope_claim: str = Field(default="narrows", description="narrows or ignored: a token's own scope claim")
    oidc_clock_skew: timedelta = Field(
        default=timedelta(seconds=30),
        ge=timedelta(0),
        le=timedelta(minutes=2),
        description="How far the issuer's clock may be off, at most PT2M",
    )
    oidc_keep_keys: timedelta = Field(
        default=timedelta(hours=24),
        ge=timedelta(minutes=10),
        le=timedelta(days=7),
        description="How long an issuer's keys are used while it is away",
    )
    staff_gate: GateMode = Field(
        default=GateMode.OFF,
        description="off, warn or enforce: persons who have not acknowledged the staff notice (L32-3, V)",
    )
    staff_grace: timedelta = Field(
        default=timedelta(0),
        ge=timedelta(0),
        le=timedelta(days=90),
        description="How long after a new version of the staff notice the one before is still enough",
    )
    metrics: str = Field(default="open", description="Who reads /metrics: open, scoped (audit:read) or off")
    idempotency_retention: timedelta = Field(default=timedelta(hours=24), description="How long answers are kept")
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="DEBUG to ERROR")
    log_format: LogFormat = Field(default=LogFormat.JSON, description="json or console")

    @classmethod
    def load(cls) -> Self:
        """Read the settings from the environment, and secrets from the files that it names.

        Raises:
            SettingsError: one is unknown, missing or wrong.

        """
        try:
            return cls(**_from_files(os.environ, frozenset(cls.model_fields)))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            name = PREFIX + str(first["loc"][0]).upper() if first["loc"] else "a setting"
            said = str(first["msg"]).removeprefix("Value error, ")
            raise SettingsError(f"{name}: {said[:1].lower()}{said[1:]}{_as_written(first['type'])}") from None


def _as_written(kind: str) -> str:
    return ", as in PT5S" if kind.startswith("time_delta") else ""


def _from_files(environment: Mapping[str, str], names: frozenset[str]) -> dict[str, Any]:
    """What SCEAU_…_FILE variables point to, after a look for names that mean nothing: a misspelt one is refused."""
    found: dict[str, Any] = {}
    for variable, value in environment.items():
        name = variable.removeprefix(PREFIX)
        if name == variable or name in ELSEWHERE or name.lower() in names or not value:
            continue
        base = name.removesuffix("_FILE")
        if base == name or base.lower() not in names:
            raise SettingsError(f"{variable} is no setting of this version: see .env.example")
        if environment.get(PREFIX + base):
            raise SettingsError(f"{variable} and {PREFIX}{base} are both set: keep one")
        try:
            found[base.lower()] = Path(value).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            detail = f"the file that it names cannot be read ({why}): give the path of one that this user may read"
            raise SettingsError(f"{variable}: {detail}") from None
    return found


def direct_url(settings: Settings) -> str:
    """The DSN on which the feed listens: its own, or else the application's.

    Raises:
        SettingsError: neither is set.

    """
    feed = settings.feed_database_url
    return feed.get_secret_value() if feed is not None else required(settings.database_url, "database_url")


def jobs_url(settings: Settings) -> str:
    """The DSN on which workers listen for jobs: their own, or else the feed's.

    Raises:
        SettingsError: none is set.

    """
    jobs = settings.jobs_database_url
    return jobs.get_secret_value() if jobs is not None else direct_url(settings)


HOW_TO_MAKE: Final = "make one with `openssl rand -base64 32`"
"""How an operator makes a key of 32 bytes, for messages."""
_MADE_BY: Final = {
    "pseudonym_key": f": {HOW_TO_MAKE}, and keep it as long as the database",
    "master_key": f": {HOW_TO_MAKE}, and set 1:KEY",
    "database_url": ": such as postgresql://user:password@host:5432/database",
    "database_owner_url": ": the database as the role that owns its schema, such as postgresql://owner@host/database",
}


def required(value: SecretStr | None, name: str) -> str:
    """The value of a setting that this command cannot do without.

    Raises:
        SettingsError: it is not set.

    """
    if value is None:
        how = _MADE_BY.get(name, "")
        raise SettingsError(f"{PREFIX}{name.upper()} is not set (or {PREFIX}{name.upper()}_FILE){how}")
    return value.get_secret_value()


def webhook_policy(settings: Settings) -> AddressPolicy:
    """Which addresses webhooks may reach.

    Raises:
        SettingsError: a network is none.

    """
    try:
        return AddressPolicy.parse(settings.webhook_networks)
    except ValueError:
        raise SettingsError(
            f"{PREFIX}WEBHOOK_NETWORKS is a list of networks, such as 10.1.0.0/16,fd00:1::/64"
        ) from None
