"""From settings to the keys and choices of a deployment, its database, and the times of the freshness protocol."""

from app.core.errors import InvalidNoticeError, InvalidPeriodError
from app.core.period import ConsentPeriod, Counting, PeriodPolicy
from app.core.renewal import parse_notices
from app.db.database import Database, PoolLimits
from app.db.session import Clock
from app.ledger.pseudonym import Pseudonyms, SubjectIds
from app.ledger.vault import Vault
from app.operations.service.deployment import Deployment
from app.settings import Settings, SettingsError, required
from app.snapshot.lease import LONGEST_LEASE, SHORTEST_LEASE, Pace
from app.wiring.keys import master_keys, pseudonym_key


def deployment_of(settings: Settings) -> Deployment:
    """The keys and choices of this deployment.

    Raises:
        SettingsError: one is missing or wrong.

    """
    try:
        policy = PeriodPolicy(Counting(settings.period_counting), ConsentPeriod.parse(settings.consent_validity))
    except InvalidPeriodError as error:
        raise SettingsError(f"SCEAU_CONSENT_VALIDITY: {error.detail}") from None
    except ValueError:
        raise SettingsError("SCEAU_PERIOD_COUNTING is start_of_day or same_instant") from None
    try:
        ids = SubjectIds.parse(settings.subject_ids)
    except ValueError:
        raise SettingsError("SCEAU_SUBJECT_IDS is casefold or exact, with exceptions such as mxid=exact") from None
    try:
        pause = ConsentPeriod.parse(settings.solicitation_pause)
    except InvalidPeriodError as error:
        raise SettingsError(f"SCEAU_SOLICITATION_PAUSE: {error.detail}") from None
    return Deployment(
        pseudonyms=Pseudonyms(pseudonym_key(settings), ids),
        vault=Vault(master_keys(settings)),
        policy=policy,
        max_backdating=settings.max_backdating,
        lease=settings.lease,
        solicitation_pause=pause,
        link_validity=settings.consent_link_validity,
        notices=_notices(settings),
    )


def _notices(settings: Settings) -> tuple[int, ...]:
    try:
        return parse_notices(settings.renewal_notice)
    except InvalidNoticeError:
        raise SettingsError("SCEAU_RENEWAL_NOTICE is days or weeks, at most 365 days, such as P60D,P30D,P7D") from None


def pool_limits(settings: Settings) -> PoolLimits:
    """How much of the database one process may use, for routes and for what memory lacks alike."""
    return PoolLimits(settings.pool_size, settings.pool_waiting, settings.database_timeout)


def database_of(settings: Settings, *, clock: Clock | None = None) -> Database:
    """The database as the application role.

    Raises:
        SettingsError: its URL is not set.

    """
    return Database(required(settings.database_url, "database_url"), limits=pool_limits(settings), clock=clock)


def pace_of(settings: Settings) -> Pace:
    """The times of the freshness protocol; the heartbeat is an eighth of the lease.

    Raises:
        SettingsError: the lease is not between 100 ms and ten seconds.

    """
    lease = settings.lease.total_seconds()
    if not SHORTEST_LEASE <= lease <= LONGEST_LEASE:
        raise SettingsError("SCEAU_LEASE lies between PT0.1S and PT10S")
    return Pace(lease=lease, heartbeat=lease / 8)
