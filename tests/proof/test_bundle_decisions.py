"""The decisions in a bundle are those that the log states: each that is dropped, flipped or invented is named."""

import zipfile

import pytest

from app.db.session import random_id
from tests.proof.logs import INCOMPLETE, WRONG, ended, lines_of
from tests.support.decision_rows import logged_rows, once, with_facts


@pytest.fixture
def log(decided):
    """A deployment whose decisions of an hour are stated and entered, for a test to change."""
    return decided


def _decisions(bundle):
    """The file of decisions of a bundle that has one."""
    with zipfile.ZipFile(bundle) as bag:
        (name,) = [each for each in bag.namelist() if each.startswith("data/decisions/") and "people" not in each]
    return name


def test_the_decisions_of_a_bundle_are_those_that_were_stated(log):
    """A bundle has all stated decisions, without any pseudonym, and calls people by the names that its entries use."""
    bundle = log.bundle()
    status, output = log.verify(bundle)
    counted = "60 decisions against the statements of their hours"
    assert (status, counted in output, "WRONG" in output) == (INCOMPLETE, True, False), output
    name = _decisions(bundle)
    lines, logged = lines_of(bundle, name), logged_rows(log.database)
    decided = {str(each.id): each.facts.shape.permitted for each in logged}
    assert {each["id"]: each["decision"] for each in lines} == decided
    assert {each["consent"] for each in lines} == {each.facts.consent and str(each.facts.consent) for each in logged}
    refs = {ref.hex() for each in logged for ref in (each.subject_ref, each.correspondence_ref)}
    with zipfile.ZipFile(bundle) as bag:
        kept = b"".join(bag.read(each) for each in bag.namelist()).decode()
    assert not [ref for ref in refs if ref in kept]
    people = {each["name"]: each["person"] for each in lines_of(bundle, name.replace(".ndjson", ".people.ndjson"))}
    entered = {line["people"]["subject_ref"] for line in lines_of(bundle) if "subject_ref" in line.get("people", {})}
    permitted = {people[each["subject_ref"]] for each in lines if each["consent"]}
    assert permitted
    assert permitted <= entered


ALTERED = {
    "dropped": lambda: once(lambda it: not it.facts.shape.permitted),
    "flipped": lambda: once(lambda it: not it.facts.shape.permitted, lambda it: with_facts(it, permitted=True)),
    "invented": lambda: once(lambda _: True, lambda it: it, lambda it: type(it)(random_id(), *_rest(it))),
}
"""Each made anew for a test: a change is made once."""


def _rest(decision):
    return decision.at, decision.caller, decision.person, decision.correspondence, decision.facts


def test_a_segment_that_cannot_be_read_is_named(log):
    """A segment that was overwritten does not stop a bundle, which then verifies as wrong."""
    log.superuser("UPDATE decision_segment SET data = 'x'")
    assert ended(log.verify(log.bundle()), WRONG, "are not those that were stated: 0 lines, and 60 were logged")
