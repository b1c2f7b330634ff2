"""The sweep of renewals, by hand."""

from app.core.period import PeriodPolicy
from app.core.renewal import Renewal
from app.operations.consents.sweep_renewals import sweep_renewals
from tests.support.pools import in_a_pool


def sweep(database, clock=None):
    """Sweep once, with the clock of the database or another one."""
    how = {"clock": clock} if clock is not None else {}
    in_a_pool(database, lambda pool: sweep_renewals(pool, Renewal(PeriodPolicy())), **how)
