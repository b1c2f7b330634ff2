from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st

from app.core.article import REWRITTEN_ARTICLE, TERRITORIES, Element
from app.core.consent import NOTES, EventKind
from app.core.decision import Reason
from app.core.processing import Invalidation
from tests.core.builders import ADS, ALICE, asked, granted, processing, version
from tests.core.properties.evidence import NO_AGE
from tests.core.properties.oracle import EXEMPT, ON_CONSENT, Facts
from tests.core.properties.registers import DISTANCES, INSTANTS, IV, PERIODS, STRUCK, TICK
from tests.core.properties.strategies import (
    ANY_INSTANT,
    POLICIES,
    SUBJECTS,
    WORLDS,
    World,
    events,
    permitting_worlds,
    requests,
    transition_worlds,
)

ENDING = (EventKind.REFUSED, EventKind.WITHDRAWN)
LAST = 1_000
"""The place in the ledger of what is recorded after all else."""


def new_in_transition(kind: EventKind, after: World) -> bool:
    """Whether the transition of 2017 permits what a closure left to a next holder, who never decided."""
    return kind is EventKind.CLOSED and after.decide().reason is Reason.TRANSITION_2017


@given(WORLDS, SUBJECTS, st.data())
def test_a_refusal_or_withdrawal_never_widens(world, subject, data):
    """A refusal or withdrawal by any party, at any time and without an age, never widens an answer."""
    added = data.draw(events(world.at, 50, kinds=ENDING, collections=NO_AGE))
    assert world.with_event(subject, added).no_wider_than(world)


@given(WORLDS, SUBJECTS, st.data())
def test_what_ends_a_consent_last_never_widens(world, subject, data):
    """Outside the transition, a last refusal, withdrawal or closure without an age never widens an answer."""
    kind = data.draw(st.sampled_from([*ENDING, EventKind.CLOSED]))
    added = data.draw(events(world.at, LAST, kinds=(kind,), collections=NO_AGE))
    latest = max((each.collected_at for each in world.ledger.get(subject, ())), default=added.collected_at)
    after = world.with_event(subject, replace(added, collected_at=max(latest, added.collected_at)))
    assert new_in_transition(kind, after) or after.no_wider_than(world)


@given(WORLDS, SUBJECTS, st.data())
def test_a_closure_never_widens_what_was_decided_before_it(world, subject, data):
    """A closure at any time never widens an answer, if it forgets no age and the transition does not permit then."""
    assume(all(each.collection.age_band is None for each in world.ledger.get(subject, ())))
    added = data.draw(events(world.at, 50, kinds=(EventKind.CLOSED,), collections=NO_AGE))
    after = world.with_event(subject, added)
    assert new_in_transition(EventKind.CLOSED, after) or after.no_wider_than(world)


@given(WORLDS, SUBJECTS, st.data())
def test_nothing_that_the_system_notes_changes_an_answer(world, subject, data):
    """A note of the system or an erasure changes no answer, so a replay does not depend on notes."""
    notes = (*sorted(NOTES), EventKind.ERASED)
    added = data.draw(events(world.at, 50, kinds=notes, collections=NO_AGE))
    assert world.with_event(subject, added).decide() == world.decide()


@given(WORLDS | transition_worlds(), st.sampled_from(STRUCK), st.data())
def test_an_invalidation_never_widens(world, struck, data):
    """An invalidation of anything, at any time, never widens or lengthens a permit."""
    at = world.at + data.draw(DISTANCES) * data.draw(st.sampled_from([-1, 1]))
    added = tuple(sorted((*world.processing.invalidations, Invalidation(at, **struck)), key=lambda each: each.at))
    assert replace(world, processing=replace(world.processing, invalidations=added)).no_wider_than(world)


@given(permitting_worlds(), st.booleans())
def test_nothing_permits_that_rests_on_what_was_invalidated(world, by_text):
    """Once the version, or the text, of each of a user's acts is invalidated, no consent of theirs permits.

    The transition of 2017 may still permit, because it rests on no consent.
    """
    grants = [each for each in world.ledger[ALICE] if each.kind is EventKind.GRANTED]
    assume(not by_text or all(each.collection.text for each in grants))
    struck = [{"text": each.collection.text} if by_text else {"version": each.version} for each in grants]
    entry = replace(world.processing, invalidations=tuple(Invalidation(world.at, **each) for each in struck))
    decided = replace(world, processing=entry).decide()
    assert not decided.permitted or decided.reason is Reason.TRANSITION_2017


@given(WORLDS)
def test_that_people_share_a_mailbox_never_widens(world):
    """A shared mailbox never widens or lengthens a permit."""
    assert world.no_wider_than(replace(world, shared=frozenset()))


@given(WORLDS | transition_worlds())
def test_nothing_of_iv_is_permitted_about_a_shared_mailbox(world):
    """A permit about a mailbox that several people share rests on no consent, with any ledger."""
    decision = replace(world, shared=frozenset({ALICE})).decide()
    assert not decision.permitted or decision.reason in {Reason.EXEMPT, Reason.NOT_GOVERNED}


@given(permitting_worlds(), st.sampled_from(ENDING))
def test_a_withdrawal_now_ends_every_permit_under_iv(world, kind):
    """Once the user has withdrawn or refused, no request under IV is permitted."""
    grant = world.ledger[ALICE][-1]
    ending = replace(grant, kind=kind, collected_at=world.at, order=100, version=None, processing=None)
    assert not world.with_event(ALICE, ending).decide().permitted


@given(WORLDS, requests(usual=1))
def test_a_permit_rests_on_the_register_and_the_ledger_whatever_the_caller_sends(world, request):
    """No field of a request makes a permit out of facts that hold none."""
    world = replace(world, request=request)
    decision = world.decide()
    facts = Facts(world.processing, world.ledger, world.at, world.policy)
    if not decision.permitted:
        assert decision.valid_until is None
        return
    assert facts.in_force is not None
    assert facts.in_force.automated
    assert facts.status() == "active"
    touched = request.elements or facts.in_force.elements
    assert touched <= facts.in_force.elements
    if decision.reason in {Reason.EXEMPT, Reason.NOT_GOVERNED}:
        assert world.processing.purpose in EXEMPT
        return
    assert world.processing.purpose in ON_CONSENT
    assert world.at < decision.valid_until
    if decision.reason is Reason.TRANSITION_2017:
        assert not facts.ever_decided(ALICE)
        return
    assert decision.reason is Reason.CONSENT_IN_FORCE
    assert facts.wrong_with(ALICE, touched) is None
    assert decision.valid_until <= facts.expiry(facts.consent(ALICE))


@given(WORLDS)
def test_what_a_caller_leaves_at_its_default_is_the_widest(world):
    """No value in a request permits more than its default, except for III's purposes outside the article's scope."""
    widest = world.asked(automated=True, private=True, territory="FR")
    assert world.decide().reason is Reason.NOT_GOVERNED or world.no_wider_than(widest)
    assert not world.asked(automated=False).decide().permitted
    for ungoverned in ({"private": False}, {"territory": "NC"}, {"territory": ""}):
        decision = world.asked(**ungoverned).decide()
        assert not decision.permitted or world.processing.purpose in EXEMPT
        assert decision.article is None


@given(WORLDS)
def test_what_the_article_exempts_goes_on_where_it_does_not_govern(world):
    """An analysis that III permits in France is also permitted, for as long, on a public message and outside France."""
    decision = world.asked(private=True, territory="FR").decide()
    for ungoverned in ({"private": False}, {"territory": "NC"}):
        then = world.asked(**ungoverned).decide()
        if decision.reason is Reason.EXEMPT:
            assert (then.permitted, then.valid_until) == (True, decision.valid_until)


@given(WORLDS, st.sampled_from(sorted(TERRITORIES)), st.text(max_size=3))
def test_only_the_territories_of_the_article_are_governed_by_it(world, covered, word):
    """Each territory of the article answers as France does; any other word answers as a public message does."""
    if covered != "WF":
        assert world.asked(territory=covered).decide() == world.asked(territory="FR").decide()
    assert word in TERRITORIES or world.asked(territory=word).decide() == world.asked(private=False).decide()


@given(permitting_worlds(), st.frozensets(st.sampled_from(Element), min_size=1))
def test_asking_for_less_is_permitted_where_more_is(world, fewer):
    """A permit for some elements, or for all that is declared, is a permit for each part of them."""
    decision = world.decide()
    touched = world.request.elements or world.processing.version_at(world.at) or frozenset()
    touched = getattr(touched, "elements", touched)
    assume(decision.permitted and fewer & touched)
    assert world.asked(elements=frozenset(fewer & touched)).decide().permitted


@given(WORLDS, st.randoms(use_true_random=False))
def test_an_answer_does_not_depend_on_the_order_in_which_events_are_given(world, chance):
    """The order in which events are given changes no answer: they count by time of collection, then by ledger order."""
    shuffled = {subject: chance.sample(events, len(events)) for subject, events in world.ledger.items()}
    assert replace(world, ledger=shuffled).decide() == world.decide()


@given(WORLDS, st.randoms(use_true_random=False))
def test_an_answer_does_not_depend_on_the_ledger_order_of_distinct_times(world, chance):
    """If no two events share an instant and none states an age, their ledger order changes no answer.

    Ages are left out: one recorded after a grant never makes a person older at it, for any date (`Ages.at_grant`).
    """
    events = [each for of_one in world.ledger.values() for each in of_one]
    times = [each.collected_at for each in events]
    assume(len(set(times)) == len(times) and all(each.collection.age_band is None for each in events))
    orders = chance.sample(range(100), len(times))
    renumbered = {
        subject: [replace(each, order=orders.pop()) for each in history] for subject, history in world.ledger.items()
    }
    assert replace(world, ledger=renumbered).decide() == world.decide()


@given(WORLDS, st.data())
def test_an_answer_does_not_depend_on_anybody_else(world, data):
    """Events of an uninvolved subject, and ageless events about another processing, change no answer."""
    added = data.draw(events(world.at, 50))
    assert world.with_event(b"stranger", added).decide() == world.decide()
    elsewhere = replace(added, processing="elsewhere", collection=replace(added.collection, age_band=None))
    assert world.with_event(ALICE, elsewhere).decide() == world.decide()


@given(WORLDS, st.data())
def test_an_answer_does_not_depend_on_the_future(world, data):
    """An event collected a microsecond or more after an instant changes no answer at that instant."""
    added = data.draw(events(world.at, 50))
    future = replace(added, collected_at=max(added.collected_at, world.at + TICK))
    assert world.with_event(ALICE, future).decide() == world.decide()


@given(INSTANTS | ANY_INSTANT, PERIODS, POLICIES)
def test_a_consent_is_good_until_its_expiry_and_not_at_it(collected, period, policy):
    """A lone consent permits up to a microsecond before its expiry, and is expired at that instant and after it."""
    assume(collected >= REWRITTEN_ARTICLE.in_force_from)
    entry = processing(version(consent_validity=period))
    alone = World(asked(), entry, {ALICE: [granted(collected.isoformat())]}, collected, policy)
    expiry = alone.decide().expires_at
    assert expiry is not None
    assert alone.decide().permitted
    assert alone.decide(expiry - TICK).reason is Reason.CONSENT_IN_FORCE
    assert alone.decide(expiry - TICK).valid_until == expiry
    for late in (expiry, expiry + TICK):
        assert (alone.decide(late).permitted, alone.decide(late).reason) == (False, Reason.CONSENT_EXPIRED)


@given(permitting_worlds() | transition_worlds())
def test_a_permit_holds_up_to_its_deadline(world):
    """On the facts known now, a permit's request is permitted at every instant before its `valid_until`."""
    decision = world.decide()
    assume(decision.permitted)
    ledger = {
        subject: [each for each in events if each.collected_at <= world.at] for subject, events in world.ledger.items()
    }
    then = replace(world, ledger=ledger)
    entry = world.processing
    moments = {change.at for change in entry.status_changes} | {each.effective_from for each in entry.versions}
    moments = {each for each in moments if each is not None} | {decision.valid_until}
    for moment in sorted(each + shift for each in moments for shift in (-TICK, 0 * TICK, TICK)):
        if world.at <= moment < decision.valid_until:
            assert then.decide(moment).permitted


@given(permitting_worlds())
def test_a_deadline_is_no_later_than_the_law_page_says(world):
    """A permit ends no later than its consent and than the next scheduled material version or suspension."""
    decision = world.decide()
    assume(decision.permitted and world.processing.purpose in IV and decision.reason is Reason.CONSENT_IN_FORCE)
    facts = Facts(world.processing, world.ledger, world.at, world.policy)
    ends = [each.effective_from for each in facts.material() if each.effective_from is not None]
    ends += [change.at for change in world.processing.status_changes if change.status != "active"]
    assert world.at < decision.valid_until <= min([decision.expires_at, *(each for each in ends if each > world.at)])
    assert decision.expires_at == facts.expiry(facts.consent(ALICE))
    assert decision.consent in {each.id for each in facts.consent(ALICE)}


@given(WORLDS)
def test_the_answer_is_a_function_of_its_facts(world):
    """A request that is repeated, or that states its defaults, gets the first answer again."""
    assert world.decide() == world.decide()
    all_named = world.asked(elements=world.request.elements or frozenset())
    assert all_named.decide() == world.decide()
    assert world.processing.id == ADS
