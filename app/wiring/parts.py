"""Make the parts of a service from settings: its choices, token issuers, the log, traces."""

from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from hmac import digest
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from app.auth.issuer_trust import ALGORITHMS
from app.auth.sessions import CALLBACK, LONGEST
from app.auth.tokens import TokenRules
from app.core.period import PeriodPolicy
from app.core.register import RegisterApproval
from app.db.database import Database, PoolLimits
from app.db.session import Clock
from app.journal.files import KeptHeads
from app.journal.journal import Fence, Journal, JournalPlan
from app.ledger.identifiers import Pseudonyms, Vault
from app.operations.proof.append_entries import ProofPlan
from app.operations.service.deployment import Deployment
from app.proof.notes import log_name
from app.settings import Settings
from app.settings.environment import PREFIX, SettingsError
from app.settings.required import durability, master_keys, pseudonym_keys, required
from app.settings.values import Durability, ScopeClaim, TracesMode
from app.snapshot.feed import Pace
from app.snapshot.leases import boot_seconds

if TYPE_CHECKING:
    from app.auth.code_flow import CodeFlow
    from app.auth.issuers import TokenCheck
    from app.proof.authority import TimeAuthority
    from app.telemetry.exporting import Traces

_LASTING: Final = b"sceau hashes that last"


def periods_of(settings: Settings) -> PeriodPolicy:
    """Return how the deployment counts periods."""
    return PeriodPolicy(settings.period_counting, settings.consent_validity)


def deployment_of(settings: Settings) -> Deployment:
    """Return the keys and choices of this deployment.

    Raises:
        SettingsError: a key is missing or wrong.

    """
    key, other = pseudonym_keys(settings)
    masters = master_keys(settings)
    first = [*masters.values()][-1]  # newer ones stand before it
    return Deployment(
        pseudonyms=Pseudonyms(key, settings.subject_ids, other=other, lasting=digest(first, _LASTING, sha256)),
        vault=Vault(masters),
        policy=periods_of(settings),
        max_backdating=settings.max_backdating,
        lease=settings.lease,
        solicitation_pause=settings.solicitation_pause,
        link_validity=settings.consent_link_validity,
        notices=settings.renewal_notice,
        approval=settings.register_approval or RegisterApproval.ONE,
    )


_WAITING_FOR_ONE: Final = 20
"""How many requests may wait for each connection of the pool; others are answered 503 at once."""


def pool_limits(settings: Settings) -> PoolLimits:
    """Return how much of the database one process may use, for routes and for what memory lacks alike."""
    return PoolLimits(settings.pool_size, _WAITING_FOR_ONE * settings.pool_size, settings.database_timeout)


def database_of(settings: Settings, *, clock: Clock | None = None, limits: PoolLimits | None = None) -> Database:
    """Return the database as the application role; `limits` in the place of the settings' own.

    Raises:
        SettingsError: its URL is not set.

    """
    url = required(settings.database_url, "database_url")
    return Database(url, limits=limits or pool_limits(settings), clock=clock, synchronous=is_synchronous(settings))


def is_synchronous(settings: Settings) -> bool:
    """Return whether a standby must have each decision before it is answered.

    Raises:
        SettingsError: the setting is missing.

    """
    return durability(settings) is Durability.SYNCHRONOUS


def pace_of(settings: Settings) -> Pace:
    """Return the times of the freshness protocol; the heartbeat is an eighth of the lease."""
    lease = settings.lease.total_seconds()
    return Pace(lease=lease, heartbeat=lease / 8)


def fence_of(settings: Settings, database: Database, journal: Journal) -> Fence:
    """Return what detects a database that was set back, by what this host knows outside it."""
    return Fence(database, journal, KeptHeads(settings.state_directory).epoch)


wall_clock: Final = partial(datetime.now, UTC)
"""Returns the time of this machine's clock, aware (UTC)."""


def journal_of(settings: Settings) -> Journal:
    """Return the journal in which this process notes writes that forbid.

    Raises:
        SettingsError: notes are to be kept, and the master key that seals them is missing or wrong.

    """
    directory, hook = settings.state_directory, settings.journal_hook
    vault = Vault(master_keys(settings)) if directory is not None or hook is not None else None
    return Journal(JournalPlan(wall_clock, vault, directory, hook))


def token_check_of(settings: Settings, pseudonyms: Pseudonyms) -> "TokenCheck | None":
    """Make the check of access tokens, which keeps the keys of their issuers fresh; None where none are accepted.

    Args:
        settings: as loaded.
        pseudonyms: makes the references by which the callers of tokens are found.

    """
    if not settings.oidc_issuer:
        return None
    from app.auth.issuers import Issuer, Rhythm, TokenCheck
    from app.auth.key_sets import KeyFetcher

    fetcher = KeyFetcher(frozenset(ALGORITHMS))
    issuers = [Issuer(name, fetcher, Rhythm(), boot_seconds) for name in settings.oidc_issuer]
    rules = TokenRules(
        issuers=frozenset(settings.oidc_issuer),
        ref=lambda issuer, subject: pseudonyms.opaque("identity", f"{len(issuer)} {issuer}{subject}"),
        audience=settings.oidc_audience,
        algorithms=frozenset(ALGORITHMS),
        types=settings.oidc_token_types,
        scopes_narrow=settings.oidc_scope_claim is ScopeClaim.NARROWS,
    )
    return TokenCheck(rules, issuers)


def code_flow_of(settings: Settings, check: "TokenCheck | None") -> "CodeFlow | None":
    """Make the console's sign-in with an account of the first issuer; None where a key signs in.

    Args:
        settings: as loaded.
        check: has the issuers.

    """
    if check is None or settings.console_client is None:
        return None
    from app.auth.code_flow import Client, CodeFlow

    identifier, _, secret = settings.console_client.get_secret_value().partition(" ")
    back_to = f"{str(settings.public_url).rstrip('/')}{CALLBACK}"
    client = Client(identifier, secret or None, back_to)
    return CodeFlow(check.issuers[settings.oidc_issuer[0]], client, check.rules, LONGEST.total_seconds())


def origin_of(settings: Settings) -> str:
    """Return the name of the log for when it has none yet."""
    return log_name(str(settings.public_url))


def proof_plan_of(settings: Settings) -> ProofPlan:
    """Return how this deployment keeps its log, and which of its settings decide.

    Raises:
        SettingsError: one that decides is not set.

    """
    stated = {
        "consent_validity": str(settings.consent_validity),
        "period_counting": str(settings.period_counting),
        "subject_ids": str(settings.subject_ids),
        "lease_ms": int(settings.lease.total_seconds() * 1000),
        "durability": str(durability(settings)),
        "decision_log": str(settings.decision_log),
        "decision_log_exempt_share": str(settings.decision_log_exempt_share),
    }
    return ProofPlan(origin_of(settings), KeptHeads(settings.state_directory), stated)


def time_authority_of(settings: Settings) -> "TimeAuthority | None":
    """Return the authority that stamps the log; None where none is asked to."""
    if settings.tsa_url is None:
        return None
    from app.proof.authority import TimeAuthority

    return TimeAuthority(settings.tsa_url.get_secret_value(), settings.tsa_ca_file or ())


def traces_of(settings: Settings) -> "Traces | None":
    """Return what sends this process's traces; None where they are off.

    Raises:
        SettingsError: they are on, and OpenTelemetry's SDK is not installed.

    """
    if settings.traces is TracesMode.OFF:
        return None
    try:
        from app.telemetry.exporting import Traces
    except ImportError:
        how = "is otlp, and OpenTelemetry's SDK is not installed: pip install 'sceau[otel]'"
        raise SettingsError(f"{PREFIX}TRACES {how}") from None
    return Traces(version("sceau"))
