import pytest

from bench.sweep.race import Plan, prepare, register, run
from bench.sweep.worker import STEPS
from tests.support.databases import execute
from tests.support.forking import forked_within
from tests.support.pools import rebuilt


@pytest.fixture
def race(database):
    """Race on this test's database."""

    def once(plan, before=None):
        register(database.owner_url)
        prepare(database.owner_url, plan)
        if before is not None:
            execute(database, before)
        with forked_within("bench.sweep.race"):
            return run(database.owner_url, database.app_url, plan)

    return once


def test_each_consent_is_flagged_exactly_once(race, database):
    """Four workers, one killed inside a batch at each of its steps, users who renew and withdraw: one flag, one event.

    `./dev bench sweep` does the same on 100,000 consents with ten kills.
    """
    outcome = race(Plan(900, kills=len(STEPS), batch=30))
    assert outcome.verdict.faults == {}
    assert outcome.killed == list(STEPS)
    assert outcome.verdict.ended_after_flag > 0
    assert outcome.verdict.ended_without_flag > 0
    assert rebuilt(database, repair=False)[1] == 0


@pytest.mark.deep
def test_without_lock_and_key_it_is_flagged_twice(race):
    """Control: workers that hold nobody, on flags that have no key, flag some consents twice, and the race sees it."""
    plan = Plan(300, kills=0, batch=50, decide_one_in=300, mutant="without_lock")
    outcome = race(plan, "ALTER TABLE renewal_flag DROP CONSTRAINT pk_renewal_flag")
    assert outcome.verdict.twice > 0


@pytest.mark.deep
def test_without_a_second_look_a_wrong_flag_is_seen(race):
    """Control: workers that believe what they read before they held a subject flag some who had decided anew."""
    outcome = race(Plan(400, workers=2, kills=0, batch=100, decide_one_in=2, mutant="without_second_look"))
    assert outcome.verdict.wrong > 0
