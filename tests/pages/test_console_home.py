"""The first page of the console: what needs attention, four numbers, charts, consents by state."""

import re
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from app.audit.figures import JobRun
from app.core.article import Purpose
from app.core.consent import State
from app.core.decision import Reason
from app.core.period import Counting, PeriodPolicy
from app.core.processing import Status
from app.core.wording import PURPOSE_WORDS, STATUS_WORDS
from app.operations.service import show_home
from app.pages.console.home import STATES
from app.pages.words import REASONS
from app.words import Language
from tests.support.api import TestClock, running, utc
from tests.support.console import Visitor, count, run_recorded
from tests.support.databases import new_database, rows
from tests.support.two_persons import add, person

START = "2026-06-15T10:00:00Z"
PARTS = ("lapses", "decisions", "consents", "effects")


@pytest.fixture
def clock():
    """A clock that tests set."""
    return TestClock(utc(START))


@contextmanager
def filling(database, clock):
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
        later = {"purpose": "statistics", "consent_validity": "P6M", "effective_from": "2026-09-01T00:00:00Z"}
        add(api, "stats", **later, material=True)
        yield api


@pytest.fixture
def filled(database, clock):
    """That application, for a test that changes it."""
    with filling(database, clock) as api:
        yield api


@pytest.fixture(scope="module")
def place():
    """That application, counted, for tests that look at it; its database."""
    clock = TestClock(utc(START))
    with new_database() as database, filling(database, clock) as api:
        count(database, clock)
        yield api, database


@pytest.fixture
def counted(place):
    """The application of `place`."""
    return place[0]


@pytest.fixture(scope="module")
def empty():
    """An application in which nothing is recorded, counted."""
    with new_database() as database, running(database) as api:
        count(database)
        yield api


def numbers(text, *labels):
    """The number that follows each of some labels."""
    return {label: int(match[1]) for label in labels if (match := re.search(rf"{re.escape(label)} (\d+)", text))}


def figures(page):
    """The four numbers of a page."""
    part = page.html.split('data-section="figures"')[1].split("</dl>")[0]
    return [each.split("</dd>")[0] for each in part.split("<dd>")[1:]]


def test_before_anything_was_counted(api):
    """An empty service shows every part, and each says that there is nothing yet."""
    page = Visitor(api).sign_in()
    assert [each for each in PARTS if f'data-section="{each}"' in page.html] == list(PARTS)
    for section in ("consents", "lapses"):
        assert "Nothing was counted yet" in page.text(section)
    assert "No decision of the last 14 days is in the log." in page.text("decisions")
    assert "The staff notice has to be completed" in page.text("attention")


def test_counted_and_nothing_there(empty):
    """What was counted and found to be none is told as that, and as of when."""
    page = Visitor(empty).sign_in()
    assert "No consent is recorded." in page.text("consents")
    assert "No consent is in force." in page.text("lapses")
    assert all("As of" in page.text(section) for section in PARTS)


def test_four_numbers(counted):
    """Consents in force, those that lapse soon, decisions of today, and deliveries that wait."""
    assert figures(Visitor(counted).sign_in()) == ["4", "0", "0", "0"]


def test_consents_by_state(counted):
    """Every state is counted as the API tells it, and the total is the number of consents."""
    text = Visitor(counted).sign_in().text("consents")
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
            items = api.ok("POST", "/v1/consents/search", {"page": {"limit": 500}})["items"]
            for identifier in ("ads", "stats"):
                part = text.partition("ads")[2]
                part = part.partition("stats")[2 if identifier == "stats" else 0]
                words = {state: STATES[state][Language.EN] for state in State}
                of_api = {
                    label: sum(each["processing"] == identifier and each["state"] == state for each in items)
                    for state, label in words.items()
                }
                shown = numbers(part, *words.values())
                assert shown == {label: number for label, number in of_api.items() if number}, (at, identifier)


def test_lapses_by_month(counted):
    """Lapses are shown by month in Paris, in the chart and the table, for this month and the next twelve."""
    visitor = Visitor(counted)
    home, renewals = visitor.sign_in(), visitor.get("/console/renewals")
    expected = {"December 2026": 1, "June 2027": 3, "March 2027": 0}
    assert numbers(home.text("lapses"), *expected) == expected
    bars = home.html.split('data-section="lapses"')[1].split("</svg>")[0]
    assert (bars.count("<rect"), bars.count('class="label"')) == (2, 13)
    assert "December 2026 0 1 1" in renewals.text("renewals")
    assert "June 2027 3 0 3" in renewals.text("renewals")


def test_points_of_the_register(database):
    """A proposal is a point for those who may approve it, and waits for another person on its proposer's page."""
    with running(database, register_approval="two") as api:
        bob, ada = person(api, "Bob"), person(api, "Ada")
        ada.register("ads")
        seen = {who.key: Visitor(api).sign_in(str(who.key)).text("attention") for who in (ada, bob)}
    assert "For you to approve: ads" in seen[bob.key]
    assert "Waits for another person: ads" in seen[ada.key]
    assert "Points to look at: ads (3)" in seen[bob.key]


def test_points_of_the_service(database):
    """A job that failed, consents that lapse without a reminder, receivers that are off; nothing of another day."""
    with running(database, webhook_networks="127.0.0.0/8") as api:
        hook = api.ok("POST", "/v1/webhooks", {"url": "http://127.0.0.1:9/hook"})
        api.ok("PATCH", f"/v1/webhooks/{hook['id']}", {"status": "disabled"})
        now = datetime.now(UTC)
        run_recorded(database, JobRun("renewals.sweep", now, timedelta(seconds=1), 12, 3))
        run_recorded(database, JobRun("links.remove_ended", now, timedelta(seconds=1), error="TimeoutError"))
        before = now - timedelta(days=2)
        run_recorded(database, JobRun("figures.consents", before, timedelta(seconds=1), error="TimeoutError"))
        text = Visitor(api).sign_in().text("attention")
    for words in ("lapse without a reminder: 3", "failed today: links.remove_ended", "Receivers that are disabled: 1"):
        assert words in text
    assert "figures.consents" not in text


def test_a_set_back_database_is_a_point(api, monkeypatch):
    """Until a restore is dealt with, the first page says that nothing that needs consent is permitted."""

    async def found(*_):
        return True

    fence = api.client.app.state.services.fence
    assert "set back" not in Visitor(api).sign_in().text("attention")
    monkeypatch.setattr(fence, "_is_behind", found)  # whoever looks again, as a feed that begins anew
    monkeypatch.setattr(fence, "behind", True)
    assert "set back" in Visitor(api).sign_in().text("attention")


def test_what_cannot_be_read_is_a_point_and_no_number(empty, monkeypatch):
    """A part that cannot be read says so in both languages, shows no zero, and leaves the other parts."""

    async def broken(*_):
        raise ValueError

    monkeypatch.setattr(show_home, "list_webhooks", broken)
    monkeypatch.setattr(show_home, "count_by_day", broken)
    english, french = (Visitor(empty, lang).sign_in() for lang in ("en", "fr"))
    assert "Part that could not be read: Notifications" in english.text("attention")
    assert "Partie illisible : Notifications" in french.text("attention").replace("\N{NO-BREAK SPACE}", " ")
    assert "This part could not be read." in english.text("decisions")
    assert "No consent is recorded." in english.text("consents")
    assert (figures(english)[2:], figures(french)[2:]) == (["unknown", "unknown"], ["inconnu", "inconnu"])


def test_old_numbers_are_said_to_be_old(filled, database, clock):
    """Numbers of more than an hour ago come with a warning, until they are counted again."""
    count(database, clock)
    clock.at = utc("2026-06-16T12:00:00Z")
    page = Visitor(filled).sign_in()
    assert "Counted more than an hour ago" in page.text("consents")
    assert "Consents by state — counted more than an hour ago" in page.text("attention")
    count(database, clock)
    assert "Counted more than an hour ago" not in Visitor(filled).sign_in().text("consents")


def test_a_restricted_caller_sees_its_own(counted):
    """A key for some processings shows those only, on every page that is about processings."""
    visitor = Visitor(counted)
    page = visitor.sign_in(counted.new_key("audit:read", "register:read", processings=["stats"]))
    assert "You see the processings of this key: stats." in page.text()
    text = page.text("consents") + visitor.get("/console/register").text() + visitor.get("/console/renewals").text()
    assert "stats" in text
    assert not re.search(r"\bads\b", text)
    assert visitor.get("/console/register/ads").status == 404


def test_without_the_audit_no_number_is_shown(counted):
    """A caller that may read only the register sees its points, and no number or state of the service."""
    page = Visitor(counted).sign_in(counted.new_key("register:read"))
    assert "shown to whoever has the scope audit:read" in page.text()
    assert 'data-section="figures"' not in page.html
    assert "staff notice" not in page.text("attention")


def test_no_page_waits_for_the_ledger(database):
    """While the ledger is locked, every page but a person's is answered whole."""
    with running(database, database_timeout="PT1S") as api:
        api.agreed("ads", "alice")
        count(database)
        visitor = Visitor(api)
        visitor.sign_in()
        with psycopg.connect(database.owner_url) as connection:
            connection.execute("LOCK TABLE consent, consent_event, subject IN ACCESS EXCLUSIVE MODE")
            for path in ("", "/register", "/register/ads", "/people", "/renewals", "/report", "/staff", "/callers"):
                page = visitor.get(f"/console{path}")
                assert page.status == 200, path
                assert "could not be read" not in page.text(), path
            sent = {"proof": visitor.get("/console/people").proof, "about": "", "id": "alice", "type": "user"}
            found = visitor.post("/console/acts/find", sent)
            assert found.status == 503  # the control: her page reads the ledger


def test_nobody_stands_on_it(place):
    """No id, no pseudonym, no id of a consent or an event: numbers only, in both languages."""
    counted, database = place
    people = rows(database, "SELECT encode(subject_ref, 'hex'), id::text FROM consent_event")
    for lang in ("fr", "en"):
        visitor = Visitor(counted, lang)
        pages = [visitor.sign_in(), visitor.get("/console/register"), visitor.get("/console/renewals")]
        for secret in {each for row in people for each in row} | {"alice", "bob", "carol", "grace"}:
            assert all(secret not in page.html for page in pages)


def test_every_word_there_may_be_is_said():
    """Each state, reason, purpose and status has its words in both languages."""
    for catalogue, enum in (
        (STATES, State),
        (REASONS, Reason),
        (PURPOSE_WORDS, Purpose),
        (STATUS_WORDS, Status),
    ):
        assert set(catalogue) == {each.value for each in enum}


def test_tables_say_what_they_are(counted):
    """Every table has a caption and scopes; every chart a title, a description, and the table with its numbers."""
    page = Visitor(counted).sign_in().html
    tables = re.findall(r"<table>.*?</table>", page, re.DOTALL)
    assert len(tables) == 4
    for table in tables:
        assert "<caption>" in table
        assert not re.search(r"<th(?! scope=)[ >]", table)
    for chart in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        assert 'role="img"' in chart
        assert "<title" in chart
        assert "<desc" in chart
    assert "<script" not in page
    assert "style=" not in page
