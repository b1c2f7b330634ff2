"""Renewals, the month's report, the record of GDPR 30 and the proof in the console; what each file holds."""

import asyncio
import json
import os
import re
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from app.audit.figures import JobRun
from app.core.article import PARIS
from app.core.errors import CredentialEndedError
from app.pages.console import reports
from app.pages.console.reports import DOWNLOADS, BundleFailedError, bundle_of
from tests.faults.service import eventually
from tests.proof.logs import PUBLIC_URL, Log
from tests.support.acts import trail
from tests.support.api import MASTER_KEY, PSEUDONYM_KEY, TestClock, running, utc
from tests.support.console import count, run_recorded
from tests.support.databases import new_database
from tests.support.desk import Officer
from tests.support.sweeping import sweep

AUDITOR = ("audit:read", "register:read")


@pytest.fixture(scope="module")
def api():
    """An application with one processing, shared by the tests of this file that only ask."""
    with new_database() as database, running(database) as called:
        called.register("ads", name={"fr": "Publicité", "en": "Advertising"}, storage_location="=Roubaix")
        yield called


@pytest.fixture
def officer(api):
    """An officer who reads the audit and the register, signed in."""
    return Officer(api, api.new_key(*AUDITOR))


def test_the_month_in_three_forms(api, officer):
    """The report of a month is had as a page, a table and data: the same numbers, and nobody's name."""
    for name in ("alice", "bob"):
        api.decide(name, "ads")
    month = f"{datetime.now(PARIS):%Y-%m}"
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


def test_the_record_opens_in_a_spreadsheet(officer):
    """The record of GDPR 30 is a row for each processing; no cell of it is taken for a formula."""
    text = officer.file("/console/report/record.csv").text
    assert text.startswith("\ufeffProcessing;Reference;")
    assert "Advertising;ads;" in text
    assert ";'=Roubaix;" in text


def test_the_proof_is_told(officer):
    """How far the log is, what waits, and which keys sign."""
    text = officer.open("/console/report").text("proof")
    assert "Waiting to be entered since" in text
    assert "The log is not anchored" in text
    assert "Make a bundle of proof" in text


def test_whom_to_remind(database):
    """The list of people to remind has their ids for callers that may read them, and reading it is recorded."""
    clock = TestClock(utc("2026-06-15T10:00:00Z"))
    with running(database, clock=clock) as api:
        api.agreed("ads", "alice@example.fr")
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


@pytest.fixture
def logged(database, tmp_path):
    """A deployment with a log."""
    with running(database, public_url=PUBLIC_URL) as api:
        yield api, Log(database, tmp_path)


@pytest.fixture(scope="module")
def entered(tmp_path_factory):
    """A deployment with a log in which something was entered, for tests that change neither."""
    with new_database() as database, running(database, public_url=PUBLIC_URL) as api:
        api.register("ads")
        log = Log(database, tmp_path_factory.mktemp("log"))
        log.append()
        yield api, log


@contextmanager
def environment(url, monkeypatch, **more):
    """While a button is pressed, this process has the environment of a service, which the command inherits."""
    settings = {"DATABASE_URL": url, "PSEUDONYM_KEY": PSEUDONYM_KEY, "MASTER_KEY": MASTER_KEY, "PUBLIC_URL": PUBLIC_URL}
    with monkeypatch.context() as patch:
        for name in [each for each in os.environ if each.startswith("SCEAU_")]:
            patch.delenv(name)
        for name, value in {**settings, "DURABILITY": "local", "REGISTER_APPROVAL": "one", **more}.items():
            patch.setenv(f"SCEAU_{name}", value)
        yield


def test_a_bundle_is_made_and_verifies(logged, tmp_path, monkeypatch):
    """One press gives the file that `sceau proof bundle` writes: it verifies, and the trail says who had it made."""
    api, log = logged
    api.register("ads")
    api.register("stats")
    api.decide("alice", "ads")
    api.decide("alice", "stats")
    log.append()
    officer = Officer(api, api.new_key(*AUDITOR))
    page = officer.open("/console/report")
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    with environment(log.database.app_url, monkeypatch):
        seen = officer.press(page, "bundle", since=today, until=today, processing="ads")
    assert seen.headers["content-type"] == "application/zip"
    assert seen.headers["content-disposition"] == 'attachment; filename="bundle.zip"'
    bundle = tmp_path / "got.zip"
    bundle.write_bytes(seen.content)
    status, output = log.verify(bundle)
    assert (status, "WRONG" in output) == (3, False), output
    assert "1 bodies of consents to other processings than ads are not part of this bundle" in output
    (made,) = [each for each in trail(log.database) if each["act"] == "bundle.made"]
    assert made["detail"] == {"since": today, "until": today, "processing": "ads"}


def test_what_cannot_be_bundled_is_said(logged):
    """An empty log, and a period that ends before it begins, give no file, and the form says why."""
    api, log = logged
    officer = Officer(api, api.new_key(*AUDITOR))
    page = officer.open("/console/report")
    assert "Nothing was entered in the log in that period yet." in officer.press(page, "bundle").html
    for since, until in (("2026-02-01", "2026-01-01"), ("2026-01-01", "9999-12-31")):
        assert "The end is before the beginning." in officer.press(page, "bundle", since=since, until=until).html
    assert [each for each in trail(log.database) if each["act"] == "bundle.made"] == []


async def nothing():
    """A check between two parts that does nothing."""


async def test_one_bundle_is_made_at_a_time(entered, monkeypatch):
    """While one is made the form says so, and another breaks off; whoever has gone leaves no process behind."""
    api, log = entered
    officer = Officer(api, api.new_key(*AUDITOR))
    page = officer.open("/console/report")

    with environment(log.database.app_url, monkeypatch):
        bundle = bundle_of([], nothing)
        first = asyncio.ensure_future(anext(bundle))
        await asyncio.to_thread(eventually, lambda: DOWNLOADS.is_busy)
        with pytest.raises(BundleFailedError):
            await anext(bundle_of([], nothing))
        seen = await asyncio.to_thread(officer.press, page, "bundle")
        first.cancel()
        await asyncio.wait([first])
        await bundle.aclose()
    assert "Another bundle is being made." in seen.html
    assert not DOWNLOADS.is_busy


async def test_a_download_ends_with_the_session(entered, monkeypatch):
    """The download of a bundle ends when its session ends."""
    _, log = entered
    monkeypatch.setattr(reports, "_PIECE", 1_000)
    monkeypatch.setattr(reports, "_SIGNED_IN_SECONDS", 0.0)
    got: list[bytes] = []

    async def out():
        if len(got) > 2:
            raise CredentialEndedError

    async def read():
        async for piece in bundle_of([], out):
            got.append(piece)  # noqa: PERF401 - it is counted on the way

    with environment(log.database.app_url, monkeypatch), pytest.raises(CredentialEndedError):
        await read()
    assert len(got) == 3


def test_a_bundle_that_the_log_does_not_state_is_no_answer(logged, monkeypatch):
    """The download of a bundle that the log does not state breaks off, because the command fails at its end."""
    api, log = logged
    api.register("ads")
    log.append()

    async def read():
        return [piece async for piece in bundle_of([], nothing)]

    unreadable = log.heads / "checkpoint"
    unreadable.unlink()
    unreadable.mkdir()
    set_up = environment(log.database.app_url, monkeypatch, STATE_DIRECTORY=str(log.heads))
    with set_up, pytest.raises(BundleFailedError):
        asyncio.run(read())
    assert not DOWNLOADS.is_busy
