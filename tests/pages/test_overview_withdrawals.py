"""Withdrawing on the page about everything that is held: recorded like any other withdrawal, or not at all."""

import pytest

from tests.support.api import running, subject
from tests.support.consent_page import Person, link, overview_link
from tests.support.databases import new_database


@pytest.fixture(scope="module")
def held():
    """A service with two processings; each test has people of its own, who consented to both."""
    with new_database() as database, running(database) as called:
        called.register("ads")
        called.register("stats", purpose="statistics")
        yield called


def consented(api, *names):
    """Record of each of these people that they consented to both processings."""
    for name in names:
        for each in ("ads", "stats"):
            api.decide(name, each)


def overview(api, name, lang="fr"):
    """A visitor with a new link to everything about a person."""
    return Person(api, overview_link(api, name), lang)


def events(api, name):
    """The kinds of a person's events, with their processings."""
    events = api.call("POST", "/v1/subjects/exports", {"subject": subject(name)}).json()["events"]
    return [(each["kind"], each.get("processing")) for each in events]


GIVEN = [("granted", "ads"), ("granted", "stats")]


@pytest.mark.parametrize("lang", ["fr", "en"])
def test_one_press_withdraws(held, lang):
    """No permit is given afterwards; the page shows first where one stands, and the button is gone."""
    name = f"ann-{lang}"
    consented(held, name)
    person = overview(held, name, lang=lang)
    assert held.reason(name, "ads") == "consent_in_force"
    asked = person.open()
    address, sent = person.path + asked.forms[0]["action"], asked.filled("withdraw", "ads")
    answer = person.api.client.post(address, data=sent, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, f"?lang={lang}#answer-ads")
    assert held.reason(name, "ads") == "consent_withdrawn"
    assert held.reason(name, "stats") == "consent_in_force"
    assert events(held, name) == [*GIVEN, ("withdrawn", "ads")]
    page = person.open()
    assert 'id="answer-ads" tabindex="-1"' in page.html  # it can have the focus
    assert page.buttons == {"stats": ["withdraw"]}
    assert {"fr": "Accord retiré le", "en": "Consent withdrawn on"}[lang] in page.text()


def test_everything_is_withdrawn_at_once(held):
    """Where several consents hold, one button ends them all; there is none that gives anything."""
    consented(held, "beth")
    person = overview(held, "beth")
    assert person.open().buttons == {"ads": ["withdraw"], "stats": ["withdraw"], "": ["withdraw_all"]}
    assert person.press("withdraw_all").status == 200
    assert events(held, "beth") == [*GIVEN, ("withdrawn", "ads"), ("withdrawn", "stats")]


def test_it_is_recorded_like_every_other_withdrawal(held):
    """In the ledger, by the link and its maker; and receivers are told of it, as of one by the consent page."""
    consented(held, "cora", "dan")
    person = overview(held, "cora")
    person.press("withdraw", "ads")
    other = Person(held, link(held, "dan", "ads", kind="withdraw"))
    other.press("withdraw", "ads")
    events = {}
    for name in ("cora", "dan"):
        exported = held.call("POST", "/v1/subjects/exports", {"subject": subject(name)}).json()
        events[name] = next(each for each in exported["events"] if each["kind"] == "withdrawn")
        assert events[name]["evidence"]["link"] in {each["id"] for each in exported["consent_links"]}
    assert events["cora"].keys() == events["dan"].keys()
    assert events["cora"]["evidence"]["method"] == events["dan"]["evidence"]["method"] == "web_form"


def test_a_half_of_a_joint_consent_is_taken_back(held):
    """A first act of a joint consent can be withdrawn on the child's page."""
    young = {"capacity": {"given_by": "self", "age_band": "under_15"}}
    held.decide("kim", "ads", **young)
    person = overview(held, "kim")
    assert person.open().buttons == {"ads": ["withdraw"]}
    assert person.press("withdraw", "ads").status == 200
    assert events(held, "kim")[-1] == ("withdrawn", "ads")


def test_it_goes_on_where_nothing_is_asked_any_more(held):
    """A consent to a suspended processing can be withdrawn on the page."""
    held.agreed("halted", "ed")
    held.ok("PATCH", "/v1/processings/halted", {"status": "suspended"})
    person = overview(held, "ed")
    assert person.press("withdraw", "halted").status == 200
    assert events(held, "ed") == [("granted", "halted"), ("withdrawn", "halted")]


def test_a_form_counts_once_and_for_what_it_says(held):
    """A button that the form did not have records nothing; sent as it was it counts, once, and the page says so."""
    consented(held, "gus")
    person = overview(held, "gus")
    sent = person.open().filled("withdraw", "ads")
    for press, status in (("accept", 409), ("refuse", 409), ("withdraw_all", 400)):
        assert person.send({**sent, "press": press}).status == status, press
        assert events(held, "gus") == GIVEN, press
    assert person.send(sent).status == 200
    again = person.send(sent)
    assert (again.status, "n'a été enregistrée qu'une fois" in again.text()) == (409, True)
    assert events(held, "gus") == [*GIVEN, ("withdrawn", "ads")]


def test_a_processing_that_one_never_decided_about_has_no_button(held):
    """A person's page has no button for a processing that only others decided about."""
    consented(held, "ida", "jo")
    held.agreed("better", "jo", purpose="service_improvement")
    assert "better" not in overview(held, "ida").open().buttons
    assert "better" in overview(held, "jo").open().buttons
