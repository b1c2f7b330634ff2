from hypothesis import given, settings

from tests.core.builders import utc
from tests.core.properties.oracle import full_answer
from tests.core.properties.registers import INSTANTS
from tests.core.properties.strategies import consent_worlds, exempt_worlds, permitting_worlds, transition_worlds, worlds
from tests.support.properties import TRIED

FIRST_YEARS = INSTANTS.filter(lambda at: at < utc("2018-01-01"))


def agree(world):
    """Whether decision, reason, article and deadline are the oracle's."""
    decision = world.decide()
    wanted = full_answer(world.request, world.processing, world.ledger, world.at, world.policy, shared=world.shared)
    assert (decision.permitted, decision.reason, decision.article, decision.valid_until) == (
        wanted.permitted,
        wanted.reason,
        wanted.article,
        wanted.valid_until,
    )


@settings(max_examples=5 * TRIED)
@given(worlds() | permitting_worlds())
def test_the_rules_agree_with_an_oracle_written_from_the_law_page(world):
    """Decision, reason, article and deadline are those that the table of rules gives, row by row."""
    agree(world)


@settings(max_examples=5 * TRIED)
@given(consent_worlds())
def test_what_a_person_said_is_judged_as_the_oracle_judges_it(world):
    """The rules agree with the oracle where only the user's own consent matters: age, two acts, versions, the year."""
    agree(world)


@settings(max_examples=4 * TRIED)
@given(worlds(instants=FIRST_YEARS) | transition_worlds())
def test_the_rules_of_the_first_years_agree_with_the_oracle(world):
    """The rules agree with the oracle around 2016 and 2017, when the article and the transition begin or end."""
    agree(world)


@settings(max_examples=2 * TRIED)
@given(exempt_worlds())
def test_what_needs_no_consent_agrees_with_the_oracle(world):
    """The rules agree with the oracle for the five purposes of III, in any territory and on any channel."""
    agree(world)
