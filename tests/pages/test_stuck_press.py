"""A press that is stuck on its way, and arrives after the person has said no: it does not count."""

import pytest

from tests.pages.test_joint import two
from tests.support.consent_page import Person, link


@pytest.fixture
def page(api):
    """A service with one processing."""
    api.register("ads")
    return api


def _person(api):
    return Person(api, link(api, "a", "ads"))


def _pressed(person, press):
    return person.send(person.open().filled(press, "ads"))


def test_a_yes_of_before_a_no_on_the_same_page(page):
    """Withdrawn; a yes is stuck; another one comes through; withdrawn once more; the stuck one arrives."""
    page.decide("a", "ads")
    person = _person(page)
    _pressed(person, "withdraw")
    stuck = person.open().filled("accept", "ads")
    _pressed(person, "accept")
    assert page.reason("a", "ads") == "consent_in_force"
    _pressed(person, "withdraw")
    person.send(stuck)
    assert page.reason("a", "ads") == "consent_withdrawn"


@pytest.mark.parametrize("no", ["withdraw", "refuse"])
def test_a_yes_of_before_the_same_no_by_another_way(page, no):
    """A no on the page; a yes is stuck; the same no is said again by telephone, which changes no button."""
    if no == "withdraw":
        page.decide("a", "ads")
    person = _person(page)
    _pressed(person, no)
    stuck = person.open().filled("accept", "ads")
    if no == "withdraw":
        page.withdraw("a", "ads")
    else:
        page.decide("a", "ads", "refused")
    person.send(stuck)
    assert page.reason("a", "ads") in {"consent_withdrawn", "consent_refused"}


def test_a_parent_s_yes_of_before_the_parent_s_no(page):
    """The child says yes; the parent's yes is stuck; the parent refuses; the child says yes again; it arrives."""
    child, parent = two(page, "kid", "ads")
    child.press("accept", "ads")
    stuck = parent.open().filled("accept", "ads")
    parent.press("refuse", "ads")
    child.press("accept", "ads")
    parent.send(stuck)
    assert page.reason("kid", "ads") != "consent_in_force"


def test_a_yes_without_a_no_in_between_counts(page):
    """Control: what was shown before another yes, or before anything, is an answer."""
    person = _person(page)
    stuck = person.open().filled("accept", "ads")
    person.send(stuck)
    assert page.reason("a", "ads") == "consent_in_force"
