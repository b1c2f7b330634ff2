from datetime import UTC, datetime, timedelta

import pytest

from app.audit.figures import JobRun
from tests.support.api import running, utc
from tests.support.console import run_recorded
from tests.support.databases import new_database
from tests.support.sweeping import sweep


@pytest.fixture(scope="module")
def swept(shared_clock):
    """Two processings, alice and bob consented to the first and alice to the second; swept when due, alice renewed."""
    with new_database() as database, running(database, clock=shared_clock) as api:
        _swept_when_due(api, database, shared_clock)
        yield api


def _swept_when_due(api, database, clock):
    for name in ("ads", "stats"):
        api.register(name)
    for name, about in (("alice", "ads"), ("bob", "ads"), ("alice", "stats")):
        api.decide(name, about)

    def sweep_at(at):
        clock.at = utc(at)
        sweep(database, clock)

    sweep_at("2027-05-20T12:00:00Z")
    api.decide("alice", "ads")
    sweep_at("2027-06-20T12:00:00Z")


def _told(page):
    return [(item["kind"], item.get("notice"), item["processing"], item["state"]) for item in page["items"]]


def test_flags_are_listed_with_the_state_of_now(swept):
    """Each flag is listed, oldest first, with the present state of its consent."""
    flags = _told(swept.ok("GET", "/v1/renewals"))
    assert sorted(flags[:3]) == [
        ("due", "P30D", "ads", "expired"),
        ("due", "P30D", "ads", "replaced"),
        ("due", "P30D", "stats", "expired"),
    ]
    assert sorted(flags[3:]) == [("expired", None, "ads", "expired"), ("expired", None, "stats", "expired")]


def test_flags_are_filtered(swept):
    """Flags can be filtered by processing and by one kind or more."""
    assert len(swept.ok("GET", "/v1/renewals?processing=stats")["items"]) == 2
    assert len(swept.ok("GET", "/v1/renewals?kind=expired")["items"]) == 2
    assert len(swept.ok("GET", "/v1/renewals?kind=expired&kind=due&processing=ads")["items"]) == 3
    assert swept.ok("GET", "/v1/renewals?kind=superseded")["items"] == []
    assert swept.call("GET", "/v1/renewals?kind=other").status_code == 422


def test_pages_of_flags_hold_each_once(swept):
    """Going from page to page gives every flag once, and a cursor of another query is refused."""
    page = swept.ok("GET", "/v1/renewals?limit=2")
    seen = [item["id"] for item in page["items"]]
    while "next_cursor" in page:
        page = swept.ok("GET", f"/v1/renewals?limit=2&cursor={page['next_cursor']}")
        seen += [item["id"] for item in page["items"]]
    assert seen == [item["id"] for item in swept.ok("GET", "/v1/renewals")["items"]]
    first = swept.ok("GET", "/v1/renewals?limit=2")["next_cursor"]
    assert swept.call("GET", f"/v1/renewals?limit=2&kind=due&cursor={first}").status_code in {400, 422}


def test_a_restricted_caller_sees_its_processings(swept):
    """A caller limited to a processing sees its flags only, and no job runs."""
    limited = swept.with_key(swept.new_key("consents:read", processings=["stats"]))
    assert {item["processing"] for item in limited.ok("GET", "/v1/renewals")["items"]} == {"stats"}
    assert limited.call("GET", "/v1/renewals?processing=ads").status_code == 403
    assert limited.call("GET", "/v1/job-runs").status_code == 403


def test_runs_are_told_by_the_api_and_metrics(api, database):
    """The API and /metrics report job runs: how many, their failures, flags, backlog, duration and last error."""
    assert api.ok("GET", "/v1/job-runs")["items"] == []
    took = timedelta(seconds=1.5)
    for error, flagged in ((None, 3), ("OSError", 0), (None, 5)):
        run = JobRun("renewals.sweep", datetime.now(UTC), took, flagged, backlog=7, error=error, lost=flagged)
        run_recorded(database, run)
    for query in ("", "?days=7", "?task=renewals.sweep&days=1"):
        runs = api.ok("GET", f"/v1/job-runs{query}")["items"]
        assert [(item["runs"], item["failures"], item["flagged"], item["backlog"]) for item in runs] == [(3, 1, 8, 7)]
        assert (runs[0]["last_took"], runs[0]["last_flagged"], runs[0]["last_error"]) == (1.5, 5, "OSError")
        assert runs[0]["lost"] == 8
    assert api.ok("GET", "/v1/job-runs?task=other")["items"] == []
    text = api.call("GET", "/metrics").text
    assert 'sceau_job_last_flagged{task="renewals.sweep"} 5.0' in text
    assert 'sceau_job_backlog{task="renewals.sweep"} 7.0' in text
