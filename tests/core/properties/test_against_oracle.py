from hypothesis import given, settings

from tests.core.builders import utc
from tests.core.properties.oracle import answer, full_answer
from tests.core.properties.strategies import INSTANTS, permitting_worlds, worlds


@settings(max_examples=6 * settings.get_profile("core").max_examples)
@given(worlds() | permitting_worlds())
def test_the_rules_agree_with_an_oracle_written_from_the_law_page(world):
    """Decision, reason, article and deadline are those that the table of rules gives, row by row."""
    got = world.decide()
    wanted = full_answer(world.request, world.processing, world.ledger, world.at, world.policy)
    assert (got.permitted, got.reason, got.article, got.valid_until) == (
        wanted.permitted,
        wanted.reason,
        wanted.article,
        wanted.valid_until,
    )


@given(worlds(instants=INSTANTS.filter(lambda at: at < utc("2018-01-01"))))
def test_the_rules_of_the_first_years_agree_with_the_oracle(world):
    """The same around 2016 and 2017, where the article, the decree and the transition begin and end."""
    got = world.decide()
    wanted = answer(world.request, world.processing, world.ledger, world.at, world.policy)
    assert (got.permitted, got.reason, got.article) == (wanted.permitted, wanted.reason, wanted.article)
