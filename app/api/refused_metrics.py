"""Metrics of what was refused before or instead of being done: by a word each, never by whom."""

from collections.abc import Callable
from functools import partial

from app.api.http.protocol import REFUSALS, BoundedProtocol
from app.api.services import Services
from app.auth.door import POLICY
from app.auth.rate_limits import Counted


def watch_refusals(services: Services) -> None:
    """Have the metrics tell how many requests were over a quota, by policy; and how many were not read, by problem."""
    over_quota: dict[str, Callable[[], float]] = {
        of.value: partial(services.limits.refused.__getitem__, of) for of in Counted
    }
    over_quota[POLICY] = lambda: services.door.refused
    services.metrics.watch_counter(
        "sceau_over_quota", "Requests refused for having been too many (429).", over_quota, "policy"
    )
    unread: dict[str, Callable[[], float]] = {
        each.slug: partial(BoundedProtocol.refused.__getitem__, each.slug) for each in REFUSALS
    }
    services.metrics.watch_counter(
        "sceau_unread", "Requests refused before they were read (400, 408, 414, 431).", unread, "problem"
    )
