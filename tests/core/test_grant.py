from datetime import timedelta

import pytest

from app.core.article import Element
from app.core.consent import AgeBand, Ages, DefaultState, EventKind, GivenBy, PositiveAct
from app.core.evaluate import evaluate
from app.core.fold import Grant, PersonAccount, awaits_other_side, covered, defects
from tests.core.builders import ALICE, asked, event, granted, processing, utc, version

AT = utc("2026-06-15T12:00:00")
ONE = processing()
CHILD = {"age_band": AgeBand.UNDER_15, "given_by": GivenBy.SELF}
PARENT = {"age_band": AgeBand.UNDER_15, "given_by": GivenBy.PARENT}


def stated(band, at, order=9):
    """An age stated of the person, on no processing."""
    return event(EventKind.AGE_STATED, at, order, processing=None, version=None, age_band=band)


def reason(*events, at=AT, entry=ONE):
    """The reason of a decision about alice."""
    return evaluate(asked(), entry, {ALICE: list(events)}, at).reason


@pytest.mark.parametrize(
    ("how", "age", "expected"),
    [
        ({}, AgeBand.ADULT, ()),
        ({"default_state": DefaultState.SELECTED}, AgeBand.ADULT, ("pre_selected",)),
        ({"positive_act": PositiveAct.NONE}, AgeBand.ADULT, ("no_positive_act",)),
        ({"separate_from_terms": False}, AgeBand.ADULT, ("bundled_with_terms",)),
        ({"conditional": True}, AgeBand.ADULT, ("condition_of_service",)),
        ({"text_known": False}, AgeBand.ADULT, ("text_unknown",)),
        ({"given_by": GivenBy.ADMINISTRATOR}, AgeBand.ADULT, ("given_by_another",)),
        ({"given_by": GivenBy.PARENT}, AgeBand.ADULT, ("given_by_another",)),
        ({"given_by": GivenBy.PARENT}, AgeBand.MINOR_15_PLUS, ("given_by_another",)),
        ({"given_by": GivenBy.BOTH}, AgeBand.ADULT, ()),
        ({"given_by": GivenBy.SELF}, AgeBand.MINOR_15_PLUS, ()),
        ({"given_by": GivenBy.SELF}, AgeBand.UNDER_15, ("joint_consent_missing",)),
        ({"given_by": GivenBy.PARENT}, AgeBand.UNDER_15, ("joint_consent_missing",)),
        ({"given_by": GivenBy.ADMINISTRATOR}, AgeBand.UNDER_15, ("joint_consent_missing",)),
        ({"given_by": GivenBy.BOTH}, AgeBand.UNDER_15, ()),
        ({"conditional": True, "text_known": False}, AgeBand.ADULT, ("condition_of_service", "text_unknown")),
    ],
)
def test_each_way_to_collect_a_grant_unlawfully_is_named(how, age, expected):
    """Each defect of a grant is named, alone or with others; a lawful grant has none."""
    assert defects(Grant(granted("2026-03-10", **how), age), ONE, AT) == expected


@pytest.mark.parametrize("act", [each for each in PositiveAct if each is not PositiveAct.NONE])
def test_any_positive_act_will_do(act):
    """A click, a tick, a signature or a word is an act."""
    assert defects(Grant(granted("2026-03-10", positive_act=act), AgeBand.ADULT), ONE, AT) == ()


def test_a_grant_covers_what_it_names_among_what_its_version_declares():
    """A grant that names no elements covers all declared ones; an undeclared element or version adds none."""
    both = frozenset({Element.CONTENT, Element.SUBJECT_LINE})
    entry = processing(version(1, elements=both))
    assert covered(Grant(granted("2026-03-10"), None), entry) == both
    assert covered(Grant(granted("2026-03-10", elements=frozenset({Element.CONTENT})), None), entry) == {
        Element.CONTENT
    }
    assert covered(Grant(granted("2026-03-10", elements=frozenset({Element.ATTACHMENTS})), None), entry) == frozenset()
    assert covered(Grant(granted("2026-03-10", elements=frozenset()), None), entry) == frozenset()
    assert covered(Grant(granted("2026-03-10", version=9, elements=both), None), entry) == frozenset()
    assert covered(Grant(granted("2026-03-10", version=None), None), entry) == frozenset()


def test_a_version_that_wants_an_age_takes_no_grant_without_one():
    """A grant without an age is invalid if its version or the one in force requires one; a later age cures nothing."""
    wants = processing(version(age_statement_required=True))
    later = processing(version(1), version(2, "2026-05-01", material=False, age_statement_required=True))
    before = processing(version(1, age_statement_required=True), version(2, "2026-05-01", material=False))
    grant = granted("2026-03-10", 2)
    for entry in (wants, later, before):
        assert reason(grant, entry=entry) == "consent_invalid"
        assert reason(grant, stated(AgeBand.ADULT, "2026-03-10", 1), entry=entry) == "consent_in_force"
        assert reason(grant, stated(AgeBand.ADULT, "2026-03-10T00:00:00.000001", 3), entry=entry) == "consent_invalid"
    assert reason(grant, entry=later, at=utc("2026-04-30")) == "consent_in_force"
    assert defects(Grant(grant, None, age_stated=False), wants, AT) == ("age_unknown",)


def test_a_version_on_which_a_service_depends_takes_no_lawful_grant():
    """A grant to a version that a service depends on is invalid; a later version of that kind supersedes the grant."""
    conditional = processing(version(conditional=True))
    assert reason(granted("2026-03-10"), entry=conditional) == "consent_invalid"
    assert defects(Grant(granted("2026-03-10"), AgeBand.ADULT), conditional, AT) == ("condition_of_service",)
    later = processing(version(1), version(2, "2026-05-01", material=False, conditional=True))
    assert reason(granted("2026-03-10"), entry=later) == "consent_superseded"
    assert reason(granted("2026-06-01", version=2), entry=later) == "consent_invalid"
    assert reason(granted("2026-03-10"), entry=processing(version(conditional=False))) == "consent_in_force"


@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [
        ({}, {"collected_at": timedelta(days=30)}, "consent_in_force"),
        ({}, {"collected_at": timedelta(days=30, microseconds=1)}, "consent_invalid"),
        ({"version": 1}, {"version": 2}, "consent_invalid"),
        ({"conditional": True}, {}, "consent_invalid"),
        ({}, {"conditional": True}, "consent_invalid"),
        ({"elements": frozenset({Element.SUBJECT_LINE})}, {}, "consent_scope"),
        ({"elements": frozenset({Element.CONTENT})}, {"elements": frozenset({Element.CONTENT})}, "consent_in_force"),
    ],
)
def test_what_two_acts_must_have_in_common(first, second, wanted):
    """Two acts join within 30 days if both are lawful and of one version, and cover what both of them cover."""
    entry = processing(version(1), version(2, "2026-03-01", material=False))
    begun = utc("2026-03-01T09:00:00")
    later = {**second}
    then = begun + later.pop("collected_at", timedelta(days=1))
    child = granted(begun.isoformat(), 1, **CHILD, **first)
    parent = granted(then.isoformat(), 2, **PARENT, **later)
    assert reason(child, parent, entry=entry) == wanted


def test_a_parent_completes_nothing_for_a_person_of_fifteen():
    """A parent's act is not joined to the act of a person of 15 or more, and does not consent for them."""
    own, parent = granted("2026-03-01", 1), granted("2026-03-03", 3, given_by=GivenBy.PARENT)
    assert PersonAccount([own, parent], Ages([])).grant_of(parent).first_act is None
    assert reason(own, parent) == "consent_invalid"


@pytest.mark.parametrize(
    ("age", "given_by", "first_act", "after", "awaits"),
    [
        (AgeBand.UNDER_15, GivenBy.SELF, None, timedelta(days=30), True),
        (AgeBand.UNDER_15, GivenBy.PARENT, None, timedelta(0), True),
        (AgeBand.UNDER_15, GivenBy.SELF, None, timedelta(days=30, microseconds=1), False),
        (AgeBand.UNDER_15, GivenBy.BOTH, None, timedelta(0), False),
        (AgeBand.UNDER_15, GivenBy.SELF, granted("2026-03-01"), timedelta(0), False),
        (AgeBand.MINOR_15_PLUS, GivenBy.SELF, None, timedelta(0), False),
        (None, GivenBy.PARENT, None, timedelta(0), False),
    ],
)
def test_one_side_awaits_the_other_for_thirty_days(age, given_by, first_act, after, awaits):
    """A grant awaits the other side if the person is under 15, one side gave it, and 30 days have not passed."""
    act = granted("2026-03-10", 2, given_by=given_by)
    assert awaits_other_side(Grant(act, age, first_act), act.collected_at + after) is awaits
