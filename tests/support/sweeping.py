"""The sweep of renewals, by hand."""

from app.core.period import PeriodPolicy
from app.core.renewal import Renewal
from app.operations.consents.sweep_renewals import sweep_renewals
from tests.support.pools import in_a_pool

RENEWAL = Renewal(PeriodPolicy())


def sweep(database, clock=None, renewal=RENEWAL, **options):
    """Sweep once, with the clock of the database or another one; what was done."""
    how = {"clock": clock} if clock is not None else {}
    return in_a_pool(database, lambda pool: sweep_renewals(pool, renewal, **options), **how)
