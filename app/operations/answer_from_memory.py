"""Answer questions from a replica's memory, reading what it lacks: the same rules on the same facts, without the trip.

A look is one plain function: it checks the lease, then looks everything up, and nothing is awaited in between. What a
look finds missing is read and the look is taken again; a record that was read for this call counts as found.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from app.auth.callers import Caller
from app.auth.scopes import Scope
from app.core.decision import Request
from app.core.evaluate import evaluate, stable_until
from app.core.period import PeriodPolicy
from app.operations.prepared import Prepared, PreparedDecisions
from app.snapshot.records import CallerRecord, RegisterRecord, SubjectRecord
from app.snapshot.replica import Replica

_LOOKS = 4


@dataclass(slots=True)
class Memory:
    """What a process answers from: its replica, the decisions it remembers, and how the deployment counts periods."""

    replica: Replica
    policy: PeriodPolicy
    prepared: PreparedDecisions = field(default_factory=PreparedDecisions)
    hits: int = 0
    misses: int = 0


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


async def answer_from_memory(memory: Memory, digest: bytes, requests: Sequence[Request]) -> Remembered | None:
    """Answer, or None when memory may not be used: the caller then reads the primary.

    Args:
        memory: what this process answers from.
        digest: SHA-256 of the key presented.
        requests: the questions.

    Raises:
        ScopeMissingError: the caller may not ask for decisions at all.
        DatabaseUnavailableError: something is missing and cannot be read.

    """
    facts = _Facts()
    answered = _look(memory, digest, requests, facts)
    if answered is not None:
        memory.hits += 1
        return answered
    memory.misses += 1
    for _ in range(_LOOKS):
        if not memory.replica.lease.held():
            return None
        await _read(memory.replica, digest, facts)
        answered = _look(memory, digest, requests, facts)
        if answered is not None:
            return answered
    return None


async def _read(replica: Replica, digest: bytes, facts: _Facts) -> None:
    """Read what the last look found missing."""
    if facts.no_caller:
        facts.callers[digest] = await replica.load_caller(digest)
    if facts.no_processings:
        facts.register.update(await replica.load_processings(facts.no_processings))
    if facts.no_subjects:
        facts.subjects.update(await replica.load_subjects(facts.no_subjects))
    facts.no_caller, facts.no_processings, facts.no_subjects = False, set(), set()


def _look(memory: Memory, digest: bytes, requests: Sequence[Request], facts: _Facts) -> Remembered | None:
    """One look at memory: the answers, or None with what is missing noted in `facts`. Awaits nothing."""
    replica = memory.replica
    if not replica.lease.held():
        return None
    held = replica.callers.get(digest) or facts.callers.get(digest)
    caller = held.caller if held is not None else None
    if held is None:
        facts.no_caller = True
    elif caller is None:
        return Remembered(None, ())
    else:
        caller.require(Scope.DECISIONS_EVALUATE)
    now = replica.now()
    found: list[Prepared | None] = []
    complete = caller is not None
    for request in requests:
        if caller is not None and not caller.may_ask_about(request.processing):
            found.append(None)
            continue
        prepared = _decide(memory, request, facts, now)
        complete = complete and prepared is not None
        found.append(prepared)
    return Remembered(caller, found) if complete else None


def _decide(memory: Memory, request: Request, facts: _Facts, now: float) -> Prepared | None:
    """One decision on what is held, or None with what is missing noted."""
    replica = memory.replica
    register = replica.register.get(request.processing) or facts.register.get(request.processing)
    if register is None:
        facts.no_processings.add(request.processing)
        return None
    refs = _refs(request, register)
    records: list[SubjectRecord] = []
    for ref in refs:
        record = replica.subjects.get(ref) or facts.subjects.get(ref)
        if record is None:
            facts.no_subjects.add(ref)
        else:
            records.append(record)
    if len(records) < len(refs):
        return None
    prepared = memory.prepared.get(request, register, records, now)
    if prepared is None:
        prepared = _judge(memory, request, register, dict(zip(refs, records, strict=True)), now)
        memory.prepared.keep(request, prepared)
    return prepared


def _refs(request: Request, register: RegisterRecord) -> Sequence[bytes]:
    """Whose records a decision on this question rests on; nobody's where the purpose is not one of IV."""
    if not register.rests_on_consent:
        return ()
    if not register.asks_others:
        return (request.subject,)
    others = {each.ref for each in request.participants or () if each.local} - {request.subject}
    return (request.subject, *sorted(others))


def _judge(
    memory: Memory, request: Request, register: RegisterRecord, held: dict[bytes, SubjectRecord], now: float
) -> Prepared:
    """Judge a request on records, at the present or at the latest that they record as done if a clock was set back."""
    latest = [register.latest, *(record.latest for record in held.values())]
    at = max([datetime.fromtimestamp(now, UTC), *(each for each in latest if each is not None)])
    consents = {ref: record.events for ref, record in held.items()}
    decision = evaluate(request, register.processing, consents, at, memory.policy)
    until = None
    if register.processing is not None:
        events = [event for record in held.values() for event in record.events]
        until = stable_until(register.processing, events, at, memory.policy)
    records = tuple(held.values())
    return Prepared(register, records, until.timestamp() if until is not None else math.inf, decision)
