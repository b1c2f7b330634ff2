"""Metrics read from the database when Prometheus asks: every process tells the same, so they are not added up."""

from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector


class _Told(Collector):
    """Hands Prometheus families that are made already."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Sequence[Metric]:
        """The families."""
        return self._families


def exposition_of(families: Iterable[Metric]) -> bytes:
    """Metric families in the Prometheus text format, to add to a scrape; empty when there is none."""
    listed = list(families)
    if not listed:
        return b""
    registry = CollectorRegistry()
    registry.register(_Told(listed))
    return generate_latest(registry)
