"""What a replica tells about itself in /metrics and /readyz."""

from datetime import timedelta
from typing import cast

import pytest

from app.api.http.services import Services
from tests.faults.service import eventually, wait_for_lease
from tests.support.api import running


def figure(text, name):
    """The number of one line of the Prometheus text format."""
    lines = [line for line in text.splitlines() if line.startswith(f"{name} ")]
    assert len(lines) == 1, f"{name} stands {len(lines)} times"
    return float(lines[0].split()[1])


def _hits(api):
    return figure(api.call("GET", "/metrics").text, 'sceau_memory_looks_total{what="hit"}')


def test_hits_misses_beats_lag_and_confirmations_are_told(database):
    """One miss, then hits; a withdrawal that was confirmed; a lease that is held, and how old it is."""
    with running(database, cache="leased") as api:
        api.agreed("ads", "alice")
        wait_for_lease(api)
        # The change of the consent comes back by the feed and is forgotten once more: the second look may miss too.
        eventually(lambda: api.evaluate("alice", "ads") and _hits(api) >= 3)
        api.withdraw("alice", "ads")
        text = api.call("GET", "/metrics").text
        assert figure(text, 'sceau_memory_looks_total{what="miss"}') >= 1
        assert figure(text, 'sceau_feed_beats_total{what="answered"}') >= 1
        assert figure(text, 'sceau_confirmations_total{by="notice"}') >= 1
        assert figure(text, 'sceau_confirmations_total{by="deadline"}') == 0
        eventually(lambda: figure(api.call("GET", "/metrics").text, "sceau_leased") == 1)
        assert 0 <= figure(text, "sceau_replica_lag_seconds") < 5
        assert figure(text, "sceau_memory_subjects") <= 1  # the withdrawal dropped it
        assert figure(text, "sceau_change_rows") >= 0
        assert figure(text, 'sceau_decision_log_rows_total{what="dropped"}') == 0
        wait_for_lease(api)
        ready = api.ok("GET", "/readyz")
        assert ready["mode"] == "leased"
        assert 0 < ready["hit_rate"] < 1
        assert ready["lag_seconds"] >= 0


def test_what_memory_may_not_answer_is_told(database, monkeypatch):
    """While the feed is away and no lease is held, questions are answered by the primary, and counted as such."""
    with running(database, cache="leased") as api:
        api.register("ads")
        services = cast("Services", api.client.app.state.services)  # type: ignore[attr-defined]
        assert services.memory is not None
        monkeypatch.setattr(services.memory.replica.lease, "held", lambda: False)
        monkeypatch.setattr(services.memory.replica.feed, "connected", False)
        for _ in range(3):
            assert api.reason("alice", "ads") == "no_consent"
        text = api.call("GET", "/metrics").text
        assert figure(text, 'sceau_memory_looks_total{what="without_lease"}') == 3
        assert figure(text, 'sceau_memory_looks_total{what="hit"}') == 0


def test_without_a_memory_nothing_is_told_of_it(database):
    """In strict mode there is no lease and no hit rate, and the metrics name none."""
    with running(database, cache="strict") as api:
        ready = api.ok("GET", "/readyz")
        assert (ready["mode"], ready["leased"], ready["hit_rate"]) == ("strict", False, None)
        assert "sceau_memory_looks" not in api.call("GET", "/metrics").text


@pytest.mark.parametrize("mode", ["leased", "strict"])
def test_while_the_database_is_away_a_process_is_degraded(database, mode):
    """In an outage readiness is `degraded` and says why, though a lease from before it may still be held."""
    with running(database, cache=mode, lease=timedelta(seconds=10)) as api:
        api.evaluate("alice", "ads")  # from now on it knows the caller
        eventually(lambda: api.ok("GET", "/readyz")["status"] == "ready")
        cast("Services", api.client.app.state.services).outage.lasts = True  # type: ignore[attr-defined]
        ready = api.ok("GET", "/readyz")
        assert (ready["status"], ready["leased"]) == ("degraded", mode == "leased")
        assert "database cannot be reached" in ready["notes"][0]


@pytest.mark.parametrize("mode", ["leased", "strict"])
def test_no_name_stands_in_the_metrics(database, mode):
    """Labels are words of ours: neither a subject nor a processing."""
    with running(database, cache=mode) as api:
        api.register("marked-processing")
        api.evaluate("marked-subject", "marked-processing")
        assert "marked" not in api.call("GET", "/metrics").text
