from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

from hypothesis import assume, given
from hypothesis import strategies as st

from app.core.article import TERRITORIES, Channel
from app.core.consent import (
    AgeBand,
    AgeWeight,
    Collection,
    ConsentEvent,
    DefaultState,
    EventKind,
    GivenBy,
    PositiveAct,
)
from app.core.decision import Reason
from app.core.processing import PartyMode
from tests.core.builders import ADS, ALICE, BOB
from tests.core.properties.evidence import COLLECTIONS, NO_AGE, STATEMENTS
from tests.core.properties.oracle import TWO_ACTS, Facts, changed
from tests.core.properties.registers import ELEMENTS, INSTANTS, PERIODS, TICK
from tests.core.properties.strategies import (
    ANY_INSTANT,
    KNOWN_CHILD,
    POLICIES,
    RECORDS,
    SUBJECTS,
    WORLDS,
    events,
    permitting_worlds,
    two_acts,
)
from tests.core.properties.years import lapse

UNLAWFUL = st.sampled_from(
    [
        Collection(positive_act=PositiveAct.NONE),
        Collection(default_state=DefaultState.SELECTED),
        Collection(separate_from_terms=False),
        Collection(conditional=True),
        Collection(text_known=False),
        Collection(given_by=GivenBy.ADMINISTRATOR),
        Collection(age_band=AgeBand.UNDER_15, given_by=GivenBy.SELF),
        Collection(age_band=AgeBand.UNDER_15, given_by=GivenBy.PARENT),
    ]
)


def a_grant(at, order, version, **facts):
    """A lawful grant to that version."""
    return ConsentEvent(UUID(int=order), EventKind.GRANTED, ADS, at, order, version, **facts)


@given(WORLDS, SUBJECTS, st.data())
def test_an_age_is_the_person_s_whichever_processing_it_was_stated_on(world, subject, data):
    """A statement of age has one effect on the answer, whether made on this processing, on another or on none."""
    stated = data.draw(events(world.at, 50, kinds=(EventKind.AGE_STATED,), collections=STATEMENTS))
    same = [replace(stated, processing=about) for about in (ADS, "other", None)]
    same += [replace(stated, processing="other", kind=kind) for kind in (EventKind.GRANTED, EventKind.REFUSED)]
    answers = [world.with_event(subject, each).decide() for each in same]
    assert answers == answers[:1] * len(same)


@given(WORLDS, SUBJECTS, st.data())
def test_declining_to_renew_decides_nothing(world, subject, data):
    """A `renewal_declined` at any time leaves every answer as it is."""
    declined = data.draw(events(world.at, 50, kinds=(EventKind.RENEWAL_DECLINED,), collections=NO_AGE))
    assert world.with_event(subject, declined).decide() == world.decide()


@given(permitting_worlds(), st.data())
def test_a_joint_consent_never_outlasts_either_of_its_acts(world, data):
    """A joint consent of two acts ends no later than the year of each act, in any territory."""
    acts = data.draw(two_acts(world.at, tuple(KNOWN_CHILD), ({},)))
    grants = [each for each in acts if each.kind == "granted"]
    assume({each.collection.given_by for each in grants} == TWO_ACTS)
    decision = replace(world, ledger={**world.ledger, ALICE: acts}).decide()
    for act in grants:
        year = lapse(act.collected_at, 12, 0, world.policy.counting, act.territory)
        assert not decision.permitted or decision.valid_until <= min(year, act.expires_at or year)


@given(permitting_worlds(), st.data())
def test_child_and_parent_may_act_in_either_order(world, data):
    """Swapping which of two acts is the child's and which the parent's changes no answer, with any event between."""
    between: tuple[dict[str, Any], ...] = (
        {},
        {},
        {"kind": EventKind.REFUSED},
        {"kind": EventKind.EXPIRED},
        {"processing": "other"},
    )
    acts = data.draw(two_acts(world.at, ((AgeBand.UNDER_15, None, None, None),), between))
    swap = {GivenBy.SELF: GivenBy.PARENT, GivenBy.PARENT: GivenBy.SELF}
    other = [
        replace(each, collection=replace(how, given_by=swap.get(how.given_by, how.given_by)))
        for each, how in ((each, each.collection) for each in acts)
    ]
    one, two = (replace(world, ledger={**world.ledger, ALICE: events}).decide() for events in (acts, other))
    assert one == two


@given(permitting_worlds(), UNLAWFUL, st.data())
def test_nothing_said_later_makes_an_unlawful_grant_lawful(world, how, data):
    """An unlawfully collected grant permits nothing after any later event that is not a grant."""
    *earlier, grant = world.ledger[ALICE]
    world = replace(world, ledger={**world.ledger, ALICE: [*earlier, replace(grant, collection=how)]})
    assume(world.decide().reason is Reason.CONSENT_INVALID)
    kinds = tuple(kind for kind in EventKind if kind is not EventKind.GRANTED)
    later = data.draw(events(world.at, 100, kinds=kinds))
    # A closure of the account in 2017 lets its next holder, who never decided, be under the transition.
    reason = world.with_event(ALICE, replace(later, collected_at=world.at)).decide().reason
    assert reason not in {Reason.CONSENT_IN_FORCE, Reason.EXEMPT}
    assert reason is not Reason.TRANSITION_2017 or later.kind is EventKind.CLOSED


@given(permitting_worlds(), st.sampled_from([1, 2, 3]), ELEMENTS, st.data())
def test_whether_a_version_is_material_does_not_depend_on_who_asks(world, number, named, data):
    """At one instant, the consents to a version are superseded for every user and request, or for none."""
    in_force: Any = Facts(world.processing, {}, world.at, world.policy).in_force
    declared = in_force.elements
    adult = Collection(age_band=AgeBand.ADULT)
    mine = a_grant(world.at - timedelta(days=1), 1, number, collection=adult)
    theirs = a_grant(world.at, 2, number, collection=adult, elements=named, territory=data.draw(RECORDS)[1])
    world = replace(world, ledger={ALICE: [mine], BOB: [theirs]}, shared=frozenset())
    online = {"channel": Channel.ONLINE}  # rule 9 denies some text messages before it comes to versions
    other = world.asked(subject=BOB, elements=named & declared, participants=(), **online)
    reasons = [world.asked(elements=None, **online).decide().reason, other.decide().reason]
    assert len({reason is Reason.CONSENT_SUPERSEDED for reason in reasons}) == 1


@given(WORLDS)
def test_a_version_cannot_call_immaterial_what_it_changes(world):
    """If a version's change is material by itself, the version's own word on that changes no answer."""
    first, *later = world.processing.versions
    later_versions = [
        replace(after, material=not after.material) if changed(before, after) else after
        for before, after in pairwise(world.processing.versions)
    ]
    assert len(later_versions) == len(later)
    entry = replace(world.processing, versions=(first, *later_versions))
    assert replace(world, processing=entry).decide() == world.decide()


@given(permitting_worlds(), COLLECTIONS, st.booleans(), st.data())
def test_a_renewal_of_the_present_version_never_displaces_a_consent_to_the_next(world, how, user_only, data):
    """A renewal of the present version changes no answer of the next one for a user who has consented to that."""
    ledger = {
        subject: [each for each in events if each.collected_at <= world.at] for subject, events in world.ledger.items()
    }
    present: Any = Facts(world.processing, ledger, world.at, world.policy).in_force
    due = world.at + data.draw(st.sampled_from([TICK, timedelta(days=1), timedelta(days=300)]))
    next_one = replace(present, number=present.number + 1, effective_from=due, material=True)
    next_one = replace(next_one, party_mode=PartyMode.USER_ONLY) if user_only else next_one
    versions = [each for each in world.processing.versions if each.number <= present.number]
    entry = replace(world.processing, versions=(*versions, next_one), status_changes=())
    ahead = replace(world, processing=entry, ledger=ledger).with_event(
        ALICE, a_grant(world.at, 100, next_one.number, collection=how)
    )
    renewed = ahead.with_event(ALICE, a_grant(world.at, 101, present.number))
    for moment in (due, due + timedelta(days=20)):
        assert renewed.decide(moment) == ahead.decide(moment)


@given(WORLDS)
def test_a_territory_never_lengthens_what_is_permitted(world):
    """A permit on consents of any territory would last at least as long if all had been collected in France."""
    french = {subject: [replace(each, territory="FR") for each in events] for subject, events in world.ledger.items()}
    assert world.no_wider_than(replace(world, ledger=french))


@given(INSTANTS | ANY_INSTANT, PERIODS, POLICIES, st.sampled_from([*sorted(TERRITORIES), "NC", "US", ""]))
def test_a_territory_never_lengthens_a_year(collected, period, policy, territory):
    """A consent of any territory lapses after its collection, and no later than one collected in Paris."""
    assert collected < policy.expiry(collected, period, territory) <= policy.expiry(collected, period)


@given(permitting_worlds() | WORLDS, SUBJECTS, st.sampled_from(AgeWeight), st.data())
def test_an_older_age_never_widens_a_grant_that_was_given(world, subject, weight, data):
    """An adult's age stated after every grant widens nothing, for any weight of the statement."""
    grants = [each.collected_at for each in world.ledger.get(subject, ()) if each.kind is EventKind.GRANTED]
    stated = data.draw(events(world.at, 100, kinds=(EventKind.AGE_STATED,), collections=STATEMENTS))
    adult = replace(
        stated,
        collected_at=max([stated.collected_at, *grants]),
        collection=Collection(age_band=AgeBand.ADULT, age_weight=weight),
    )
    assert world.with_event(subject, adult).no_wider_than(world)


@given(WORLDS, st.sampled_from(sorted(TWO_ACTS)), st.data())
def test_a_half_never_displaces_a_whole(world, given_by, data):
    """A grant by a child or a parent alone, after a joint consent in force, changes no answer about that consent."""
    grant = a_grant(
        world.at - timedelta(days=3), 90, 1, collection=Collection(age_band=AgeBand.UNDER_15, given_by=GivenBy.BOTH)
    )
    elements, (_, territory) = data.draw(st.none() | ELEMENTS), data.draw(RECORDS)
    how = data.draw(st.sampled_from([Collection(), Collection(conditional=True), Collection(text_known=False)]))
    half = a_grant(
        world.at - data.draw(st.sampled_from([timedelta(0), TICK, timedelta(days=1)])),
        91,
        data.draw(st.sampled_from([1, 2, 3])),
        collection=replace(how, given_by=GivenBy(given_by)),
        elements=elements,
        territory=territory,
    )
    before = replace(world, ledger={**world.ledger, ALICE: [grant]})
    assert before.with_event(ALICE, half).decide() == before.decide()
