"""The age of a person: stated alone, counted for each processing, and announced when a child comes of age."""

import pytest

from tests.support.api import refused, subject
from tests.support.consent_page import Person, link
from tests.support.databases import rows
from tests.support.people import people

CHILD = {"age_band": "under_15"}


def _told(database, kind):
    query = "SELECT data->>'consent' FROM outbox WHERE type = %s ORDER BY xid, seq"
    return [consent for (consent,) in rows(database, query, f"fr.sceau.consent.{kind}")]


def test_a_withdrawal_may_say_the_age(asking, zoe):
    """An age stated with a withdrawal counts for other processings too."""
    for name in ("ads-mail", "stats"):
        asking.decide(zoe, name)
    asking.withdraw(zoe, "ads-mail", capacity=CHILD)
    assert asking.reason(zoe, "stats") == "consent_invalid"


def test_receivers_are_told_once_when_a_child_comes_of_age(asking, shared_database, zoe):
    """Receivers hear once that each joint consent in force needs confirmation; the consent itself stays in force."""
    consent = asking.decide(zoe, "ads-mail", capacity={**CHILD, "given_by": "both"})
    other = asking.decide(zoe, "stats", capacity={**CHILD, "given_by": "both"})
    asking.withdraw(zoe, "stats")
    for band in ("minor_15_plus", "minor_15_plus", "adult"):
        asking.state_age(zoe, band)
    due = [each for each in _told(shared_database, "confirmation_due") if each in {consent["id"], other["id"]}]
    assert due == [consent["id"]]
    assert asking.reason(zoe, "ads-mail") == "consent_in_force"


def test_an_age_is_not_stated_for_the_future(asking, zoe):
    """An age stated for a future time is refused."""
    adult = {"age_band": "adult", "stated_by": "operator", "checked_how": "account_data", "at": "2100-01-01T00:00:00Z"}
    answer = asking.call("POST", "/v1/subjects/ages", {"subject": subject(zoe), **adult})
    assert refused(answer) == (422, "collection-time")


@pytest.mark.parametrize("band", ["adult", "minor_15_plus"])
def test_a_link_does_not_outlive_an_age_stated_since(asking, band):
    """A page made for an adult no longer takes a consent once the person is stated to be under fifteen."""
    [kid] = people("kid")
    person = Person(asking, link(asking, kid, "ads-mail", "stats", age_band=band))
    assert person.press("accept", "stats").status == 200
    assert asking.reason(kid, "stats") == "consent_in_force"
    form = person.open().filled("accept", "ads-mail")
    asking.state_age(kid, "under_15", checked_how="identity_document")
    assert "accept" not in person.open().buttons.get("ads-mail", [])
    person.send(form)
    assert [asking.reason(kid, each) for each in ("ads-mail", "stats")] == ["no_consent", "consent_invalid"]
