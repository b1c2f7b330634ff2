"""A press that is stuck on its way, and arrives after the person has said no: it does not count."""

import pytest

from tests.pages.test_joint import two
from tests.support.consent_page import Person, link


def _person(api, name):
    return Person(api, link(api, name, "ads-mail"))


def test_a_yes_of_before_a_no_on_the_same_page(shared):
    """A yes that was stuck does not count if the person has accepted and withdrawn again before it arrives."""
    shared.decide("stuck", "ads-mail")
    person = _person(shared, "stuck")
    person.press("withdraw", "ads-mail")
    stuck = person.open().filled("accept", "ads-mail")
    person.press("accept", "ads-mail")
    assert shared.reason("stuck", "ads-mail") == "consent_in_force"
    person.press("withdraw", "ads-mail")
    person.send(stuck)
    assert shared.reason("stuck", "ads-mail") == "consent_withdrawn"


@pytest.mark.parametrize("no", ["withdraw", "refuse"])
def test_a_yes_of_before_the_same_no_by_another_way(shared, no):
    """A yes that was stuck does not count if the person has repeated their no in another way before it arrives."""
    name = f"stuck-{no}"
    if no == "withdraw":
        shared.decide(name, "ads-mail")
    person = _person(shared, name)
    person.press(no, "ads-mail")
    stuck = person.open().filled("accept", "ads-mail")
    if no == "withdraw":
        shared.withdraw(name, "ads-mail")
    else:
        shared.decide(name, "ads-mail", "refused")
    person.send(stuck)
    assert shared.reason(name, "ads-mail") in {"consent_withdrawn", "consent_refused"}


def test_a_parent_s_yes_of_before_the_parent_s_no(shared):
    """A parent's yes that was stuck does not count if the parent has refused before it arrives."""
    child, parent = two(shared, "stuck-kid", "ads-mail")
    child.press("accept", "ads-mail")
    stuck = parent.open().filled("accept", "ads-mail")
    parent.press("refuse", "ads-mail")
    child.press("accept", "ads-mail")
    parent.send(stuck)
    assert shared.reason("stuck-kid", "ads-mail") != "consent_in_force"


def test_a_yes_without_a_no_in_between_counts(shared):
    """Control: a late yes counts if no answer was given in between."""
    person = _person(shared, "through")
    stuck = person.open().filled("accept", "ads-mail")
    person.send(stuck)
    assert shared.reason("through", "ads-mail") == "consent_in_force"
