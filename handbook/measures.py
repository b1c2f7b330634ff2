"""docs/reference/metrics.md: every family of metrics that a service tells, of itself and from its database."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Final
from uuid import UUID

from fastapi import FastAPI
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from app.api.metrics import (
    change_metrics,
    database_metrics,
    delivery_metrics,
    job_metrics,
    process_metrics,
    proof_metrics,
)
from app.audit.figures import DayOfRuns
from app.db.refusals import DatabaseCondition
from app.events.effects import DeliveryCounts
from app.telemetry.metrics import exposition_of
from handbook.lists import code, listing, page

INTRODUCTION: Final = """
`/metrics` tells these in the Prometheus text format; `SCEAU_METRICS` says who may read it. With several workers
counters are summed, and of a gauge the worst worker is told. Labels never name a user, a correspondence, a processing,
a caller or an address. [Watching](../watching.md) and the [runbook](../runbook.md) say what they mean.
"""
_READ: Final = """
## Read from the database

Every process tells the same: do not add them up.
"""
_NOBODY: Final = UUID(int=0)
_NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
_CONDITION: Final = DatabaseCondition(
    is_primary=True, timeline=1, waits_for_standby=True, standbys=1, archives=True, archived_at=_NOW,
    archive_failures=0, schema="0001_baseline", ahead=0.0,
)  # fmt: skip
_RUN: Final = DayOfRuns(
    task="task", day=date(2026, 1, 1), runs=1, failures=0, flagged=0, last_started_at=_NOW, last_took=0.0,
    last_flagged=0, backlog=0, last_failed_at=None, last_error=None,
)  # fmt: skip
_COUNTS: Final = DeliveryCounts({(_NOBODY, "delivered"): 1}, {(_NOBODY, "dead"): 1}, 0, {(_NOBODY, "dead"): 1})


def _from_the_database() -> Iterator[Metric]:
    yield from process_metrics(_CONDITION)
    yield from database_metrics(_CONDITION)
    yield from delivery_metrics(_COUNTS)
    yield from job_metrics([_RUN])
    yield from change_metrics(0)
    yield from proof_metrics(0, 0)


def metrics_page(app: FastAPI) -> str:
    """The whole page, from an application that takes tokens and remembers."""
    counted = app.state.services.metrics
    own = {each.name: each for each in text_string_to_metric_families(counted.exposition().decode())}
    rows = [_row(own[name], labels) for name, labels in sorted(counted.labels.items())]
    read = text_string_to_metric_families(exposition_of(_from_the_database()).decode())
    told = [_row(each, sorted({label for sample in each.samples for label in sample.labels})) for each in read]
    return page("Metrics", INTRODUCTION, "## Of the workers\n", listing(rows), _READ, listing(sorted(told)))


def _row(family: Metric, labels: "tuple[str, ...] | list[str]") -> tuple[str, str, str]:
    name = f"{family.name}_total" if family.type == "counter" else family.name
    return name, ", ".join((family.type, *map(code, labels))), family.documentation
