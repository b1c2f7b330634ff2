"""The decisions in a bundle are those that the log states: each that is dropped, flipped or invented is named."""

import json
import zipfile
from datetime import timedelta

import pytest

from app.db.identifiers import random_id
from tests.proof.logs import lines_of, replaced, rewritten
from tests.support.decision_rows import alter, logged_rows, once, with_facts

WRONG = 1
INCOMPLETE = 3


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
    """All of them, with every column that decides, without a reference; the people in them are those of the entries."""
    bundle = log.bundle()
    status, said = log.verify(bundle)
    assert (status, "60 decisions against the statements of their hours" in said, "WRONG" in said) == (
        INCOMPLETE,
        True,
        False,
    ), said
    name = _decisions(bundle)
    told, logged = lines_of(bundle, name), logged_rows(log.database)
    assert {each["id"]: each["decision"] for each in told} == {str(each.id): each.facts.permitted for each in logged}
    assert {each["consent"] for each in told} == {each.facts.consent and str(each.facts.consent) for each in logged}
    refs = {ref.hex() for each in logged for ref in (each.subject_ref, each.correspondence_ref)}
    with zipfile.ZipFile(bundle) as bag:
        kept = b"".join(bag.read(each) for each in bag.namelist()).decode()
    assert not [ref for ref in refs if ref in kept]
    people = {each["name"]: each["person"] for each in lines_of(bundle, name.replace(".ndjson", ".people.ndjson"))}
    entered = {line["people"]["subject_ref"] for line in lines_of(bundle) if "subject_ref" in line.get("people", {})}
    permitted = {people[each["subject_ref"]] for each in told if each["consent"]}
    assert permitted
    assert permitted <= entered


ALTERED = {
    "dropped": lambda: once(lambda it: not it.facts.permitted),
    "flipped": lambda: once(lambda it: not it.facts.permitted, lambda it: with_facts(it, permitted=True)),
    "invented": lambda: once(lambda _: True, lambda it: it, lambda it: type(it)(random_id(), *_rest(it))),
}
"""Each made anew for a test: a change is made once."""


def _rest(decision):
    return decision.at, decision.caller, decision.person, decision.correspondence, decision.facts


@pytest.mark.parametrize("made", ALTERED.values(), ids=ALTERED.keys())
def test_a_decision_that_the_operator_altered_is_named_without_its_database(log, made):
    """In the database, with digests and counts that fit: the bundle that is made of it is not what was stated."""
    alter(log.database, made())
    status, said = log.verify(log.bundle())
    assert (status, "are not those that were stated" in said) == (WRONG, True), said


def _flip(line):
    said = json.loads(line)
    return json.dumps({**said, "decision": not said["decision"]}, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    "change",
    [lambda lines: lines[1:], lambda lines: [_flip(lines[0]), *lines[1:]], lambda lines: [*lines, lines[0]]],
    ids=["dropped", "flipped", "invented"],
)
def test_a_decision_that_was_altered_in_a_bundle_is_named(log, change):
    """Whoever makes the list of files fit is found by the statement that the log holds."""
    bundle = log.bundle()
    name = _decisions(bundle)
    with zipfile.ZipFile(bundle) as bag:
        lines = change(bag.read(name).splitlines())
    status, said = log.verify(
        replaced(bundle, log.place / "forged.zip", name, b"".join(each + b"\n" for each in lines))
    )
    assert (status, "are not those that were stated" in said) == (WRONG, True), said


def test_decisions_that_nobody_stated_and_those_that_are_gone_are_named(log):
    """A file of decisions that no statement names is wrong, and so is one that is stated and not there."""
    bundle = log.bundle()
    name = _decisions(bundle)
    with zipfile.ZipFile(bundle) as bag:
        content = bag.read(name)
    changes = {f"data/decisions/{random_id()}.ndjson": lambda _: content}
    status, said = log.verify(rewritten(bundle, log.place / "more.zip", changes, manifest=True))
    assert (status, "no statement of the log names these decisions" in said) == (WRONG, True), said
    log.superuser("DELETE FROM decision_segment")
    status, said = log.verify(log.bundle(name="less.zip"))
    assert (status, "60 decisions of " in said, "that the log states are gone" in said) == (WRONG, True, True), said


def test_decisions_of_a_day_that_was_dropped_accuse_nobody(log):
    """The trail says so, within the bundle or behind its end: it is told how many are not there any more."""
    log.superuser(
        "CREATE TABLE days AS SELECT DISTINCT day FROM decision_segment",
        "DELETE FROM decision_segment",
        """SELECT sceau_record_act('decision_log.dropped', 'service', jsonb_build_object(
        'day', to_char(day, 'YYYY-MM-DD'))) FROM days""",
        """INSERT INTO proof_queue (kind, id)
        SELECT 'administrative_act', id::text FROM administrative_act ORDER BY at DESC LIMIT 1""",
    )
    for name in ("behind.zip", "within.zip"):
        status, said = log.verify(log.bundle(name=name))
        assert (status, "WRONG" in said, "60 decisions that the log states, from" in said) == (INCOMPLETE, False, True)
        log.append()


def test_a_bundle_of_one_processing_has_no_decisions(log):
    """What is chosen of a segment could not be checked: that they are not there is told."""
    status, said = log.verify(log.bundle("--processing", "ads"))
    assert (status, "60 decisions that the log states" in said, "WRONG" in said) == (INCOMPLETE, True, False), said


def test_a_segment_that_cannot_be_read_is_named(log):
    """What somebody put in the place of a segment is no segment: its bundle is made, and is wrong."""
    log.superuser("UPDATE decision_segment SET data = 'x'")
    status, said = log.verify(log.bundle())
    assert (status, "are not those that were stated: 0 lines, and 60 were logged" in said) == (WRONG, True), said


def test_a_statement_that_is_missing_between_two_is_named(log, monkeypatch):
    """Whoever takes a statement out before it is entered leaves a gap between those on either side."""
    monkeypatch.setattr("app.operations.proof.close_hours._SETTLED", timedelta(hours=-2))
    assert log.close() == 1
    log.superuser(
        "DELETE FROM proof_queue WHERE kind = 'statement'",
        "DELETE FROM proof_statement WHERE id::text NOT IN (SELECT id FROM proof_entry WHERE kind = 'statement')",
    )
    log.superuser(
        """INSERT INTO proof_statement (id, kind, at, body) SELECT gen_random_uuid(), kind, now(), jsonb_build_object(
        'since', now() + interval '9 hours', 'until', now() + interval '10 hours', 'segments', '[]'::jsonb,
        'late', '[]'::jsonb, 'dropped', 0) FROM proof_statement WHERE kind = 'decision_hour' LIMIT 1""",
        "INSERT INTO proof_queue (kind, id) SELECT 'statement', id::text FROM proof_statement ORDER BY at DESC LIMIT 1",
    )
    log.append()
    status, said = log.verify(log.bundle())
    assert (status, "nothing is stated from" in said) == (WRONG, True), said
