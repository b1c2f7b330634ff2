"""Answer questions from a replica's memory, reading what it lacks: the same rules on the same facts, without the trip.

A look is one plain function: it checks the lease, then looks everything up, and nothing is awaited in between. Most
questions need no more than one (`recall`). Otherwise what a look finds missing is read and the look is taken again; a
record that was read for this call counts as found.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from app.auth.callers import Caller
from app.auth.scopes import Scope
from app.core.decision import Participant, Request
from app.core.evaluate import evaluate, stable_until
from app.core.period import PeriodPolicy
from app.operations.prepared import Key, Prepared, PreparedDecisions, Question
from app.snapshot.records import CallerRecord, RegisterRecord, SubjectRecord
from app.snapshot.replica import Replica

_LOOKS = 4
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class Memory:
    """What a process answers from: its replica, the decisions it remembers, and how the deployment counts periods."""

    replica: Replica
    policy: PeriodPolicy
    prepared: PreparedDecisions = field(default_factory=PreparedDecisions)
    hits: int = 0
    misses: int = 0
    without_lease: int = 0


@dataclass(frozen=True, slots=True)
class Remembered:
    """Who asked (None: no key in force) and the decisions in order; None where the caller may not ask."""

    caller: Caller | None
    prepared: Sequence[Prepared | None]


@dataclass(slots=True)
class _Facts:
    """What was read for this call after it began, and what the last look found missing."""

    callers: dict[bytes, CallerRecord] = field(default_factory=dict)
    register: dict[str, RegisterRecord] = field(default_factory=dict)
    subjects: dict[bytes, SubjectRecord] = field(default_factory=dict)
    no_caller: bool = False
    no_processings: set[str] = field(default_factory=set)
    no_subjects: set[bytes] = field(default_factory=set)


def recall(memory: Memory, digest: bytes, questions: Sequence[Question]) -> Remembered | None:
    """Answer if all that this needs is in memory and memory may be used; None otherwise. Awaits nothing.

    Raises:
        ScopeMissingError: the caller may not ask for decisions at all.

    """
    answered = _look(memory, digest, questions, None)
    if answered is not None:
        memory.hits += 1
    return answered


def recall_one(memory: Memory, digest: bytes, question: Question) -> tuple[Caller, Prepared, float] | None:
    """As `recall`, for one question: who asks, the decision, and the instant (an epoch time) at which it is taken.

    None also where the caller may not ask about that processing.

    Raises:
        ScopeMissingError: the caller may not ask for decisions at all.

    """
    replica = memory.replica
    if not replica.lease.held():
        return None
    held = replica.callers.get(digest)
    if held is None or held.caller is None:
        return None
    caller = held.caller
    caller.require(Scope.DECISIONS_EVALUATE)
    if not caller.may_ask_about(question.shape.processing):
        return None
    now = replica.now()
    if now >= held.until:
        return None
    prepared = _decide(memory, question, None, now)
    if prepared is None:
        return None
    memory.hits += 1
    held.use.at = now
    return caller, prepared, now


async def answer_from_memory(memory: Memory, digest: bytes, questions: Sequence[Question]) -> Remembered | None:
    """Read what memory lacks and answer, or None when it may not be used: the caller then reads the primary.

    Args:
        memory: what this process answers from.
        digest: SHA-256 of the key presented.
        questions: what is asked, after `recall` has found something missing.

    Raises:
        ScopeMissingError: the caller may not ask for decisions at all.
        DatabaseUnavailableError: something is missing and cannot be read.

    """
    if not memory.replica.lease.held():
        memory.without_lease += 1
        return None
    facts = _Facts()
    memory.misses += 1
    for _ in range(_LOOKS):
        answered = _look(memory, digest, questions, facts)
        if answered is not None:
            return answered
        if not memory.replica.lease.held():
            return None
        await _read(memory.replica, digest, facts)
    return _look(memory, digest, questions, facts)


async def still_stands(memory: Memory, digest: bytes, questions: Sequence[Question], answered: Remembered) -> bool:
    """Whether what was answered may be sent after a wait: another look, under a lease held now, answers the same.

    What memory lacks is read again: news of a grant made just before drop its record a second time.

    Raises:
        ScopeMissingError: the caller may not ask for decisions at all any more.
        DatabaseUnavailableError: something is missing and cannot be read.

    """
    again = _look(memory, digest, questions, None) or await answer_from_memory(memory, digest, questions)
    if again is None or again.caller is None:
        return False
    pairs = zip(answered.prepared, again.prepared, strict=True)
    return all(
        before is after or (before is not None and after is not None and before.decision == after.decision)
        for before, after in pairs
    )


async def _read(replica: Replica, digest: bytes, facts: _Facts) -> None:
    """Read what the last look found missing."""
    if facts.no_caller:
        facts.callers[digest] = await replica.load_caller(digest)
    if facts.no_processings:
        facts.register.update(await replica.load_processings(facts.no_processings))
    if facts.no_subjects:
        facts.subjects.update(await replica.load_subjects(facts.no_subjects))
    facts.no_caller, facts.no_processings, facts.no_subjects = False, set(), set()


def _look(memory: Memory, digest: bytes, questions: Sequence[Question], facts: _Facts | None) -> Remembered | None:
    """One look at memory: the answers, or None with what is missing noted in `facts` (if any). Awaits nothing."""
    replica = memory.replica
    if not replica.lease.held():
        return None
    held = replica.callers.get(digest) or (facts.callers.get(digest) if facts is not None else None)
    now = replica.now()
    if held is None:
        if facts is None:
            return None
        facts.no_caller = True
        caller = None
    else:
        caller = held.caller
        if caller is None or now >= held.until:
            return Remembered(None, ())
        caller.require(Scope.DECISIONS_EVALUATE)
        held.use.at = now
    found: list[Prepared | None] = []
    complete = caller is not None
    anything = caller is not None and caller.processings is None
    for question in questions:
        if not anything and caller is not None and not caller.may_ask_about(question.shape.processing):
            found.append(None)
            continue
        prepared = _decide(memory, question, facts, now)
        if prepared is None:
            if facts is None:
                return None
            complete = False
        found.append(prepared)
    return Remembered(caller, found) if complete else None


def _decide(memory: Memory, question: Question, facts: _Facts | None, now: float) -> Prepared | None:
    """One decision on what is held, or None with what is missing noted."""
    shape, replica = question.shape, memory.replica
    register = replica.register.get(shape.processing)
    if register is None and facts is not None:
        register = facts.register.get(shape.processing)
        if register is None:
            facts.no_processings.add(shape.processing)
    if register is None:
        return None
    key: Key
    refs: tuple[bytes, ...]
    participants: tuple[Participant, ...] | None
    if not register.rests_on_consent:
        key, refs, participants = (shape, b""), (), None  # whoever it is
    elif not register.asks_others:
        key, refs, participants = (shape, question.subject), (question.subject,), None
    else:
        participants = question.others() if question.others is not None else None
        key = (shape, question.subject, participants)
        refs = _with_others(question.subject, participants or ())
    records = _records(replica, refs, facts)
    if records is None:
        return None
    prepared = memory.prepared.get(key, register, records, now)
    if prepared is None:
        held = dict(zip(refs, records, strict=True))
        prepared = _judge(memory, question.request(participants), register, held, now)
        memory.prepared.keep(key, prepared)
    return prepared


def _with_others(subject: bytes, participants: Sequence[Participant]) -> tuple[bytes, ...]:
    others = {each.ref for each in participants if each.local} - {subject}
    return (subject, *sorted(others))


def _records(replica: Replica, refs: tuple[bytes, ...], facts: _Facts | None) -> tuple[SubjectRecord, ...] | None:
    """The records of all of these subjects, or None with those that are missing noted."""
    if facts is None and len(refs) == 1:
        only = replica.subjects.get(refs[0])
        return (only,) if only is not None else None
    records: list[SubjectRecord] = []
    for ref in refs:
        record = replica.subjects.get(ref) or (facts.subjects.get(ref) if facts is not None else None)
        if record is not None:
            records.append(record)
        elif facts is not None:
            facts.no_subjects.add(ref)
    return tuple(records) if len(records) == len(refs) else None


def _judge(
    memory: Memory, request: Request, register: RegisterRecord, held: dict[bytes, SubjectRecord], now: float
) -> Prepared:
    """Judge a request on records, at the present or at the latest that they record as done if a clock was set back."""
    consents = {ref: record.events() for ref, record in held.items()}
    events = [event for each in consents.values() for event in each]
    at = max(datetime.fromtimestamp(now, UTC), *(event.collected_at for event in events), register.latest or _LONG_AGO)
    decision = evaluate(request, register.processing, consents, at, memory.policy)
    until = None
    if register.processing is not None:
        until = stable_until(register.processing, events, at, memory.policy)
    records = tuple(held.values())
    return Prepared(register, records, until.timestamp() if until is not None else math.inf, decision)
