import re
from datetime import timedelta

import psycopg
import pytest

from app.audit.figures import JobRun
from app.core.article import Purpose
from app.core.consent import State
from app.core.decision import Reason
from app.core.period import Counting, PeriodPolicy
from app.core.processing import Status
from app.core.wording import PURPOSE_WORDS, STATUS_WORDS
from app.operations.service import show_dashboard
from app.pages.service.view import STATES
from app.pages.words import REASONS, Language
from tests.support.api import TestClock, processing, running, utc
from tests.support.dashboard import Visitor, count, run_recorded

START = "2026-06-15T10:00:00Z"

VERSION = {name: value for name, value in processing("x").items() if name != "id"}

SECTIONS = ("register", "consents", "renewals", "decisions", "deliveries", "effects", "staff", "jobs", "replicas")


@pytest.fixture
def clock():
    """A clock that tests set."""
    return TestClock(utc(START))


@pytest.fixture
def filled(database, clock):
    """An application with one processing of each paragraph, and consents in every state there is."""
    with running(database, clock=clock, webhook_networks="127.0.0.0/8") as api:
        api.register("filter", purpose="malware_detection", name={"fr": "Filtre", "en": "Filter"})
        api.register("ads")
        api.register("stats", purpose="statistics", consent_validity="P6M")
        api.register("odd", purpose="other")
        for name in ("alice", "bob", "carol", "dave", "erin", "frank"):
            api.decide(name, "ads")
        clock.at = utc("2026-06-16T10:00:00Z")
        api.decide("alice", "stats")
        api.withdraw("bob", "ads")
        api.decide("carol", "ads", "refused")
        api.decide("dave", "ads")
        api.ok("POST", "/v1/subjects/closures", {"subject": {"type": "user", "id": "erin"}})
        api.decide("grace", "ads", evidence={"default_state": "selected"})
        api.ok(
            "POST",
            "/v1/processings/stats/versions",
            {
                **VERSION,
                "purpose": "statistics",
                "consent_validity": "P6M",
                "material": True,
                "effective_from": "2026-09-01T00:00:00Z",
            },
        )
        yield api


def numbers(text, *labels):
    """The number that follows each of some labels."""
    return {label: int(match[1]) for label in labels if (match := re.search(rf"{re.escape(label)} (\d+)", text))}


def test_before_anything_was_counted(api):
    """An empty service shows every section, and each says that there is nothing yet."""
    page = Visitor(api).sign_in()
    assert [each for each in SECTIONS if f'data-section="{each}"' in page.html] == list(SECTIONS)
    assert "No processing is registered." in page.text("register")
    for section in ("consents", "renewals"):
        assert "Nothing was counted yet" in page.text(section)
    assert "No decision of the last 14 days is in the log." in page.text("decisions")
    assert "No receiver is registered." in page.text("deliveries")
    assert "No job has run yet." in page.text("jobs")
    assert "The staff notice is not complete" in page.text("staff")


def test_counted_and_nothing_there(api, database):
    """What was counted and found to be none is told as that, and as of when."""
    count(database)
    page = Visitor(api).sign_in()
    assert "No consent is recorded." in page.text("consents")
    assert "No consent is in force." in page.text("renewals")
    assert "No decision of the last 14 days is in the log." in page.text("decisions")
    assert all("As of" in page.text(section) for section in ("consents", "renewals", "decisions"))


def test_register(filled, clock):
    """Each processing with its paragraph and its state; a version to come is announced."""
    filled.ok("PATCH", "/v1/processings/ads", {"status": "suspended"})
    text = Visitor(filled).sign_in().text("register")
    untold = "does not say where the data are; no impact assessment (GDPR art. 35); no security measures (GDPR art. 32)"
    assert f"filter Filter malware detection Exemple SAS III no consent needed active {untold} 1" in text
    assert f"ads Processing advertising Exemple SAS IV on consent suspended {untold} 1" in text
    assert f"odd Processing other Exemple SAS I forbidden active {untold} 1" in text
    assert f"IV on consent active {untold} 1 to come: version 2, 1 September 2026" in text


def test_consents_by_state(filled, database, clock):
    """Every state is counted as the API tells it, and the total is the number of consents."""
    count(database, clock)
    text = Visitor(filled).sign_in().text("consents")
    closed = "closed (account closed or processing retired)"
    expected = {"in force": 3, "invalid": 1, "refused": 1, "withdrawn": 1, "replaced": 2, closed: 1}
    assert numbers(text.partition("stats")[0], *expected, "Total") == {**expected, "Total": 9}
    assert numbers(text.partition("stats")[2], "in force", "Total") == {"in force": 1, "Total": 1}


@pytest.mark.parametrize("counting", list(Counting))
def test_states_agree_with_the_api(filled, database, clock, counting):
    """At several moments, also between two lapses of one day, each state has as many consents as a search finds."""
    filled.decide("heidi", "ads", "refused", capacity={"age_band": "under_15", "given_by": "both"})
    filled.decide("heidi", "ads")
    filled.decide("ivan", "stats", version=2)
    filled.decide("judy", "stats")
    clock.at = utc("2026-06-16T10:30:00Z")
    filled.decide("judy", "stats", version=2)
    policy = PeriodPolicy(counting)
    with running(database, clock=clock, period_counting=counting.value) as api:
        for at in ("2026-06-17T00:00:00Z", "2026-09-02T00:00:00Z", "2027-06-15T10:00:00Z", "2027-06-16T10:10:00Z"):
            clock.at = utc(at)
            count(database, clock, policy)
            text = Visitor(api).sign_in().text("consents")
            found = api.ok("POST", "/v1/consents/search", {"page": {"limit": 500}})["items"]
            for identifier in ("ads", "stats"):
                part = text.partition("ads")[2]
                part = part.partition("stats")[2 if identifier == "stats" else 0]
                told = {state: STATES[state][Language.EN] for state in State}
                of_api = {
                    label: sum(each["processing"] == identifier and each["state"] == state for each in found)
                    for state, label in told.items()
                }
                shown = numbers(part, *told.values())
                assert shown == {label: number for label, number in of_api.items() if number}, (at, identifier)


def test_renewal_curve(filled, database, clock):
    """Who lapses when, by month in Paris, in the chart and in the table: this month and the twelve that follow."""
    count(database, clock)
    page = Visitor(filled).sign_in()
    text = page.text("renewals")
    assert numbers(text, "December 2026", "June 2027", "March 2027", "Total") == {
        "December 2026": 1,
        "June 2027": 3,
        "March 2027": 0,
        "Total": 4,
    }
    assert text.count("2026") + text.count("2027") >= 13
    bars = page.html.split('data-section="renewals"')[1].split("</svg>")[0]
    assert bars.count("<rect") == 2
    assert bars.count('class="label"') == 13


def test_deliveries(filled, database):
    """Each receiver by its host, never the rest of its address, with what waits, was given up and became too old."""
    hook = filled.ok("POST", "/v1/webhooks", {"url": "http://127.0.0.1:9/hook/sekret?token=sekret"})
    with psycopg.connect(database.owner_url) as connection:
        connection.execute(
            "INSERT INTO webhook_delivery (subject_ref, endpoint, event, xid, seq, status, queued_at)"
            " SELECT subject_ref, %s, id, xid, seq, CASE WHEN row_number() OVER () > 2 THEN 'dead' ELSE 'pending' END,"
            " occurred_at FROM outbox LIMIT 5",
            [hook["id"]],
        )
        connection.execute(
            "INSERT INTO webhook_count VALUES"
            " (%s, 'delivered', 7), (%s, '500', 4), (%s, 'lost_pending', 1), (%s, 'lost_dead', 5)",
            [hook["id"]] * 4,
        )
    filled.ok("PATCH", f"/v1/webhooks/{hook['id']}", {"status": "disabled"})
    page = Visitor(filled).sign_in()
    assert f"127.0.0.1 {hook['id']} disabled by request 2 3 6 7 4" in page.text("deliveries")
    assert re.search(r"Events not dispatched yet: \d+\.", page.text("deliveries"))
    assert "sekret" not in page.html


def test_jobs_and_replicas(database):
    """What tasks did last, failures by their class; each process that decides from memory and when it was heard."""
    run_recorded(database, JobRun("renewals.sweep", utc(START), timedelta(seconds=1.5), 12, 3))
    run_recorded(database, JobRun("links.remove_ended", utc(START), timedelta(seconds=1), error="TimeoutError"))
    with running(database) as api:
        page = Visitor(api).sign_in()
    assert "renewals.sweep 15 June 2026 at 12:00 (Paris time) 1.50 s 12 3 1 0" in page.text("jobs")
    assert "1 1 TimeoutError" in page.text("jobs")
    assert re.search(r"\S+ \d+ up to date \d\.\d\d s 2\.00 s \d+", page.text("replicas"))


def test_a_silent_replica_is_late(database, clock):
    """A replica that was not heard within its lease is said to be late."""
    with psycopg.connect(database.owner_url) as connection:
        connection.execute(
            "INSERT INTO replica (id, beat, lease_ms, seen_at, about)"
            " VALUES (gen_random_uuid(), 41, 2000, %s, 'host 7')",
            ["2026-06-15T09:59:15Z"],
        )
    with running(database, clock=clock) as api:
        assert "host 7 late: reads the database 45 s 2.00 s 41" in Visitor(api).sign_in().text("replicas")


def test_a_restricted_caller_sees_its_own(filled, database, clock):
    """A key for some processings shows those only, in every section that is about processings."""
    filled.ok("POST", "/v1/webhooks", {"url": "http://127.0.0.1:9/all"})
    filled.ok("POST", "/v1/webhooks", {"url": "http://127.0.0.2:9/ads", "processings": ["stats"]})
    count(database, clock)
    page = Visitor(filled).sign_in(filled.new_key("audit:read", processings=["stats"]))
    assert "You see the processings of this key: stats." in page.text()
    assert "ads" not in page.text("register") + page.text("consents")
    assert numbers(page.text("renewals"), "Total") == {"Total": 1}
    assert "127.0.0.2" in page.text("deliveries")
    assert "127.0.0.1" not in page.text("deliveries")
    assert "not dispatched" not in page.text("deliveries")


def test_nobody_stands_on_it(filled, database, clock):
    """No id, no pseudonym, no id of a consent or an event: numbers only, in both languages."""
    count(database, clock)
    with psycopg.connect(database.owner_url) as connection:
        found = connection.execute("SELECT encode(subject_ref, 'hex'), id::text FROM consent_event").fetchall()
    for lang in ("fr", "en"):
        page = Visitor(filled, lang).sign_in()
        for secret in {each for row in found for each in row} | {"alice", "bob", "carol", "grace", "@"}:
            assert secret not in page.html


def test_a_section_that_fails_takes_nothing_down(filled, database, clock, monkeypatch):
    """A section whose query fails says so; the others are shown."""

    async def broken(_):
        raise ValueError

    monkeypatch.setattr(show_dashboard, "latest_runs", broken)
    with psycopg.connect(database.owner_url) as connection:
        connection.execute("ALTER TABLE replica RENAME TO replica_away")
    count(database, clock)
    page = Visitor(filled).sign_in()
    assert page.status == 200
    for section in ("jobs", "replicas"):
        assert "This section could not be read." in page.text(section)
    assert "in force 3" in page.text("consents")
    with psycopg.connect(database.owner_url) as connection:
        connection.execute("ALTER TABLE replica_away RENAME TO replica")


def test_old_numbers_are_said_to_be_old(filled, database, clock):
    """Numbers of more than an hour ago come with a warning, until they are counted again."""
    count(database, clock)
    clock.at = utc("2026-06-16T12:00:00Z")
    assert "Counted more than an hour ago" in Visitor(filled).sign_in().text("consents")
    count(database, clock)
    assert "Counted more than an hour ago" not in Visitor(filled).sign_in().text("consents")


def test_every_word_there_may_be_is_said():
    """Each state, reason, purpose and status has its words in both languages."""
    for catalogue, enum in (
        (STATES, State),
        (REASONS, Reason),
        (PURPOSE_WORDS, Purpose),
        (STATUS_WORDS, Status),
    ):
        assert set(catalogue) == {each.value for each in enum}


def test_tables_say_what_they_are(filled, database, clock):
    """Every table has a caption and scopes; every chart a title, a description, and the table with its numbers."""
    count(database, clock)
    page = Visitor(filled).sign_in().html
    tables = re.findall(r"<table>.*?</table>", page, re.DOTALL)
    assert len(tables) == 5
    for table in tables:
        assert "<caption>" in table
        assert not re.search(r"<th(?! scope=)[ >]", table)
    for chart in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        assert 'role="img"' in chart
        assert "<title" in chart
        assert "<desc" in chart
    assert "<script" not in page
    assert "style=" not in page
