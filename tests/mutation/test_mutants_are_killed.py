import ast
from dataclasses import replace
from functools import cache

import pytest

from app.conformance.reader import read_file
from app.conformance.run import run
from app.core import evaluate, rules
from app.core.case import Outcome
from app.core.consent import EventKind
from app.core.decision import Reason
from tests.mutation.mutants import explained_survivors, mutants_of, mutated_tree, source_of, statement_lines
from tests.mutation.trial import GOLDEN, golden_failures

pytestmark = pytest.mark.deep
NUMBERS = [rule.number for rule in rules.RULES]
UNCOMPARED = {"_decision", "_expires_at"}
"""Golden cases compare what these make only in part: the consent named and its expiry are left to tests."""


@cache
def files():
    """The golden cases: read by the first test, so that collecting the suite costs nothing."""
    return [read_file(path) for path in GOLDEN]


@cache
def sample():
    """Every fourth mutant of the rules."""
    return [each for each in mutants_of("rules") if each.where not in UNCOMPARED][::4]


def failures_with(monkeypatch, number, check):
    """How many golden cases fail when one rule is answered by another function; one that raises fails all."""
    changed = tuple(replace(rule, check=check) if rule.number == number else rule for rule in rules.RULES)
    monkeypatch.setattr(rules, "RULES", changed)
    monkeypatch.setattr(evaluate, "RULES", changed)
    try:
        return sum(len(run(file)) for file in files())
    except Exception:  # noqa: BLE001 - whatever a core without this rule raises, it is found out
        return sum(len(file.cases) for file in files())


@pytest.mark.parametrize("number", NUMBERS)
def test_a_rule_that_never_fires_is_found_out(monkeypatch, number):
    """Without any one of the rules some golden case is answered wrongly."""
    assert failures_with(monkeypatch, number, lambda _case: None) > 0


@pytest.mark.parametrize("number", NUMBERS[:-1])
def test_a_rule_that_always_fires_is_found_out(monkeypatch, number):
    """A rule that answers every case it is asked about is found out; the last one always does."""
    reasons = {rule.number: rule for rule in rules.RULES}
    outcome = Outcome(Reason.EVIDENCE_UNAVAILABLE, None)
    assert reasons[number].check is not None
    assert failures_with(monkeypatch, number, lambda _case: outcome) > 0


def test_a_core_that_is_not_changed_passes():
    """The control: with nothing swapped every golden case passes, so that a failure above is the change's."""
    assert sum(len(run(file)) for file in files()) == 0
    assert golden_failures("rules", ast.parse(source_of("rules").read_text())) == 0


def test_wrong_versions_of_the_rules_fail_golden_cases():
    """Of a fixed sample of one-change mutants of the rules, those that no golden case finds out are explained."""
    survivors = {each.name for each in sample() if golden_failures("rules", mutated_tree(each)) == 0}
    assert len(sample()) > 30
    assert survivors <= explained_survivors()


def test_trying_a_mutant_leaves_the_core_as_it_was():
    """Afterwards the modules in use are the ones from before."""
    before = (rules.RULES, EventKind, evaluate.evaluate)
    golden_failures("rules", mutated_tree(sample()[0]))
    import app.core.consent
    import app.core.evaluate
    import app.core.rules

    now = (app.core.rules.RULES, app.core.consent.EventKind, app.core.evaluate.evaluate)
    assert all(one is other for one, other in zip(before, now, strict=True))


def test_the_tests_of_a_mutant_are_those_that_run_its_statement():
    """A mutant of a function lies in the lines of its statement, up to a block's first; an import runs the others."""
    in_functions = [(mutant, statement_lines(mutant)) for mutant in mutants_of("recorder") if mutant.where != "module"]
    assert len(in_functions) > 300
    lines = source_of("recorder").read_text().splitlines()
    for mutant, statement in in_functions:
        if statement is not None:
            assert mutant.line in statement
            assert not any(lines[line - 1].lstrip().startswith(("return", "raise")) for line in statement[1:])
    assert {statement_lines(mutant) for mutant in mutants_of("recorder") if mutant.where == "module"} == {None}
    assert sum(statement is None for _, statement in in_functions) < 10
