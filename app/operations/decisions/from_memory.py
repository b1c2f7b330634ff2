"""Answer from a replica's memory, reading what it lacks: the same rules on the same facts, without a round trip.

A look is one plain function: it checks the lease, then looks everything up, and awaits nothing in between. Most
questions need no more than one. Otherwise what a look finds missing is read and the look is repeated, until one finds
everything: so all facts of a decision stood at one instant. docs/freshness.md gives the protocol.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from app.auth.callers import Caller, Scope
from app.core.decision import Participant
from app.core.evaluate import stable_until
from app.db.session import ChangeKind
from app.operations.decisions.judging import (
    Answer,
    Circumstances,
    DecidedBy,
    Facts,
    Judged,
    Question,
    Unanswered,
    judge,
)
from app.snapshot.leases import RecordCache
from app.snapshot.records import NOTHING_RECORDED, RegisterRecord, SubjectRecord
from app.snapshot.replica import Replica

# Decisions remembered with the very records that they rest on.
# A remembered decision is used only for an equal question (its circumstances, its subject, and the other parties
# where their consents are asked for), about the same records (by identity: a record that changed is another object),
# before the next instant at which time alone could change the answer. So key and records determine the decision by
# themselves. People of whom nothing is recorded share one record: where no other party is named, the rules then look at
# nothing that is theirs, and they share the decision too (`_whose`).

_FEW_PARTIES: Final = 4
_CROWDED: Final = 1_000
"""How many decisions are remembered that name more than `_FEW_PARTIES` other parties: each is many times as heavy."""
_ROUNDING: Final = 1e-6
"""Seconds by which a remembered answer ends early: no time before its end is logged, rounded, as one after it."""
_CIRCUMSTANCES: Final = 10_000
"""How many circumstances are held as one object for all decisions in which they are equal."""

Key = tuple[Circumstances, bytes, tuple[Participant, ...] | None]


class Remembered(Struct, frozen=True, eq=False, gc=False):
    """What was judged, the records that it rests on, and the epoch time until which it stands if they do not change."""

    register: RegisterRecord
    records: tuple[SubjectRecord, ...]
    until: float
    judged: Judged


class RememberedDecisions:
    """A bounded memory of decisions, each of some 700 bytes: fewer of those that name many other parties."""

    def __init__(self, most: int) -> None:
        """Remember nothing yet, and never more than `most` decisions."""
        self._remembered: RecordCache[Key, Remembered] = RecordCache(most)
        self._crowded: RecordCache[Key, Remembered] = RecordCache(min(most, _CROWDED))

    def get(
        self, key: Key, register: RegisterRecord, records: tuple[SubjectRecord, ...], now: float
    ) -> Remembered | None:
        """Return what was judged of this question on these very records; None if nothing, or if time has changed it."""
        earlier = self._cache_of(key).get(key)
        if earlier is None or earlier.register is not register or now >= earlier.until or earlier.records != records:
            return None  # records are equal only to themselves
        return earlier

    def keep(self, key: Key, remembered: Remembered) -> None:
        """Remember what was judged."""
        self._cache_of(key).put(key, remembered)

    def _cache_of(self, key: Key) -> RecordCache[Key, Remembered]:
        others = key[2]
        return self._crowded if others is not None and len(others) > _FEW_PARTIES else self._remembered


@lru_cache(_CIRCUMSTANCES)
def one_of_each(circumstances: Circumstances) -> Circumstances:
    """Return the one object that stands for all circumstances equal to these, or for most."""
    return circumstances


_LOOKS = 4
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class Memory:
    """What a process answers from: its replica, the decisions that it remembers, and what decides."""

    replica: Replica
    by: DecidedBy
    remembered: RememberedDecisions
    hits: int = 0
    misses: int = 0
    without_lease: int = 0


class Found(Struct, frozen=True):
    """The caller (None: no credential in force), what was judged of each question, and the epoch time of the look.

    `judged` has None in the place of a question that the caller may not ask.
    """

    caller: Caller | None
    judged: Sequence[Judged | None]
    at: float


@dataclass(slots=True)
class _Read:
    """What the last look found missing, and all that memory keeps for this call."""

    no_caller: bool = False
    no_processings: set[str] = field(default_factory=set)
    no_subjects: set[bytes] = field(default_factory=set)
    callers: set[bytes] = field(default_factory=set)
    processings: set[str] = field(default_factory=set)
    subjects: set[bytes] = field(default_factory=set)

    def misses(self) -> bool:
        """Return whether the last look found anything missing."""
        return bool(self.no_caller or self.no_processings or self.no_subjects)


def recall(memory: Memory, digest: bytes, question: Question) -> tuple[Caller, Remembered, float] | None:
    """Return the caller, the remembered decision of one question, and the time; None where `look` must be asked.

    It looks the same things up in the same order, and creates nothing on the way: most questions of a busy server need
    no more. It leaves to `look` callers that may not ask, and processings that ask other parties.
    """
    replica = memory.replica
    now = replica.now_if_leased()
    caller_record = replica.callers.get(digest) if now is not None else None
    if now is None or caller_record is None or caller_record.caller is None or now >= caller_record.until:
        return None
    caller, circumstances = caller_record.caller, question.circumstances
    if Scope.DECISIONS_EVALUATE not in caller.scopes or not caller.may_ask_about(circumstances.processing):
        return None
    register = replica.register.get(circumstances.processing)
    if register is None or register.asks_others:
        return None
    subject: bytes = b""
    records: tuple[SubjectRecord, ...] = ()
    if register.rests_on_consent:
        subject = question.subject
        record = replica.subjects.get(subject)
        if record is None:
            return None
        records = (record,)
        subject = _whose(subject, record)
    remembered = memory.remembered.get((circumstances, subject, None), register, records, now)
    if remembered is None:
        return None
    caller_record.use.at = now
    return caller, remembered, now


class Lasting(Struct, frozen=True):
    """A decision that stands until `until` (epoch time) or until one of the records that it rests on changes.

    `rests_on`: the kind and reference of each record, as the rows of `change` name them.
    """

    judged: Judged
    until: float
    rests_on: tuple[tuple[int, bytes], ...]


def lasting(memory: Memory, digest: bytes, question: Question) -> Lasting | None:
    """Return what a program on this host may hold of an answer: what is remembered of it now. Awaits nothing.

    None if nothing is remembered, if the answer depends on other parties, or without a lease.
    """
    recalled = recall(memory, digest, question)
    if recalled is None:
        return None
    _, remembered, _ = recalled
    rests_on = [(int(ChangeKind.PROCESSING), question.processing.encode())]
    if remembered.records:
        rests_on.append((int(ChangeKind.SUBJECT), question.subject))
    return Lasting(remembered.judged, remembered.until, tuple(rests_on))


def look(memory: Memory, digest: bytes, questions: Sequence[Question], read: _Read | None = None) -> Found | None:
    """Answer if all that this needs is held and memory may be used; otherwise return None. Awaits nothing.

    Args:
        memory: what this process answers from.
        digest: SHA-256 of the key or token presented.
        questions: what is asked.
        read: in it is noted what is missing.

    Raises:
        ScopeMissingError: the caller may not ask for decisions at all.

    """
    replica = memory.replica
    now = replica.now_if_leased()
    caller_record = replica.callers.get(digest) if now is not None else None
    if now is None or caller_record is None:
        if now is not None and read is not None:
            read.no_caller = True  # nothing else is looked up then
        return None
    caller = caller_record.caller
    if caller is None:
        return Found(None, (), now)
    if now >= caller_record.until:
        return None  # the primary says whether it has ended: its clock counts, not an estimate of it
    caller.require(Scope.DECISIONS_EVALUATE)
    judged: list[Judged | None] = []
    for question in questions:
        allowed = caller.may_ask_about(question.processing)
        verdict = _decide(memory, question, read, now) if allowed else None
        if verdict is None and allowed and read is None:
            return None
        judged.append(verdict)
    if read is not None and read.misses():
        return None
    caller_record.use.at = now
    return Found(caller, judged, now)


async def read_and_look(memory: Memory, digest: bytes, questions: Sequence[Question]) -> Found | None:
    """Read what memory lacks and answer; None when memory may not be used, so that the primary must be read.

    Raises:
        ScopeMissingError: the caller may not ask for decisions at all.
        DatabaseUnavailableError: something is missing and cannot be read.

    """
    if not memory.replica.lease.held():
        memory.without_lease += 1
        return None
    read, replica = _Read(), memory.replica
    memory.misses += 1
    try:
        for _ in range(_LOOKS):
            recalled = look(memory, digest, questions, read)
            if recalled is not None:
                return recalled
            if not replica.lease.held():
                return None
            await _read_missing(replica, digest, read)
        return look(memory, digest, questions, read)
    finally:
        replica.callers.release(read.callers)
        replica.register.release(read.processings)
        replica.subjects.release(read.subjects)


async def still_stands(memory: Memory, digest: bytes, questions: Sequence[Question], answers: Sequence[Answer]) -> bool:
    """Return whether answers may be sent after a wait: another look, under a lease held now, finds the same.

    What memory lacks is read again, because the news of a grant made just before drops its record a second time.

    Raises:
        ScopeMissingError: the caller may not ask for decisions at all any more.
        DatabaseUnavailableError: something is missing and cannot be read.

    """
    again = look(memory, digest, questions) or await read_and_look(memory, digest, questions)
    if again is None or again.caller is None:
        return False
    return all(
        isinstance(before, Unanswered) or before is after or (after is not None and before.decision == after.decision)
        for before, after in zip(answers, again.judged, strict=True)
    )


async def _read_missing(replica: Replica, digest: bytes, read: _Read) -> None:
    """Read what the last look found missing. What changes meanwhile is missing again in the next look."""
    callers = {digest} if read.no_caller else set()
    processings, subjects = read.no_processings, read.no_subjects
    read.no_caller, read.no_processings, read.no_subjects = False, set(), set()
    replica.callers.expect(callers - read.callers)
    replica.register.expect(processings - read.processings)
    replica.subjects.expect(subjects - read.subjects)
    read.callers |= callers
    read.processings |= processings
    read.subjects |= subjects
    if callers:
        await replica.load_caller(digest)
    if processings:
        await replica.load_processings(processings)
    if subjects:
        await replica.load_subjects(subjects)


def _decide(memory: Memory, question: Question, read: _Read | None, now: float) -> Judged | None:
    """Return one decision on what is held, or None after noting what is missing."""
    register = memory.replica.register.get(question.processing)
    if register is None:
        if read is not None:
            read.no_processings.add(question.processing)
        return None
    participants: tuple[Participant, ...] | None = None
    subject = question.subject if register.rests_on_consent else b""  # under III it is the same for everyone
    refs: tuple[bytes, ...] = (subject,) if subject else ()
    if register.asks_others:
        participants = question.participants() if question.participants is not None else None
        others = {each.ref for each in participants or () if each.local} - {subject}
        refs = (subject, *sorted(others))
    records = _records(memory.replica, refs, read)
    if records is None:
        return None
    if records and not participants:
        subject = _whose(subject, records[0])
    key = (question.circumstances, subject, participants)
    remembered = memory.remembered.get(key, register, records, now)
    if remembered is None:
        circumstances = one_of_each(question.circumstances)
        question = replace(question, circumstances=circumstances)
        remembered = _judge(memory, question, participants, register, dict(zip(refs, records, strict=True)), now)
        memory.remembered.keep((circumstances, subject, participants), remembered)
    return remembered.judged


def _whose(subject: bytes, record: SubjectRecord) -> bytes:
    """Return the subject under which a decision without other parties is remembered: b"" if nothing is recorded."""
    return b"" if record is NOTHING_RECORDED else subject


def _records(replica: Replica, refs: tuple[bytes, ...], read: _Read | None) -> tuple[SubjectRecord, ...] | None:
    """Return the records of all of these subjects, or None after noting which are missing."""
    records: list[SubjectRecord] = []
    for ref in refs:
        record = replica.subjects.get(ref)
        if record is not None:
            records.append(record)
        elif read is not None:
            read.no_subjects.add(ref)
        else:
            return None
    return tuple(records) if len(records) == len(refs) else None


def _judge(  # noqa: PLR0917 - the question and each of the facts
    memory: Memory,
    question: Question,
    participants: tuple[Participant, ...] | None,
    register: RegisterRecord,
    records: dict[bytes, SubjectRecord],
    now: float,
) -> Remembered:
    """Judge a question on records: now, or at the latest instant that they record as done if a clock was set back."""
    consents = {ref: record.events() for ref, record in records.items()}
    shared = frozenset(ref for ref, record in records.items() if record.shared)
    events = [event for each in consents.values() for event in each]
    at = max(datetime.fromtimestamp(now, UTC), *(event.collected_at for event in events), register.latest or _LONG_AGO)
    own = records.get(question.subject)
    facts = Facts(register.processing, consents, at, shared, own.ref if own is not None else None)
    judged = judge(question.request(participants), facts, memory.by)
    entry = register.processing
    until = stable_until(entry, events, at, memory.by.policy) if entry is not None else None
    end = until.timestamp() - _ROUNDING if until is not None else math.inf
    return Remembered(register, tuple(records.values()), end, judged)
