"""From settings to rate limits: how much of each kind a caller may do."""

from app.auth.limits.rate_limits import Counted, RateLimits
from app.settings import Settings


def rate_limits_of(settings: Settings) -> RateLimits:
    """The limits of callers."""
    quotas = {
        Counted.ADMINISTRATION: settings.rate_administration,
        Counted.CONSENTS: settings.rate_consents,
        Counted.DECISIONS: settings.rate_decisions,
        Counted.SEARCHES: settings.rate_searches,
    }
    limited = {of: quota for of, quota in quotas.items() if quota is not None}
    return RateLimits(limited, excepted=settings.rate_exceptions)
