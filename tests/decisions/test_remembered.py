"""Decisions in memory: what is shared between them, when they may be used again, and how many are held."""

import dataclasses
from datetime import UTC, datetime
from itertools import product
from typing import Any, cast
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from app.auth.callers import Caller, Scope
from app.core.article import Channel, Element
from app.core.consent import EventKind
from app.core.decision import DecisionRequest, Participant
from app.core.period import PeriodPolicy
from app.ledger.store import Person
from app.operations.decisions.from_memory import Memory, Remembered, RememberedDecisions, look, one_of_each, recall
from app.operations.decisions.judging import (
    Circumstances,
    DecidedBy,
    Facts,
    Judged,
    Question,
    answer,
    encode,
    has_not_begun,
    judge,
    leaves_unsaid,
)
from app.snapshot.records import CallerRecord, RegisterRecord, register_record, subject_record
from tests.core.builders import ADS, ALICE, BOB, CAROL, asked, event, processing, utc
from tests.core.properties.strategies import World, exempt_worlds, permitting_worlds, transition_worlds, worlds
from tests.support.properties import TRIED

OF = Circumstances("ads", None, automated=True, channel=Channel.ONLINE, private=True, territory="FR")
BY = DecidedBy(PeriodPolicy(), bytes, "rules", "build")
ASKED = DecisionRequest(b"alice", "ads", None, True, Channel.ONLINE, True, "FR", None)
JUDGED = judge(ASKED, Facts(None, {}, datetime(2026, 6, 15, tzinfo=UTC)), BY)
KEY = (OF, b"alice", None)
REGISTER, RECORD = register_record(None), subject_record(Person(b"ref", ()))


UNASKED = permitting_worlds().map(lambda each: each.asked(participants=None))


@settings(max_examples=4 * TRIED)
@given(worlds() | permitting_worlds() | UNASKED | transition_worlds() | exempt_worlds())
def test_an_answer_of_shared_parts_is_the_answer_written_whole(world):
    """A decision put together of what many share and what is its own is the rules' decision, in the same JSON."""
    identifier, request, entry, at = UUID(int=7), world.request, world.processing, world.at
    decision = world.decide()
    judged = judge(request, Facts(entry, world.ledger, at, world.shared), DecidedBy(world.policy, bytes, "", ""))
    facts = {
        "unsaid": leaves_unsaid(request, decision, entry, at),
        "not_begun": has_not_begun(decision, entry, at),
    }
    assert (judged.decision, judged.shape.permitted) == (decision, decision.permitted)
    assert judged.worded(str(identifier).encode()) == encode(answer(decision, identifier, **facts))


class Held:
    """A replica that holds everything that a world has; of `nadia` and `noel` nothing is recorded."""

    def __init__(self, world):
        caller = Caller(UUID(int=1), "asks", frozenset({Scope.DECISIONS_EVALUATE}), None, world.at)
        people = {ref: Person(ref, events, ref in world.shared) for ref, events in world.ledger.items()}
        self.callers = {b"key": CallerRecord(caller)}
        entry = world.processing
        self.register = {ADS: RegisterRecord(entry, None, entry.rests_on_consent, entry.asks_others)}
        self.subjects = {ref: subject_record(people.get(ref)) for ref in (*ASKED_ABOUT, CAROL)}
        self.at = world.at

    def now_if_leased(self):
        """The instant of the world."""
        return self.at.timestamp()


def decided(memory, question):
    """All that is made of a question."""
    looked = look(memory, b"key", [question])
    assert looked is not None
    return asdict(cast("Judged", looked.judged[0]))


ASKED_ABOUT = (ALICE, BOB, b"nadia", b"noel")
PARTY = st.builds(Participant, st.sampled_from((*ASKED_ABOUT, CAROL)), st.booleans())


@settings(max_examples=2 * TRIED)
@given(worlds() | permitting_worlds() | exempt_worlds(), st.lists(PARTY, max_size=1))
def test_a_remembered_decision_is_the_one_that_would_be_made_anew(world, parties):
    """Whoever was asked about before, named among the parties or not, a decision is what one without memory is."""
    request, by = world.request, DecidedBy(world.policy, bytes, "rules", "build")
    of = Circumstances(**{name: getattr(request, name) for name in Circumstances.__struct_fields__})
    memory = Memory(cast("Any", Held(world)), by, RememberedDecisions(100))
    with_nadia = (Participant(b"nadia", local=False), *parties)
    for named, subject in product((None, tuple, lambda: with_nadia), ASKED_ABOUT * 2):
        question = Question(of, subject, named, ("letter", "1"), ("user", "x"))
        none_remembered = dataclasses.replace(memory, remembered=RememberedDecisions(100))
        assert decided(memory, question) == decided(none_remembered, question)


def test_people_of_whom_nothing_is_recorded_share_one_decision():
    """Two strangers get one object as their decision, recalled or looked up; control: two who refused do not."""
    at = utc("2026-06-15")
    no = {ref: [event(EventKind.REFUSED, "2026-06-01")] for ref in (ALICE, BOB)}
    memory = Memory(cast("Any", Held(World(asked(), processing(), no, at, PeriodPolicy()))), BY, RememberedDecisions(9))
    for one, other, is_shared in ((b"nadia", b"noel", True), (ALICE, BOB, False)):
        questions = [Question(OF, ref, None, ("letter", "1"), ("user", "x")) for ref in (one, other)]
        judged = cast("Any", look(memory, b"key", questions)).judged
        assert (judged[0] is judged[1]) == is_shared
        assert [cast("Any", recall(memory, b"key", each))[1].judged for each in questions] == judged


def kept():
    """One decision, remembered until 50, on one register entry and one subject's record."""
    cache = RememberedDecisions(60_000)
    cache.keep(KEY, Remembered(REGISTER, (RECORD,), 50.0, JUDGED))
    return cache


def test_a_remembered_decision_needs_the_very_same_records():
    """A remembered decision is used only with the same record objects: one that is merely equal may have changed."""
    cache = kept()
    assert cache.get(KEY, REGISTER, (RECORD,), 49.9).judged is JUDGED
    assert cache.get(KEY, REGISTER, (subject_record(Person(b"ref", ())),), 49.9) is None
    assert cache.get(KEY, register_record(None), (RECORD,), 49.9) is None
    assert cache.get(KEY, REGISTER, (), 49.9) is None
    assert cache.get(KEY, REGISTER, (RECORD, RECORD), 49.9) is None


def test_a_remembered_decision_ends_when_time_alone_could_change_it():
    """A remembered decision is no longer used at the instant at which time alone could change it."""
    cache = kept()
    assert cache.get(KEY, REGISTER, (RECORD,), 50.0) is None


@pytest.mark.parametrize(
    "other",
    [
        {"processing": "stats"},
        {"elements": frozenset({Element.CONTENT})},
        {"automated": False},
        {"channel": Channel.TEXT_MESSAGE},
        {"private": False},
        {"territory": "RE"},
    ],
    ids=str,
)
def test_a_remembered_decision_is_of_one_question(other):
    """A remembered decision is found by equal circumstances, and not with another member, subject or party."""
    cache = kept()
    again = Circumstances("ads", None, automated=True, channel=Channel.ONLINE, private=True, territory="FR")
    assert cache.get((again, b"alice", None), REGISTER, (RECORD,), 0.0).judged is JUDGED
    assert cache.get((replace(OF, **other), b"alice", None), REGISTER, (RECORD,), 0.0) is None
    assert cache.get((OF, b"bob", None), REGISTER, (RECORD,), 0.0) is None
    assert cache.get((OF, b"alice", ()), REGISTER, (RECORD,), 0.0) is None
    assert cache.get((OF, b"alice", (Participant(b"bob", local=True),)), REGISTER, (RECORD,), 0.0) is None


def test_as_many_decisions_are_remembered_as_was_said():
    """With room for a hundred, the last fifty or more of a thousand are kept; equal circumstances share one object."""
    cache = RememberedDecisions(100)
    again = [replace(OF) for _ in range(1_000)]
    assert len({id(one_of_each(each)) for each in again}) == 1
    for number, of in enumerate(again):
        cache.keep((of, number.to_bytes(32), None), Remembered(REGISTER, (RECORD,), 50.0, JUDGED))
    kept = [number for number in range(1_000) if cache.get((OF, number.to_bytes(32), None), REGISTER, (RECORD,), 0.0)]
    assert 50 <= len(kept) <= 100
    assert kept == list(range(1_000 - len(kept), 1_000))


def test_decisions_with_many_parties_are_remembered_in_smaller_numbers():
    """Of 1,100 decisions with five other parties the first is forgotten; control: with four, none is."""
    cache = RememberedDecisions(60_000)
    keys = {
        number: [
            (OF, subject.to_bytes(32), tuple(Participant(bytes([each]), local=True) for each in range(number)))
            for subject in range(1_100)
        ]
        for number in (4, 5)
    }
    for number in (5, 4):
        for key in keys[number]:
            cache.keep(key, Remembered(REGISTER, (), 1.0, JUDGED))
    assert cache.get(keys[5][0], REGISTER, (), 0.0) is None
    assert cache.get(keys[5][-1], REGISTER, (), 0.0) is not None
    assert all(cache.get(key, REGISTER, (), 0.0) is not None for key in keys[4])
