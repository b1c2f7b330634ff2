"""Makes from settings: the keys and choices of a deployment, its database, the times of the freshness protocol."""

from app.core.period import PeriodPolicy
from app.core.register.approval import RegisterApproval
from app.db.database import Database, PoolLimits
from app.db.session import Clock
from app.journal.fence import Fence
from app.journal.journal import Journal, JournalPlan
from app.journal.lines import Clock as WallClock
from app.ledger.pseudonym import Pseudonyms
from app.ledger.vault import Vault
from app.operations.service.deployment import Deployment
from app.proof.heads import KeptHeads
from app.settings import Settings
from app.settings.required import durability, required
from app.settings.values import Durability
from app.snapshot.lease import Pace
from app.wiring.keys import master_keys, other_pseudonym_key, pseudonym_key


def deployment_of(settings: Settings) -> Deployment:
    """The keys and choices of this deployment.

    Raises:
        SettingsError: a key is missing or wrong.

    """
    return Deployment(
        pseudonyms=Pseudonyms(pseudonym_key(settings), settings.subject_ids, other=other_pseudonym_key(settings)),
        vault=Vault(master_keys(settings)),
        policy=PeriodPolicy(settings.period_counting, settings.consent_validity),
        max_backdating=settings.max_backdating,
        lease=settings.lease,
        solicitation_pause=settings.solicitation_pause,
        link_validity=settings.consent_link_validity,
        notices=settings.renewal_notice,
        approval=settings.register_approval or RegisterApproval.ONE,
    )


def pool_limits(settings: Settings) -> PoolLimits:
    """How much of the database one process may use, for routes and for what memory lacks alike."""
    return PoolLimits(settings.pool_size, settings.pool_waiting, settings.database_timeout)


def database_of(settings: Settings, *, clock: Clock | None = None) -> Database:
    """The database as the application role.

    Raises:
        SettingsError: its URL is not set.

    """
    url = required(settings.database_url, "database_url")
    return Database(url, limits=pool_limits(settings), clock=clock, synchronous=is_synchronous(settings))


def is_synchronous(settings: Settings) -> bool:
    """Whether a standby must have each decision before it is answered.

    Raises:
        SettingsError: nobody said.

    """
    return durability(settings) is Durability.SYNCHRONOUS


def pace_of(settings: Settings) -> Pace:
    """The times of the freshness protocol; the heartbeat is an eighth of the lease."""
    lease = settings.lease.total_seconds()
    return Pace(lease=lease, heartbeat=lease / 8)


def fence_of(settings: Settings, database: Database, journal: Journal) -> Fence:
    """What tells a database that was set back, by what this host knows outside it."""
    return Fence(database, journal, KeptHeads(settings.proof_directory).epoch)


def journal_of(settings: Settings, wall_clock: WallClock) -> Journal:
    """Where this process notes writes that forbid.

    Raises:
        SettingsError: notes are to be kept, and the master key that seals them is missing or wrong.

    """
    directory, hook = settings.journal_directory, settings.journal_hook
    vault = Vault(master_keys(settings)) if directory is not None or hook is not None else None
    return Journal(JournalPlan(wall_clock, vault, directory, hook))
