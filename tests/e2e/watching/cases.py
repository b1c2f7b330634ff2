"""For each alert: series on which it fires, and series on which it does not."""

from dataclasses import dataclass

Series = dict[str, str]
"""The values of each series, one a minute, as promtool writes them: `0+5x60` grows by 5, sixty times."""


@dataclass(frozen=True)
class Case:
    """What fires an alert and with which labels, and what does not."""

    fires: Series
    labels: dict[str, str]
    quiet: Series


def _gauge(series: str, fires: str, quiet: str, **labels: str) -> Case:
    """An alert on one number that stays as it is."""
    return Case({series: f"{fires}x90"}, labels, {series: f"{quiet}x90"})


def _counter(series: str, **labels: str) -> Case:
    """An alert on a number that grows; where it stays, nothing fires, however large it is."""
    return Case({series: "0+5x90"}, labels, {series: "70x90"})


def _burn(article: str, reason: str, bad: str, good: str) -> Case:
    """An alert on a share of questions that go unanswered, of 1,000 answered a minute."""
    answered, unanswered = (
        f'sceau_decisions_total{{reason="{reason}"}}',
        f'sceau_unanswered_total{{article="{article}"}}',
    )
    return Case(
        {answered: "0+1000x90", unanswered: f"0+{bad}x90"},
        {"article": article},
        {answered: "0+1000x90", unanswered: f"0+{good}x90"},
    )


_SWEEP = 'sceau_job_last_run_timestamp_seconds{task="renewals.sweep"}'
_DROPPED = 'sceau_decision_log_rows_total{what="dropped"}'
_LOST = 'sceau_webhook_lost_total{endpoint="e",status="dead"}'

CASES = {
    "SceauDown": _gauge('up{job="sceau"}', "0", "1", job="sceau"),
    "SceauOutage": _gauge("sceau_outage", "1", "0"),
    "SceauStandbyAnswers": _gauge("sceau_database_primary", "0", "1"),
    "SceauRestoredBehind": _gauge("sceau_restored_behind", "1", "0"),
    "SceauNoSynchronousStandby": Case(
        {"sceau_database_waits_for_standby": "1x90", "sceau_database_synchronous_standbys": "0x90"},
        {},
        {"sceau_database_durable": "1x90", "sceau_database_synchronous_standbys": "0x90"},
    ),
    "SceauNoLease": _gauge("sceau_leased", "0", "1"),
    "SceauFeedStale": _gauge("sceau_replica_lag_seconds", "3", "0.25"),
    "SceauSlowConfirmations": _counter('sceau_confirmations_total{by="deadline"}', by="deadline"),
    "SceauJournalFails": _counter('sceau_journal_notes_total{what="failed"}', what="failed"),
    "SceauClockOffset": _gauge("sceau_database_clock_ahead_seconds", "-6", "4"),
    "SceauArchiveLate": Case(
        {"sceau_database_archived_timestamp_seconds": "0x90"},
        {},
        {"sceau_database_archived_timestamp_seconds": "0+60x90"},
    ),
    "SceauLogRowsDropped": _counter(_DROPPED, what="dropped"),
    # The first loss of an endpoint makes the series: there was no 0 before it.
    "SceauDeliveriesLost": Case({_LOST: "_x70 1x20"}, {"endpoint": "e", "status": "dead"}, {_LOST: "70x90"}),
    "SceauDeliveriesDead": _gauge(
        'sceau_webhook_deliveries{endpoint="e",status="dead"}', "1", "0", endpoint="e", status="dead"
    ),
    "SceauEventsUndispatched": _gauge("sceau_outbox_undispatched", "4", "0"),
    "SceauSweepLate": Case({_SWEEP: "0x90"}, {"task": "renewals.sweep"}, {_SWEEP: "0+60x90"}),
    "SceauSweepBacklog": _gauge('sceau_job_backlog{task="renewals.sweep"}', "9", "0", task="renewals.sweep"),
    "SceauMergeDelay": _gauge("sceau_proof_merge_delay_seconds", "301", "20"),
    "SceauAnchorsLate": _gauge("sceau_proof_anchor_delay_seconds", "7201", "3600"),
    "SceauIssuerKeysStale": _gauge("sceau_issuer_keys_age_seconds", "3601", "300"),
    "SceauRestarts": _counter('sceau_restarts_total{process="worker"}', process="worker"),
    "SceauEventLoopHeld": _gauge("sceau_event_loop_lag_seconds", "0.6", "0.01"),
    "SceauPoolWaits": _gauge('sceau_pool_waiting{pool="memory"}', "3", "0", pool="memory"),
    # Of 1,000 answered a minute: 0.05 % of the exempt ones may fail, and 0.1 % of the others.
    "SceauExemptBudgetFast": _burn("III", "exempt", "8", "3"),
    "SceauExemptBudgetSlow": _burn("III", "exempt", "4", "2"),
    "SceauConsentBudgetFast": _burn("IV", "no_consent", "15", "13"),
    "SceauConsentBudgetSlow": _burn("IV", "consent_in_force", "7", "5"),
}
