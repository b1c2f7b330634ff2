from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.consent import AgeBand, EventKind, GivenBy, State
from app.core.evaluate import DEFAULT_POLICY
from app.core.fold import fold, project
from tests.core.builders import ADS, ALICE, event, granted, processing, utc, version
from tests.core.properties.strategies import permitting_worlds, worlds

ONE = {ADS: processing()}
GRANT = granted("2026-03-10", expires_at=utc("2027-03-09T23:00:00"))


def ends(events, register=None):
    """What ended each consent, in the order of the rows."""
    return [each.ended_by for each in project(events, register or ONE)]


def test_a_row_says_what_its_event_began():
    """Each grant and each refusal has one row, by time of collection, with what was stored of it."""
    refusal = event(EventKind.REFUSED, "2026-02-10", 2)
    first, second = project([GRANT, refusal], ONE)
    assert (first.id, first.decision, first.expires_at) == (refusal.id, "refused", None)
    assert (second.id, second.decision, second.expires_at) == (GRANT.id, "granted", GRANT.expires_at)
    assert (second.processing, second.version, second.collected_at) == (ADS, 1, GRANT.collected_at)
    assert (first.ended_by, first.ended_at) == ("granted", GRANT.collected_at)
    assert (second.ended_by, second.ended_at) == (None, None)


def test_a_grant_that_names_no_processing_has_no_row():
    """A grant that names no processing has no row."""
    assert project([granted("2026-03-10", processing=None, version=None)], ONE) == ()


def test_a_grant_that_names_no_version_is_kept_as_version_none():
    """The row of a grant without a version has the version number 0, which no version has."""
    assert project([granted("2026-03-10", version=None)], ONE)[0].version == 0


def test_a_year_is_counted_from_no_act_that_came_later():
    """A first act is not counted from a later one, even one within a day and in a territory with another calendar."""
    first = granted("2026-03-10T12:00", 1, given_by=GivenBy.PARENT)
    later = granted("2026-03-10T18:00", 2, given_by=GivenBy.SELF, territory="RE")
    assert project([first, later], ONE)[0].counted_from is None


def test_a_grant_ahead_of_its_version_ends_nothing_yet():
    """A grant collected before its version began leaves the present one; one collected after replaces it."""
    register = {ADS: processing(version(1), version(2, "2026-05-01"))}
    assert ends([GRANT, granted("2026-04-01", 2, version=2)], register) == [None, None]
    assert ends([GRANT, granted("2026-05-01", 2, version=2)], register) == [EventKind.GRANTED, None]


TWO = {**ONE, "other": replace(processing(), id="other")}


def test_what_is_said_of_every_processing_ends_the_consents_to_each():
    """A withdrawal that names no processing ends the consents to all, and one that names one those to it."""
    consents = [granted("2026-03-10", 1), granted("2026-03-11", 2, processing="other")]
    everything, other = (event(EventKind.WITHDRAWN, "2026-03-12", 3, processing=each) for each in (None, "other"))
    assert ends([*consents, everything], TWO) == [EventKind.WITHDRAWN, EventKind.WITHDRAWN]
    assert ends([*consents, other], TWO) == [None, EventKind.WITHDRAWN]


@pytest.mark.parametrize(("age", "end"), [(AgeBand.UNDER_15, None), (AgeBand.ADULT, EventKind.GRANTED)])
def test_an_age_stated_with_another_consent_counts(age, end):
    """What a child says alone ends no joint consent, whichever processing their age was stated with."""
    joint, alone = granted("2026-03-10", 1, given_by=GivenBy.BOTH), granted("2026-04-20", 3)
    stated = granted("2026-03-11", 2, processing="other", given_by=GivenBy.BOTH, age_band=age)
    assert ends([joint, stated, alone], TWO) == [end, None, None]


STATE_OF = {"withdrawn": State.WITHDRAWN, "closed": State.CLOSED, "granted": State.REPLACED, "refused": State.REPLACED}


@given(worlds() | permitting_worlds(), st.sampled_from([timedelta(0), timedelta(days=1), timedelta(days=500)]))
def test_a_row_agrees_with_the_state_of_its_consent(world, after):
    """Once all that it was made of is known, a consent is ended by what its row says, for good, or was replaced before.

    Not before: an age that is stated later makes a half of a grant that had replaced another. And a grant whose version
    begins later, or another's, may then be what replaced a consent that a row says was withdrawn.
    """
    events = [each for each in world.ledger.get(ALICE, ()) if each.concerns(ADS)]
    rows = project(events, {ADS: world.processing})
    by_id = {each.id: each for each in events}
    assert [by_id[row.id].rank for row in rows] == sorted(by_id[row.id].rank for row in rows)
    at = max((each.collected_at for each in events), default=world.at) + after
    for row in rows:
        consent = by_id[row.id]
        state = fold(events, world.processing, at, world.policy).state_of(consent)
        later = any(each.kind is EventKind.GRANTED and each.rank > consent.rank for each in events)
        if row.ended_by is not None:
            assert state in {STATE_OF[row.ended_by]} | ({State.REPLACED} if later else set())
        else:
            assert state not in {State.CLOSED, State.WITHDRAWN}
            assert later or state is not State.REPLACED


def test_a_grant_that_comes_to_count_replaces_one_that_a_row_says_was_withdrawn():
    """Of two grants ahead of their version, both rows say withdrawn, and the state of the first is replaced."""
    register = processing(version(1, "2026-05-01"))
    events = [granted("2026-04-01"), granted("2026-04-02", 2), event(EventKind.WITHDRAWN, "2026-05-02", 3)]
    assert ends(events, {ADS: register}) == [EventKind.WITHDRAWN, EventKind.WITHDRAWN]
    states = [fold(events, register, utc("2026-05-02"), DEFAULT_POLICY).state_of(each) for each in events[:2]]
    assert states == [State.REPLACED, State.WITHDRAWN]


MARCH_1 = utc("2026-03-01T12:00:00")
CHILD, PARENT = GivenBy.SELF, GivenBy.PARENT


def counted_from(*events):
    """From when the year of the last consent may be counted."""
    return project(events, ONE)[-1].counted_from


def act(day, order, given_by=CHILD, **facts):
    """A grant given by one side, at noon of a day of March."""
    return granted(f"2026-03-0{day}T12:00:00", order, given_by=given_by, **facts)


@pytest.mark.parametrize(("first", "second"), [(GivenBy.BOTH, PARENT), (CHILD, GivenBy.BOTH), (PARENT, PARENT)])
def test_acts_of_other_sides_are_none_of_it(first, second):
    """Only an act of the child alone and one of a parent alone make a joint consent."""
    assert counted_from(act(1, 1, first), act(5, 2, second)) is None


def test_the_first_act_is_the_decision_right_before():
    """Neither a note nor a decision on another processing stands between two acts; an earlier act is passed by."""
    between = [
        event(EventKind.AGE_STATED, "2026-03-03", 3, processing=None, version=None),
        event(EventKind.WITHDRAWN, "2026-03-03", 4, processing="other"),
        event(EventKind.RENEWAL_DECLINED, "2026-03-04", 5),
    ]
    assert counted_from(act(1, 1, PARENT), act(2, 2, CHILD), *between, act(5, 6, PARENT)) == utc("2026-03-02T12:00:00")


def test_what_was_a_half_when_the_account_was_closed_ended_nothing():
    """Row and state agree on halves of a closed account, even if the age that makes them halves was recorded late."""
    first, second = granted("2026-03-10", 1), granted("2026-03-10", 2)
    closed = event(EventKind.CLOSED, "2026-03-11", 3, version=None)
    late = [
        granted("2026-02-10", 4, age_band=AgeBand.UNDER_15),
        granted("2026-03-09", 5, given_by=PARENT, age_band=AgeBand.UNDER_15),
    ]
    elsewhere = event(EventKind.REFUSED, "2026-03-09", 6, processing="other")
    events = [*late, first, second, elsewhere, closed]
    rows = {row.id: row.ended_by for row in project(events, TWO)}
    ended = [rows[each.id] for each in events[:4]]
    assert ended == [EventKind.GRANTED, EventKind.GRANTED, EventKind.CLOSED, EventKind.CLOSED]
    states = [fold(events, ONE[ADS], closed.collected_at, DEFAULT_POLICY).state_of(each) for each in events[:4]]
    assert states == [State.REPLACED, State.REPLACED, State.CLOSED, State.CLOSED]


def test_a_consent_collected_far_away_may_be_counted_from_the_day_before():
    """A grant collected in a far territory may count from a day earlier than in Paris; a refusal has no such date."""
    assert counted_from(act(5, 1, territory="GP")) == utc("2026-03-04T12:00:00")
    assert counted_from(act(1, 1, PARENT), act(5, 2, CHILD, territory="GP")) == MARCH_1
    assert counted_from(event(EventKind.REFUSED, "2026-03-05", 1, territory="GP")) is None
    assert counted_from(act(1, 1, PARENT), event(EventKind.REFUSED, "2026-03-05", 2)) is None
