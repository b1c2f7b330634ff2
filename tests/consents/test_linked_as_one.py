"""Statements by a linked name count as if they stood in the person's own ledger."""

from datetime import UTC, datetime

import pytest

from tests.pages.test_joint import two
from tests.support.api import subject
from tests.support.consents import grant, written
from tests.support.imports import imported, row
from tests.support.people import people

BY_WHICH = pytest.mark.parametrize("linked", [True, False], ids=["first", "second"])
"""Said by a name that is linked to the person's afterwards, or by the person's own name."""


@pytest.fixture(scope="module")
def api(shared):
    """A service with a processing; each test uses names of its own."""
    shared.register("ads")
    return shared


def _by_which(linked):
    """The name by which something is said, and the one that it is about."""
    first, second = people("first", "second")
    return (first if linked else second), second


@BY_WHICH
def test_a_younger_age_counts_though_an_older_one_followed(api, linked):
    """A consent given alone is invalid once `under_15` was stated, by either name and even if an older age followed."""
    first, second = _by_which(linked)
    api.decide(second, "ads")
    api.state_age(first, "under_15")
    api.state_age(first, "adult", checked_how="identity_document")
    if linked:
        api.link_names(first, second)
    assert api.reason(second, "ads") == "consent_invalid"


@pytest.mark.parametrize("day", [10, 21])
def test_a_child_s_grant_stays_invalid_after_the_birthday(moving, shared_clock, day):
    """A grant by a child under 15 by another name stays invalid, with a link before the birthday or after it."""
    first, second = people("first", "second")
    shared_clock.at = datetime(2026, 6, 1, 9, tzinfo=UTC)
    ads = f"ads-{day}"
    moving.register(ads)
    shared_clock.at = datetime(2026, 6, 10, 9, tzinfo=UTC)
    moving.state_age(first, "under_15", under_15_until="2026-06-20")
    moving.decide(second, ads, capacity={"age_band": "minor_15_plus"})
    shared_clock.at = datetime(2026, 6, day, 10, tzinfo=UTC)
    moving.link_names(first, second)
    shared_clock.at = datetime(2026, 6, 22, 9, tzinfo=UTC)
    assert moving.reason(second, ads) == "consent_invalid"


@BY_WHICH
def test_an_age_goes_over_at_its_weight(api, linked):
    """An age proved by an identity document keeps its weight over the link, against later ages of less weight."""
    first, second = _by_which(linked)
    api.state_age(first, "under_15", checked_how="identity_document")
    api.state_age(second, "under_15", stated_by="self", checked_how="not_checked")
    if linked:
        api.link_names(first, second)
    api.decide(second, "ads", capacity={"age_band": "adult"})
    assert api.reason(second, "ads") == "consent_invalid"


@BY_WHICH
def test_each_no_goes_over(api, linked):
    """An imported no and one recorded here both carry over a link, so that a later imported grant does not permit."""
    first, second = _by_which(linked)
    api.ok("POST", "/v1/consents", {**grant(first, "ads"), "decision": "refused"})
    now = datetime.now(UTC)
    assert imported(api, row(1, first, "withdrawn", at=now), name="noes-" + first, until=written(now))["recorded"] == 1
    if linked:
        api.decide(second, "ads")
        api.link_names(first, second)
    now = datetime.now(UTC)
    answer = imported(api, row(2, second, at=now), name="yes-" + first, until=written(now))
    assert (answer["rows"][0]["proof"], api.reason(second, "ads") == "consent_in_force") == ("unknown", False)


@pytest.mark.parametrize("to", ["kid", "mum"])
@pytest.mark.parametrize("acts", [["both"], ["self", "holder_of_parental_responsibility"]])
def test_a_joint_consent_ends_when_its_parent_is_stated_to_be_the_child(api, acts, to):
    """A joint consent ends when its parent is linked to the child as one person; another child's consent stands."""
    kid, other, mum = people("kid", "other", "mum")
    both = {"parent": subject(mum), "parent_checked_how": "declaration"}
    for name in (kid, other):
        api.state_age(name, "under_15", checked_how="identity_document")
        for given_by in acts:
            api.decide(name, "ads", capacity={"given_by": given_by, **(both if given_by != "self" else {})})
        assert api.reason(name, "ads") == "consent_in_force"
    api.link_names(*((mum, kid) if to == "kid" else (kid, mum)))
    reasons = [api.reason(name, "ads") for name in (kid if to == "kid" else mum, other)]
    assert (reasons[0] == "consent_in_force", reasons[1]) == (False, "consent_in_force")


def test_a_parent_s_button_does_not_count_once_the_parent_is_stated_to_be_the_child(api):
    """A parent's button does not count if the parent is linked to the child as one person before it is pressed."""
    kid, mum = people("kid", "mum")
    child, parent = two(api, kid, "ads", parent=subject(mum), parent_checked_how="declaration")
    child.press("accept", "ads")
    pressed = parent.open().filled("accept", "ads")
    api.link_names(mum, kid)
    assert parent.send(pressed).status >= 400
    assert api.reason(kid, "ads") != "consent_in_force"
