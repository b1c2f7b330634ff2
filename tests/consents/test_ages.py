"""The age of a person: stated on its own, counted for every processing, and told on when a child comes of age."""

import psycopg
import pytest

from tests.support.api import subject
from tests.support.consent_page import Person, link
from tests.support.people import people

CHILD = {"age_band": "under_15"}
PARENT = {"age_band": "under_15", "given_by": "holder_of_parental_responsibility"}


def _age(api, name, band, **more):
    body = {"subject": subject(name), "age_band": band, "stated_by": "operator", "checked_how": "account_data", **more}
    return api.call("POST", "/v1/subjects/ages", body)


def _told(database, kind):
    with psycopg.connect(database.owner_url) as owner:
        query = "SELECT data->>'consent' FROM outbox WHERE type = %s ORDER BY xid, seq"
        return [consent for (consent,) in owner.execute(query, [f"fr.sceau.consent.{kind}"])]


@pytest.fixture(scope="module")
def api(shared):
    """A service with two processings; each test uses names of its own."""
    shared.register("ads")
    shared.register("stats", purpose="statistics")
    return shared


def test_an_age_stated_of_the_person_ends_what_was_given_alone(api, zoe):
    """It counts for consents given before, on whatever processing, from the moment it is answered."""
    api.decide(zoe, "ads")
    assert api.reason(zoe, "ads") == "consent_in_force"
    assert _age(api, zoe, "under_15").status_code == 201
    assert api.reason(zoe, "ads") == "consent_invalid"


def test_a_child_known_on_one_processing_does_not_consent_alone_to_another(api, zoe):
    """What was once stated with one consent counts for the next, of another processing."""
    api.decide(zoe, "stats", capacity={**CHILD, "given_by": "both"})
    api.decide(zoe, "ads")
    assert [api.reason(zoe, name) for name in ("stats", "ads")] == ["consent_in_force", "consent_invalid"]


@pytest.mark.parametrize("acts", [(CHILD, PARENT), (PARENT, CHILD)])
def test_two_acts_are_one_joint_consent(api, acts, zoe):
    """The first awaits the other and permits nothing; the second makes both one consent, in either order."""
    first = api.decide(zoe, "ads", capacity=acts[0])
    assert first["state"] == "awaiting_other_parent_or_child"
    assert api.reason(zoe, "ads") == "consent_invalid"
    assert api.decide(zoe, "ads", capacity=acts[1])["state"] == "in_force"
    assert api.reason(zoe, "ads") == "consent_in_force"


def test_a_withdrawal_may_say_the_age(api, zoe):
    """What it says counts for other processings too."""
    for name in ("ads", "stats"):
        api.decide(zoe, name)
    api.withdraw(zoe, "ads", capacity=CHILD)
    assert api.reason(zoe, "stats") == "consent_invalid"


def test_an_age_must_be_stated_where_the_version_says_so(api, zoe):
    """Without one a grant permits nothing, also once one is stated afterwards; the next grant does."""
    api.register("teens", age_statement_required=True)
    consent = api.decide(zoe, "teens")
    assert (consent["state"], consent["defects"]) == ("invalid", ["age_unknown"])
    _age(api, zoe, "adult")
    assert api.reason(zoe, "teens") == "consent_invalid"
    api.decide(zoe, "teens")
    assert api.reason(zoe, "teens") == "consent_in_force"


def test_receivers_are_told_once_when_a_child_comes_of_age(api, shared_database, zoe):
    """Of each joint consent in force, when the age last known was under 15; the consent itself goes on."""
    consent = api.decide(zoe, "ads", capacity={**CHILD, "given_by": "both"})
    other = api.decide(zoe, "stats", capacity={**CHILD, "given_by": "both"})
    api.withdraw(zoe, "stats")
    for band in ("minor_15_plus", "minor_15_plus", "adult"):
        _age(api, zoe, band)
    told = [each for each in _told(shared_database, "confirmation_due") if each in {consent["id"], other["id"]}]
    assert told == [consent["id"]]
    assert api.reason(zoe, "ads") == "consent_in_force"


def test_an_age_is_not_stated_for_the_future(api, zoe):
    """An age that is to come is no fact yet."""
    refused = _age(api, zoe, "adult", at="2100-01-01T00:00:00Z")
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:sceau:problem:collection-time")


@pytest.mark.parametrize("band", ["adult", "minor_15_plus"])
def test_a_link_does_not_outlive_an_age_stated_since(api, band):
    """A page made for an adult asks nothing of somebody who is said to be under fifteen since, and revives nothing."""
    [kid] = people("kid")
    person = Person(api, link(api, kid, "ads", "stats", age_band=band))
    assert person.press("accept", "stats").status == 200
    assert api.reason(kid, "stats") == "consent_in_force"
    form = person.open().filled("accept", "ads")
    age = {"age_band": "under_15", "stated_by": "operator", "checked_how": "identity_document"}
    api.ok("POST", "/v1/subjects/ages", {"subject": subject(kid), **age})
    assert "accept" not in person.open().buttons.get("ads", [])
    person.send(form)
    assert [api.reason(kid, each) for each in ("ads", "stats")] == ["no_consent", "consent_invalid"]
