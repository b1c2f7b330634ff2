"""The settings of a process, read from the environment once. Only the roots and `app.wiring` read them.

Names begin with SCEAU_. A secret may come from a file instead: SCEAU_MASTER_KEY_FILE holds the path of a file with the
key. `.env.example` lists all settings.
"""

import os
from collections.abc import Collection, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, SecretStr, ValidationError

from app.core.period import ONE_YEAR, ConsentPeriod, Counting
from app.core.register import RegisterApproval
from app.events.addresses import AddressPolicy
from app.ledger.identifiers import SubjectIds
from app.settings.environment import PREFIX, SettingsError, lacking, lines_of, read_variables
from app.settings.values import (
    AuthorityRoots,
    AuthorityUrl,
    BaseUrl,
    BrandChoice,
    CacheMode,
    ConsoleClient,
    DecisionLogMode,
    Directory,
    Durability,
    Issuers,
    LeaseTime,
    LogLevel,
    LogoFile,
    NoticeDays,
    Period,
    PostgresUrl,
    ProgramFile,
    ProxyNetworks,
    RateChoice,
    Rates,
    ReturnOrigins,
    ScopeClaim,
    SubjectIdRules,
    TokenTypes,
    TracesMode,
    WebhookNetworks,
)
from app.telemetry.logs import MetricsAccess

OUTAGE_FILE: Final = "outage.sealed"
"""The outage file's name in SCEAU_STATE_DIRECTORY, beside `journal-*.ndjson` and the last checkpoint."""


class Settings(BaseModel):
    """Every setting, with its default."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    database_url: PostgresUrl | None = Field(default=None, description="DSN of the application role")
    database_owner_url: PostgresUrl | None = Field(
        default=None, description="DSN of the schema's owner: migrations, limits, retention"
    )
    pseudonym_key: SecretStr | None = Field(
        default=None, description="32 bytes, hex or base64; KEY,OTHER while one is exchanged (docs/operating.md)"
    )
    master_key: SecretStr | None = Field(
        default=None, description="ID:KEY of 32 bytes, the newest first and the first of all last; rotates"
    )
    bootstrap_key: SecretStr | None = Field(default=None, description="The first caller's key, on an empty database")
    public_url: BaseUrl = Field(default=HttpUrl("http://127.0.0.1:8080"), description="Where callers reach the service")
    subject_ids: SubjectIdRules = Field(
        default=SubjectIds(), description="address, lower or exact, or address,TYPE=exact; cannot change"
    )
    consent_validity: Period = Field(default=ONE_YEAR, description="Ceiling for every processing, at most one year")
    period_counting: Counting = Field(default=Counting.START_OF_DAY, description="start_of_day or same_instant")
    renewal_notice: NoticeDays = Field(
        default=(60, 30, 7), description="How long before its expiry a consent is flagged"
    )
    max_backdating: timedelta = Field(
        default=timedelta(minutes=10), ge=timedelta(0), description="For live grants, ISO 8601"
    )
    solicitation_pause: Period = Field(
        default=ConsentPeriod(months=6, days=0), description="How long what was refused is not offered again"
    )
    consent_link_validity: timedelta = Field(
        default=timedelta(days=30),
        ge=timedelta(minutes=1),
        le=timedelta(days=366),
        description="How long a link to the consent page asks",
    )
    return_to_origins: ReturnOrigins = Field(
        default=frozenset(), description="Origins that the consent page may offer to go back to, with commas"
    )
    brand: BrandChoice | None = Field(
        default=None, description="The name that people know, and a colour: Exemple Messagerie, #0b5d4e"
    )
    logo: LogoFile | None = Field(default=None, description="A PNG of 100 KiB at most for the consent page: its path")
    pool_size: int = Field(default=10, ge=1, le=500, description="Database connections of each worker")
    database_timeout: timedelta = Field(
        default=timedelta(seconds=5),
        ge=timedelta(milliseconds=100),
        le=timedelta(minutes=5),
        description="Deadline of a request's database work",
    )
    rate_limits: RateChoice = Field(
        default=Rates(),
        description="Quotas in each worker: searches=1200/60,decisions=off,except=CALLER; or off",
    )
    trusted_proxies: ProxyNetworks = Field(
        default=(), description="Networks of proxies whose X-Forwarded-For is believed"
    )
    durability: Durability | None = Field(
        default=None,
        description="synchronous (a standby has each decision) or local; no default but on the embedded server",
    )
    cache: CacheMode = Field(
        default=CacheMode.LEASED, description="leased, or strict: read the primary for each decision"
    )
    cache_subjects: int = Field(default=200_000, ge=2, le=50_000_000, description="Subjects and decisions of a worker")
    lease: LeaseTime = Field(default=timedelta(seconds=2), description="How long a worker may decide unheard, ≤ PT10S")
    direct_database_url: PostgresUrl | None = Field(
        default=None, description="Direct DSN for the feed and jobs, which listen, when a pooler stands between"
    )
    edge_socket: Path | None = Field(
        default=None, description="A Unix socket for programs of this host that decide by themselves (docs/edge.md)"
    )
    jobs: bool = Field(default=True, description="Whether serve runs a jobs process beside its workers")
    decision_log: DecisionLogMode = Field(
        default=DecisionLogMode.BUFFERED, description="off, buffered, or durable: permits under IV wait for it"
    )
    decision_log_exempt_share: float = Field(default=0.01, ge=0, le=1, description="Share of permits under III logged")
    decision_log_retention: timedelta = Field(
        default=timedelta(days=90), description="How long rows of the decision log are kept; counts by day stay"
    )
    webhook_networks: WebhookNetworks = Field(
        default=AddressPolicy(), description="Networks that webhooks may reach though they are not public"
    )
    oidc_issuer: Issuers = Field(default=(), description="Issuers whose access tokens are taken, separated by commas")
    oidc_audience: str = Field(default="", description="What tokens must be for (`aud`): a name of this deployment")
    oidc_token_types: TokenTypes = Field(
        default=frozenset({"at+jwt"}), description="`typ` of access tokens; at+jwt,JWT for older issuers"
    )
    oidc_scope_claim: ScopeClaim = Field(
        default=ScopeClaim.NARROWS, description="narrows or ignored: a token's own scope claim"
    )
    console_client: ConsoleClient | None = Field(
        default=None,
        description="The console's client at the first issuer, ID or ID SECRET: people sign in by account",
    )
    register_approval: RegisterApproval | None = Field(
        default=None,
        description="one or two: persons that it takes to register a processing; no default but on the embedded server",
    )
    drain: timedelta = Field(
        default=timedelta(seconds=4),
        ge=timedelta(0),
        le=timedelta(minutes=5),
        description="After SIGTERM, how long requests are still taken while /readyz says no",
    )
    metrics: MetricsAccess = Field(
        default=MetricsAccess.OPEN, description="Who reads /metrics: open, scoped (audit:read) or off"
    )
    traces: TracesMode = Field(
        default=TracesMode.OFF, description="off, or otlp: sent as OTEL_EXPORTER_OTLP_ENDPOINT and others say"
    )
    state_directory: Directory | None = Field(
        default=None,
        description="Where what must outlive process and database is kept: journal, outage file, last checkpoint",
    )
    journal_hook: ProgramFile | None = Field(
        default=None, description="A program that gets each line of the journal on its standard input"
    )
    tsa_url: AuthorityUrl | None = Field(default=None, description="A time-stamping authority (RFC 3161) for the log")
    tsa_ca_file: AuthorityRoots | None = Field(default=None, description="Its trusted roots: the path of a PEM file")
    log_level: LogLevel = Field(default="INFO", description="DEBUG to ERROR")

    @property
    def outage_file(self) -> Path | None:
        """Where what exempt purposes need is kept, sealed, for a start without the database."""
        return None if self.state_directory is None else self.state_directory / OUTAGE_FILE

    @classmethod
    def load(cls) -> Self:
        """Read the settings from the environment, and secrets from the files that it names.

        Raises:
            SettingsError: one is unknown, missing or wrong.

        """
        settings, lines, _ = cls.read(os.environ)
        if lines:
            raise SettingsError(lines[0])
        return settings

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> tuple[Self, list[str], Collection[str]]:
        """Read the settings that can be read; return a line for each that is wrong, and which have wrong values."""
        values, lines = read_variables(environment, frozenset(cls.model_fields))
        wrong: dict[str, str] = {}
        try:
            settings = cls(**values)
        except ValidationError as error:
            wrong = lines_of(error)
            settings = cls(**{name: value for name, value in values.items() if name not in wrong})
        lines += wrong.values()
        unread = {PREFIX + name.upper() for name in wrong}
        lines += (line for line in lacking(settings) if unread.isdisjoint(line.split()))
        return settings, lines, wrong.keys()
