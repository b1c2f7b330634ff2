"""Background jobs as Prometheus metrics, read from the database: labels are names of tasks."""

from collections.abc import Iterator, Sequence
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric

from app.audit.job_runs import DayOfRuns

_GAUGES: Final = (
    ("sceau_job_last_run_timestamp_seconds", "When the task's last run began."),
    ("sceau_job_last_took_seconds", "How long its last run took."),
    ("sceau_job_last_flagged", "How many things its last run dealt with."),
    ("sceau_job_backlog", "What its last run left for the next."),
    ("sceau_job_day_failures", "Runs that failed on its last day (UTC)."),
)


def job_metrics(runs: Sequence[DayOfRuns]) -> Iterator[Metric]:
    """The families, each with a sample for each task; none when nothing ran yet."""
    if not runs:
        return
    for name, about in _GAUGES:
        family = GaugeMetricFamily(name, about, labels=["task"])
        for run in runs:
            family.add_metric([run.task], _values(run)[name])
        yield family


def _values(run: DayOfRuns) -> dict[str, float]:
    values = (run.last_started_at.timestamp(), run.last_took.total_seconds(), run.last_flagged, run.backlog)
    return dict(zip((name for name, _ in _GAUGES), (*values, run.failures), strict=True))
