"""The head of the dashboard: what needs attention, and four numbers."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from app.audit.figures import DayOfRuns
from app.events.effects import DeliveryCounts
from app.operations.service import show_dashboard
from app.operations.service.show_dashboard import Dashboard, Deliveries, Read
from app.pages.service.attention import attention
from app.pages.words import Language
from tests.support.api import running
from tests.support.dashboard import Visitor, count
from tests.support.two_persons import person

NOTHING = Dashboard(*(Read() for _ in range(9)))


def points(shown, language=Language.EN):
    """What needs attention, as section and text."""
    return [(each.section, each.text) for each in attention(shown, [], language)["points"]]


def figures(page):
    """The four numbers of a page."""
    part = page.html.split('data-section="figures"')[1].split("</dl>")[0]
    return [each.split("</dd>")[0] for each in part.split("<dd>")[1:]]


def test_four_numbers(database):
    """Consents in force, those that lapse soon, decisions of today, and deliveries that wait."""
    with running(database) as api:
        api.register("ads")
        for name in ("alice", "bob"):
            api.decide(name, "ads")
        api.decide("carol", "ads", "refused")
        count(database)
        assert figures(Visitor(api).sign_in()) == ["2", "0", "0", "0"]


def test_what_cannot_be_read_is_a_point_and_no_number(database, monkeypatch):
    """A section that fails needs attention, with a link to it, in both languages; what is not known is no zero."""

    async def broken(*_):
        raise ValueError

    monkeypatch.setattr(show_dashboard, "list_webhooks", broken)
    with running(database) as api:
        english, french = (Visitor(api, lang).sign_in() for lang in ("en", "fr"))
    for page, word in ((english, "A section could not be read: Deliveries"), (french, "Section illisible")):
        assert word in page.text("attention").replace("\N{NO-BREAK SPACE}", " ")
        assert 'href="#deliveries"' in page.html.split('data-section="attention"')[1].split("</section>")[0]
    assert (figures(english)[3], figures(french)[3]) == ("unknown", "inconnu")


def test_a_version_to_approve_is_a_point(database):
    """Where two persons register, a proposal waits for the second."""
    with running(database, register_approval="two") as api:
        person(api, "Bob")
        person(api, "Ada").register("ads")
        visitor = Visitor(api)
        page = visitor.sign_in()
        assert "A version to approve: ads" in page.text("attention")


def test_a_task_that_failed_and_a_queue_are_points(database):
    """A task that failed today counts, one of another day does not; deliveries to others' receivers are not told."""
    now = datetime(2026, 6, 15, 10, tzinfo=UTC)
    run = DayOfRuns("renewals.sweep", now.date(), 9, 1, 0, now, timedelta(0), 0, 0, now, "ValueError")
    shown = replace(NOTHING, jobs=Read(now, now, [run]))
    assert points(shown) == [("jobs", "A task that failed today: renewals.sweep")]
    assert points(replace(shown, jobs=Read(now + timedelta(days=1), now, [run]))) == []
    dead = Deliveries([], DeliveryCounts(unfinished={(UUID(int=1), "dead"): 3}))
    assert points(replace(NOTHING, deliveries=Read(now, now, dead))) == []


def test_nothing_needs_attention():
    """Without a point the page says so."""
    assert points(NOTHING) == []
    assert attention(NOTHING, [], Language.FR)["attention"]["nothing"] == "Rien ne demande votre attention."
