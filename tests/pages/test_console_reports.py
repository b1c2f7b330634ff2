"""Renewals, the month's report, the record of GDPR 30 and the proof in the console; what each file holds."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from app.audit.figures import JobRun
from tests.support.acts import trail
from tests.support.api import TestClock, running, utc
from tests.support.console import count, run_recorded
from tests.support.desk import Officer
from tests.support.sweeping import sweep

AUDITOR = ("audit:read", "register:read")


@pytest.fixture
def officer(api):
    """Whoever reads the audit and the register, signed in."""
    api.register("ads", name={"fr": "Publicité", "en": "Advertising"}, storage_location="=Roubaix")
    return Officer(api, api.new_key(*AUDITOR))


def test_the_month_in_three_forms(api, officer):
    """The report of a month is had as a page, a table and data: the same numbers, and nobody's name."""
    for name in ("alice", "bob"):
        api.decide(name, "ads")
    month = f"{datetime.now(UTC):%Y-%m}"
    page = officer.open("/console/report")
    assert f"month={month}" in page.html
    got = {form: officer.file("/console/report/month", month=month, form=form) for form in _FORMS}
    for form, answer in got.items():
        assert answer.status_code == 200
        assert answer.headers["content-disposition"] == f'attachment; filename="report-{month}.{form}"'
        assert answer.headers["content-type"].startswith(_FORMS[form])
        assert "alice" not in answer.text
    assert json.loads(got["json"].text)["events"][0]["number"] == 2
    assert "Advertising (ads);2;0;0;0;0" in got["csv"].text
    assert "Advertising (ads)" in got["html"].text


_FORMS = {"html": "text/html", "csv": "text/csv", "json": "application/json"}


@pytest.mark.parametrize("month", ["2199-01", "2026-13", "x"])
def test_no_other_month(officer, month):
    """A month that has not begun, or is none, has no report."""
    assert officer.file("/console/report/month", month=month, form="csv").status_code in {400, 404}


def test_the_record_opens_in_a_spreadsheet(api, officer):
    """The record of GDPR 30 is a row for each processing; no cell of it is taken for a formula."""
    text = officer.file("/console/report/record.csv").text
    assert text.startswith("\ufeffProcessing;Reference;")
    assert "Advertising;ads;" in text
    assert ";'=Roubaix;" in text


def test_the_proof_is_told(api, officer):
    """How far the log is, what waits, and which keys sign."""
    text = officer.open("/console/report").text("proof")
    assert "Waiting to be entered since" in text
    assert "The log is not anchored" in text
    assert "sceau proof bundle" in text


def test_whom_to_remind(database):
    """The list of people to remind has their ids for whoever may know them; that it was read is recorded."""
    clock = TestClock(utc("2026-06-15T10:00:00Z"))
    with running(database, clock=clock) as api:
        api.register("ads")
        api.decide("alice@example.fr", "ads")
        reader = Officer(api, api.new_key("audit:read"))
        key = api.new_key("audit:read", "consents:read", "subjects:read")
        officer = Officer(api, key)
        assert "/console/renewals/due.csv" not in reader.open("/console/renewals").html
        assert reader.file("/console/renewals/due.csv").status_code == 403
        page = officer.open("/console/renewals")
        assert "/console/renewals/due.csv" in page.html
        rows = officer.file("/console/renewals/due.csv").text.splitlines()
        assert rows == ["\ufeffId;Namespace;Processing;Consent;State;Good until"]
        clock.at = utc("2027-04-20T10:00:00Z")
        sweep(database, clock)
        rows = Officer(api, key).file("/console/renewals/due.csv").text.splitlines()
        assert [each.split(";")[0] for each in rows[1:]] == ["alice@example.fr"]
    assert [each["act"] for each in trail(database)][-1] == "renewals.subjects_read"


def test_what_the_sweep_did(database):
    """The page of renewals tells when consents were last flagged, how many, and how many are left."""
    run_recorded(database, JobRun("renewals.sweep", datetime.now(UTC), timedelta(seconds=1), 12, 3))
    with running(database) as api:
        count(database)
        text = Officer(api, api.new_key("audit:read")).open("/console/renewals").text("campaign")
    assert "Flagged then 12 Still to be flagged 3" in text
    assert re.search(r"Flagged on each of the last 30 days Day Flagged \d+ \w+ \d{4} 12", text)


@pytest.mark.parametrize("scope", AUDITOR)
def test_the_report_needs_both_scopes(api, scope):
    """With the one scope or the other alone there is no report."""
    officer = Officer(api, api.new_key(scope))
    assert officer.open("/console/report").status == 403
    assert officer.file("/console/report/record.csv").status_code == 403
