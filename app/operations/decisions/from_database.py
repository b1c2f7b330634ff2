"""Answer on facts read from the primary for this request: in strict mode, and where memory may not be used.

Without the database, purposes of III are still answered, for a caller and from a register entry that were read before
(law.md, trap 14); no other question can be answered then.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from app.auth.callers import Authenticated, Caller, Credential, RateLimits, Scope
from app.auth.sessions import Uses
from app.auth.store import authenticate
from app.core.decision import Decision, DecisionRequest
from app.core.evaluate import evaluate
from app.core.period import PeriodPolicy
from app.core.processing import Processing
from app.db.database import BusyError, DatabaseUnavailableError, NotDurableError, RestoredBehindError
from app.db.session import ReadSession
from app.ledger.store import Person, load_people
from app.operations.decisions.judging import (
    Answer,
    AnsweredRequest,
    DecidedBy,
    Facts,
    Question,
    Unanswered,
    count_questions,
    judge,
)
from app.register.records import ProcessingRecord, present
from app.register.store import load_processings
from app.snapshot.last_known import LastKnown, PrimaryReads
from app.snapshot.leases import boot_seconds

# Read the facts that some requests need, in three statements whatever their number, and apply the rules to each.

_PARTIES_AT_MOST: Final = 20_000
"""The most users and other parties whose consents one search looks at for a page."""


@dataclass(frozen=True, slots=True)
class FactsRead:
    """The facts of each request, in their order, and the database's time when they were read.

    `asked_at`: when the database was asked for that time, by CLOCK_BOOTTIME in seconds.
    """

    of_each: Sequence[Facts]
    now: datetime
    asked_at: float


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Decisions in the order of the requests, and the database's time when they were taken."""

    decisions: Sequence[Decision]
    at: datetime


async def evaluate_requests(
    session: ReadSession, policy: PeriodPolicy, requests: Sequence[DecisionRequest]
) -> Evaluated:
    """Answer requests in their order, each as if it had been asked alone, at the present instant."""
    records = await load_processings(session, {request.processing for request in requests})
    read = await read_facts(session, requests, records)
    decisions = [
        evaluate(request, facts.processing, facts.consents, facts.at, policy, facts.shared)
        for request, facts in zip(requests, read.of_each, strict=True)
    ]
    return Evaluated(decisions, read.now)


async def read_facts(
    session: ReadSession, requests: Sequence[DecisionRequest], records: Mapping[str, ProcessingRecord]
) -> FactsRead:
    """Read the events that requests need, on register entries that were read before.

    The clock is read after the facts, and never behind what was recorded: no request is judged at an instant before a
    withdrawal that is in the ledger.
    """
    entries = [records.get(request.processing) for request in requests]
    needed = [
        subjects_needed(request, record.facts if record is not None else None)
        for request, record in zip(requests, entries, strict=True)
    ]
    locators = set[bytes]().union(*needed)
    people = await load_people(session, locators) if locators else {}
    asked_at = boot_seconds()
    now = await session.now()
    of_each = []
    for request, record, mine in zip(requests, entries, needed, strict=True):
        parties = {locator: people[locator] for locator in mine if locator in people}
        own = {locator: person.events for locator, person in parties.items()}
        processing = record.facts if record is not None else None
        ref = people[request.subject].ref if request.subject in own else None
        of_each.append(Facts(processing, own, present(now, own, record), shared_among(parties), ref))
    return FactsRead(of_each, now, asked_at)


def subjects_needed(request: DecisionRequest, processing: Processing | None) -> set[bytes]:
    """Return the locators of those whose consents count: none under III, participants only in a mode that asks them."""
    if processing is None or not processing.rests_on_consent:
        return set()
    needed = {request.subject}
    if processing.asks_others:
        needed |= {participant.ref for participant in request.participants or () if participant.local}
    return needed


def affordable(request: DecisionRequest, most: int) -> int:
    """Return how many questions with these participants may be judged in one go: `most`, or fewer for many parties."""
    return max(1, min(most, _PARTIES_AT_MOST // (1 + len(request.participants or ()))))


def shared_among(people: Mapping[bytes, Person]) -> frozenset[bytes]:
    """Return the locators that belong to shared mailboxes."""
    return frozenset(locator for locator, person in people.items() if person.shared)


# Whether the database is away, as this process has found: remembered, so that exempt purposes do not wait for it.
# A server that vanished without a word (a black hole) costs each request a time-out of seconds. The first call that
# meets it begins an outage; until a background read succeeds, calls with exempt purposes are answered at once from
# what was last known.

_PAUSE_SECONDS: Final = 0.2


class Outage:
    """An outage of the database: begun by a read that failed or took too long, ended by one that succeeded.

    `lasts`: whether the database was away when it was last asked.
    """

    def __init__(self, reads: PrimaryReads, known: LastKnown) -> None:
        """Assume that the database is there."""
        self.lasts = False
        self._reads = reads
        self._known = known
        self._probe: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Remember that the database does not answer, and keep asking it in the background."""
        self._known.away()
        self.lasts = True
        if self._probe is None or self._probe.done():
            self._probe = asyncio.create_task(self._until_it_answers())

    def end(self) -> None:
        """Note that the database has answered. A probe under way is not cancelled: that would break its connection."""
        self.lasts = False

    async def close(self) -> None:
        """Stop asking the database."""
        self.lasts = False
        if self._probe is not None:
            self._probe.cancel()
            await asyncio.wait({self._probe}, timeout=1)

    async def _until_it_answers(self) -> None:
        while self.lasts:
            try:
                asked_at = boot_seconds()
                async with self._reads.read() as session:
                    clock = await session.instant()
            except RestoredBehindError:  # it answers: exempt purposes are read from it
                self._known.is_back()
                self.lasts = False
            except DatabaseUnavailableError:
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                self._known.heard(clock, asked_at)
                self.lasts = False


@dataclass(frozen=True, slots=True)
class Primary:
    """Where facts are read when memory may not be used, and what is remembered of them for an outage.

    `patience`: the seconds that a request with an exempt purpose waits for the database before it is taken to be away.
    """

    reads: PrimaryReads
    known: LastKnown
    outage: Outage
    patience: float
    uses: Uses
    by: DecidedBy
    limits: RateLimits


async def answer_from_database(
    primary: Primary, presented: Credential, questions: Sequence[Question], instant: float
) -> AnsweredRequest:
    """Find the caller and answer its questions on facts read for them.

    Args:
        primary: where to read.
        presented: the caller's credential.
        questions: what is asked.
        instant: an estimate of the database's clock, for when the database cannot be asked.

    Raises:
        ScopeMissingError: the caller may not ask for decisions at all.
        OverQuotaError: the caller has used up its quota, and no question is about an exempt processing.
        DatabaseUnavailableError: the database is away and this credential was never seen.

    """
    at = datetime.fromtimestamp(instant, UTC)
    reading = _read_and_answer(primary, presented, questions, instant)
    if not _knows_exempt(primary, presented, questions, at):
        return await reading
    if primary.outage.lasts:
        reading.close()
        return _answer_without_database(primary, presented, questions, at)
    # Not cancelled when it takes too long: psycopg would then ask a silent server to cancel it, and wait for that.
    task = asyncio.create_task(reading)
    done, _ = await asyncio.wait({task}, timeout=primary.patience)
    if done:
        return task.result()
    task.add_done_callback(_retrieve)
    primary.outage.begin()
    return _answer_without_database(primary, presented, questions, at)


async def _read_and_answer(
    primary: Primary, presented: Credential, questions: Sequence[Question], instant: float
) -> AnsweredRequest:
    """Answer on facts read now; without the database if it does not answer."""
    learnt = _Learnt(boot_seconds())
    try:
        async with primary.reads.read() as session:
            answered = await _answer(session, primary, presented, questions, instant, learnt)
        # Only now is it known that the server which answered is the primary.
        learnt.remember(primary.known, primary.uses)
    except BusyError:
        raise  # the database answers
    except RestoredBehindError:
        return await _exempt_alone(primary, presented, questions, instant, Unanswered.BEHIND)
    except DatabaseUnavailableError as error:
        unknown = primary.known.caller(presented.digest, datetime.fromtimestamp(instant, UTC)) is None
        answers = isinstance(error, NotDurableError) or primary.reads.connected or not primary.outage.lasts
        # What was known may just have been forgotten, because another primary was found that is not proven yet.
        others = Unanswered.UNKNOWABLE if unknown and answers else None
        return await _exempt_alone(primary, presented, questions, instant, others)
    primary.outage.end()
    return answered


async def _exempt_alone(
    primary: Primary, presented: Credential, questions: Sequence[Question], instant: float, others: Unanswered | None
) -> AnsweredRequest:
    """Answer exempt purposes alone: without the database if `others` is None, else by a read; `others` for the rest.

    What a database that was set back says is remembered for an outage: hours may pass until an operator has dealt with
    it. Nothing is remembered from one that is not proven to be the primary.
    """
    if others is not None:
        with suppress(DatabaseUnavailableError):
            learnt = _Learnt(boot_seconds())
            async with primary.reads.read_exempt() as session:
                answered = await _answer(session, primary, presented, questions, instant, learnt, others=others)
            if others is Unanswered.BEHIND:
                learnt.remember(primary.known, primary.uses)
                primary.outage.end()
            return answered
    primary.outage.begin()
    return _answer_without_database(primary, presented, questions, datetime.fromtimestamp(instant, UTC))


def _retrieve(task: "asyncio.Task[AnsweredRequest]") -> None:
    """Take the outcome of a read that no request awaits any more, so that asyncio does not complain of it."""
    if not task.cancelled():
        task.exception()


@dataclass(slots=True)
class _Learnt:
    """What a read found, to be remembered for an outage once its server is known to be the primary.

    `began`: the time before the read (CLOCK_BOOTTIME).
    """

    began: float
    caller: tuple[bytes, Authenticated] | None = None
    processings: dict[str, Processing | None] = field(default_factory=dict)
    clock: tuple[datetime, float] | None = None

    def remember(self, known: LastKnown, uses: Uses) -> None:
        """Remember all of it, and that the credential was used."""
        if self.caller is not None:
            known.remember_caller(*self.caller, self.began)
            uses.note(self.caller[1])
        for identifier, processing in self.processings.items():
            known.remember_processing(identifier, processing, self.began)
        if self.clock is not None:
            known.heard(*self.clock)


async def _answer(  # noqa: PLR0917 - where to read, who asks what, and what is learnt of it
    session: ReadSession,
    primary: Primary,
    presented: Credential,
    questions: Sequence[Question],
    instant: float,
    learnt: _Learnt,
    *,
    others: Unanswered | None = None,
) -> AnsweredRequest:
    """Find the caller and judge its questions; with `others`, judge exempt purposes only: the rest get `others`."""
    authenticated = await authenticate(session, presented)
    if authenticated is None:
        primary.known.remember_caller(presented.digest, None, learnt.began)  # forgetting needs no proof
        return AnsweredRequest(None, (), instant)
    learnt.caller = (presented.digest, authenticated)
    caller = authenticated.caller
    caller.require(Scope.DECISIONS_EVALUATE)
    answers: list[Answer] = [Unanswered.NOT_ALLOWED] * len(questions)
    places = [place for place, each in enumerate(questions) if caller.may_ask_about(each.processing)]
    records = await load_processings(session, {questions[place].processing for place in places})
    exempt = {place: _is_exempt(records.get(questions[place].processing)) for place in places}
    refusal, standing = others, None
    if others is None:
        exempt_alone, standing = count_questions(primary.limits, caller, list(exempt.values()))
        refusal = Unanswered.LIMITED if exempt_alone else None
    if refusal is not None:
        answers = [refusal if exempt.get(place) is False else each for place, each in enumerate(answers)]
        places = [place for place in places if exempt[place]]
    requests = [questions[place].as_request() for place in places]
    read = await read_facts(session, requests, records)
    for place, request, facts in zip(places, requests, read.of_each, strict=True):
        answers[place] = judge(request, facts, primary.by)
    learnt.clock = (read.now, read.asked_at)
    for identifier in {questions[place].processing for place in places}:
        record = records.get(identifier)
        learnt.processings[identifier] = record.facts if record is not None else None
    return AnsweredRequest(caller, answers, read.now.timestamp(), standing)


def _is_exempt(record: ProcessingRecord | None) -> bool:
    return record is not None and record.facts.is_exempt


def _knows_exempt(primary: Primary, presented: Credential, questions: Sequence[Question], at: datetime) -> bool:
    """Return whether this caller is known, and one of its questions is about a processing known to be exempt."""
    caller = primary.known.caller(presented.digest, at)
    return caller is not None and any(
        caller.may_ask_about(question.processing) and primary.known.exempt_processing(question.processing) is not None
        for question in questions
    )


def _answer_without_database(
    primary: Primary, presented: Credential, questions: Sequence[Question], at: datetime
) -> AnsweredRequest:
    caller = primary.known.caller(presented.digest, at)
    if caller is None:
        raise DatabaseUnavailableError
    caller.require(Scope.DECISIONS_EVALUATE)
    answers = [_answer_if_exempt(primary, caller, question, at) for question in questions]
    return AnsweredRequest(caller, answers, at.timestamp())


def _answer_if_exempt(primary: Primary, caller: Caller, question: Question, at: datetime) -> Answer:
    if not caller.may_ask_about(question.processing):
        return Unanswered.NOT_ALLOWED
    processing = primary.known.exempt_processing(question.processing)
    if processing is None:
        return Unanswered.UNKNOWABLE
    # Not before what is recorded as done: a suspension that this process has read binds it, even if a clock is behind.
    done = max((change.at for change in processing.changes), default=at)
    return judge(question.as_request(), Facts(processing, {}, max(at, done)), primary.by)
