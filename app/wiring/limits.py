"""From settings to rate limits: how much of each kind a caller may do, and how often a key may be unknown."""

from typing import Final
from uuid import UUID

from app.api.http.peers import Proxies, parse_proxies
from app.auth.limits.quotas import Quota
from app.auth.limits.rate_limits import Counted, RateLimits
from app.auth.limits.unknown_key_limiter import UnknownKeyLimiter
from app.settings import PREFIX, Settings, SettingsError

_QUOTA: Final = "is so many within so many seconds, such as 1200/60, or off"


def rate_limits_of(settings: Settings) -> RateLimits:
    """The limits of callers.

    Raises:
        SettingsError: a quota is none, or an exception is no id of a caller.

    """
    written = {
        Counted.ADMINISTRATION: settings.rate_administration,
        Counted.CONSENTS: settings.rate_consents,
        Counted.DECISIONS: settings.rate_decisions,
        Counted.SEARCHES: settings.rate_searches,
    }
    quotas = {of: _quota(text, f"RATE_{of.value.upper()}") for of, text in written.items()}
    try:
        excepted = frozenset(UUID(each.strip()) for each in settings.rate_exceptions.split(",") if each.strip())
    except ValueError:
        raise SettingsError(
            f"{PREFIX}RATE_EXCEPTIONS is a list of ids of callers, as GET /v1/keys shows them"
        ) from None
    return RateLimits({of: quota for of, quota in quotas.items() if quota is not None}, excepted=excepted)


def unknown_key_limiter_of(settings: Settings) -> UnknownKeyLimiter:
    """The bound on unknown keys.

    Raises:
        SettingsError: the quota is none.

    """
    return UnknownKeyLimiter(_quota(settings.rate_unknown_keys, "RATE_UNKNOWN_KEYS"))


def proxies_of(settings: Settings) -> Proxies:
    """The proxies that may say for whom they ask.

    Raises:
        SettingsError: a network is none.

    """
    try:
        return parse_proxies(settings.trusted_proxies)
    except ValueError:
        raise SettingsError(f"{PREFIX}TRUSTED_PROXIES is a list of networks, such as 10.0.0.0/8,fd00::/8") from None


def _quota(text: str, name: str) -> Quota | None:
    try:
        return Quota.parse(text)
    except ValueError:
        raise SettingsError(f"{PREFIX}{name} {_QUOTA}") from None
