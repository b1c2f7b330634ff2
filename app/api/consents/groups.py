"""Decisions that arrive together are recorded together: one transaction, one commit and one confirmation for many.

A request makes an order of each decision (`Grouped`). The orders that arrive while one group is recorded form the next,
which begins beside it if it is whole (`RecordingGroups`). Each decision is judged, and answered or refused, separately;
its caller is looked up and its Idempotency-Key claimed in the transaction (`Group`). A group never waits for a person
whom another transaction holds: the orders about that person wait alone.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from typing import Annotated, Any, Final
from uuid import UUID

import structlog
from fastapi import Depends, Request, Response
from pydantic import BaseModel, Field

from app.api.http.services import Write, WriteDep
from app.api.http.wire import RecordView
from app.auth.callers import Authenticated, Caller, Credential, Scope, UnauthorizedError
from app.auth.store import (
    Answer,
    CallName,
    IdempotentCall,
    KeyClaim,
    KeyClaims,
    authentication,
    keep_answer,
    kept_as_they_are,
    release,
)
from app.core.article import PARIS, Element
from app.core.consent import Defect, EventKind, State
from app.core.errors import DomainError
from app.db.database import BusyError, DatabaseUnavailableError, OutcomeUnknownError, RestoredBehindError
from app.db.session import LookedUp, Lookup, PartRefusedError, TransactionRefusedError, WriteSession
from app.operations.consents.ledgers import Opening, OpenLedgers, opening_of
from app.operations.consents.recorder import Collected, ConsentView, Done, Said, named_in, record
from app.operations.consents.statements import record_import
from app.operations.service.deployment import Deployment
from app.register.store import RegisterEntries
from app.snapshot.writer import Writer
from app.telemetry.spans import cause, caused_by

TOGETHER: Final = 100
"""The most decisions that are recorded in one transaction, which takes some tens of milliseconds."""
_AT_ONCE: Final = 2
"""How many groups are recorded at once: while the database works on one, this process judges the next."""
_ABOUT_ONE: Final = 5
_ALONE_AT_ONCE: Final = 3
_PATIENCE: Final = 5.0
"""How many seconds an order may wait for its turn to wait alone."""
_MOST_WAITING: Final = 2_000
log = structlog.get_logger("sceau")


@dataclass(frozen=True, slots=True, eq=False)
class Order:
    """One decision to record, and the future in which its request gets the answer.

    `decision`: what to record. `caller`, `presented`: the id of the caller, and the credential that it presented.
    `call`: the Idempotency-Key. `status`: that of the answer, if the decision is recorded. `person`: the locator of its
    person, the same however the id is spelt; decisions about one person are recorded in the order in which they came.
    `request`: which request asks, since two items of a batch may name one person differently. `cause`: the span of the
    request. `context`: that of the request; a group runs in that of its first order.
    """

    decision: Said
    caller: UUID
    presented: Credential
    call: IdempotentCall | None
    status: int
    person: bytes
    request: object
    cause: str | None = None
    answer: "asyncio.Future[Answer]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    context: Context = field(default_factory=copy_context)

    @property
    def is_grant(self) -> bool:
        """Whether the order is a grant, which may permit more."""
        return isinstance(self.decision, Collected) and self.decision.kind is EventKind.GRANTED

    @property
    def holds(self) -> frozenset[object]:
        """What its transaction holds and another one may not have: its person, request and whole Idempotency-Key."""
        parts = (self.person, self.request)
        return frozenset(parts if self.call is None else (*parts, self.call.name[:2]))

    @property
    def key(self) -> CallName | None:
        """The name of the order's part of its Idempotency-Key."""
        return None if self.call is None else self.call.name

    def tell(self, answer: Answer | Exception) -> None:
        """Give the answer to the request, if it still waits for it."""
        if self.answer.done():
            return
        if isinstance(answer, Answer):
            self.answer.set_result(answer)
        else:
            self.answer.set_exception(answer)


_Kept = dict[bytes, deque[Order]]
"""By person, the orders that wait until the result of their group is known."""


@dataclass(slots=True)
class RecordingGroups:
    """Records the orders that arrive, in groups.

    `recording`: by task, what the groups hold that have not committed yet. `alone`: by person whom other transactions
    hold, the orders that wait behind the one that waits for the person. Orders about one person are recorded in the
    order in which they arrived.
    """

    writer: Writer
    deployment: Deployment
    waiting: deque[Order] = field(default_factory=deque)
    running: set["asyncio.Task[None]"] = field(default_factory=set)
    recording: "dict[asyncio.Task[None] | None, frozenset[object]]" = field(default_factory=dict)
    due: bool = False
    register: RegisterEntries = field(default_factory=RegisterEntries)
    keys: set[CallName] = field(default_factory=set)
    alone: dict[bytes, deque[Order]] = field(default_factory=dict)
    patient: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_ALONE_AT_ONCE))

    async def record(self, order: Order) -> Answer:
        """Record one decision together with others; return its answer once its transaction is committed and confirmed.

        Raises:
            DomainError: the decision is refused.
            UnauthorizedError: the credential is no longer in force.
            OutcomeUnknownError: it is not known whether the decision was recorded.
            DatabaseUnavailableError: it was not recorded, or too many orders wait already.

        """
        if len(self.waiting) >= _MOST_WAITING:
            raise DatabaseUnavailableError
        if order.is_grant:
            self.writer.require_whole()
        self.waiting.append(order)
        if not self.due:
            # The group begins at the end of this pass of the event loop, so that the items of a batch are one group.
            self.due = True
            asyncio.get_running_loop().call_soon(self._begin)
        return await order.answer

    async def close(self) -> None:
        """End the groups that are still under way: their clients have gone away, for all other requests have ended."""
        _tell_all(self.waiting, DatabaseUnavailableError())
        while self.running:
            for task in self.running:
                task.cancel()
            await asyncio.gather(*self.running, return_exceptions=True)
            # From Python 3.12 on, `gather` does not wait if all tasks have ended. The loop calls the callback that
            # removes them from `running`, so the loop must have its turn.
            await asyncio.sleep(0)
        for behind in self.alone.values():  # the orders behind tasks that were cancelled before they began
            _tell_all(behind, DatabaseUnavailableError())

    def _begin(self) -> None:
        """Begin the next group once the one before has committed, or beside it where a whole group waits already."""
        self.due = False
        while len(self.recording) < _AT_ONCE and len(self.waiting) >= TOGETHER * len(self.recording):
            some = self._take()
            if not some:
                return
            task = self._spawn(some, self._run(some, waiting=False))
            self.recording[task] = frozenset[object]().union(*(order.holds for order in some))

    def _spawn(self, some: Sequence[Order], work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        self.keys |= {key for order in some if (key := order.key) is not None}
        task = asyncio.get_running_loop().create_task(work, context=some[0].context)
        self.running.add(task)
        task.add_done_callback(partial(self._ended, some))
        return task

    def _ended(self, some: Sequence[Order], task: "asyncio.Task[None]") -> None:
        """Begin the orders that waited for a task that has ended: for their turn, or for an Idempotency-Key."""
        if task.cancelled():
            _tell_all(some, DatabaseUnavailableError())  # orders without an answer: the task had not begun
        self.running.discard(task)
        self._recorded(task)

    def _recorded(self, task: "asyncio.Task[None] | None") -> None:
        """Begin what had to wait for what this task held."""
        self.recording.pop(task, None)
        self._begin()

    def _take(self) -> list[Order]:
        """Take the next group; an order waits while another one with its Idempotency-Key is under way.

        So does one whose person, request or key a group under way holds. It takes a few orders about one person at a
        time, since each reads everything recorded about that person. If an order waits, the later ones about the same
        person wait too.
        """
        group: list[Order] = []
        left: list[Order] = []
        keys, about, passed = set(self.keys), Counter[bytes](), set(self.alone)
        held = frozenset[object]().union(*self.recording.values())
        while self.waiting and len(group) < TOGETHER:
            order = self.waiting.popleft()
            if order.answer.done():
                continue  # no request waits for it any more, and nothing of it was begun
            person = order.person
            busy = (order.key is not None and order.key in keys) or not held.isdisjoint(order.holds)
            if busy or about[person] == _ABOUT_ONE or person in passed:
                left.append(order)
                passed.add(person)
            else:
                group.append(order)
                about[person] += 1
                keys |= {order.key} if order.key is not None else set()
        self.waiting.extendleft(reversed(left))
        return group

    async def _run(self, some: list[Order], *, waiting: bool) -> None:
        """Record a group and answer each order; if a person is held, or the database refuses one, each runs alone."""
        kept: _Kept = {}
        try:
            await self._record(some, kept, waiting=waiting)
        except (BusyError, PartRefusedError, TransactionRefusedError) as error:
            if len(some) == 1:  # it had a transaction for itself
                some[0].tell(error)
            else:
                self._keep_back(some, kept, first=True)
        except RestoredBehindError as error:
            await self._without_grants(some, error, waiting=waiting)
        except DatabaseUnavailableError as error:  # it says whether nothing was recorded, or that is unknown
            _tell_all(some, error)
        except Exception as error:  # noqa: BLE001 - whichever error it is, no request may wait for ever
            log.warning("a group of decisions failed", cause=type(error).__name__)
            _tell_all(some, error)
        except BaseException:  # the task is cancelled, perhaps after its commit
            _tell_all(some, OutcomeUnknownError())
            raise
        finally:
            self.keys -= {order.key for order in some if order.answer.done()}
            self._begin_alone(kept)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Let a few transactions at a time wait for others, lest they use up the connections; the rest wait here.

        Raises:
            BusyError: the turn did not come in time.

        """
        try:
            async with asyncio.timeout(_PATIENCE):
                await self.patient.acquire()
        except TimeoutError:
            raise BusyError from None
        try:
            yield
        finally:
            self.patient.release()

    async def _without_grants(self, some: list[Order], error: Exception, *, waiting: bool) -> None:
        """Refuse the grants of a group, since a database that was set back takes none, and record the rest."""
        rest = [order for order in some if not order.is_grant]
        if len(rest) == len(some):
            # An order states an age that makes its person older. It is recorded if it is sent again: the restore is
            # known now.
            _tell_all(some, error)
            return
        _tell_all([order for order in some if order.is_grant], error)
        if rest:
            await self._run(rest, waiting=waiting)

    def _keep_back(self, some: Iterable[Order], kept: _Kept, *, first: bool = False) -> None:
        """Let each order wait for a separate transaction, one at a time for each person, so that none overtakes.

        They begin once the result of their group is known (`_begin_alone`). `first`: these orders failed with the
        group, and go in front of those whose person others held.
        """
        by_person: dict[bytes, list[Order]] = {}
        for order in some:
            by_person.setdefault(order.person, []).append(order)
        for person, theirs in by_person.items():
            if person not in self.alone:
                self.alone[person] = kept[person] = deque()
            if first and person in kept:
                kept[person].extendleft(reversed(theirs))
            else:
                self.alone[person].extend(theirs)

    def _begin_alone(self, kept: _Kept) -> None:
        for person, behind in kept.items():
            order = behind.popleft()
            self._spawn([order], self._one_after_another(person, order))
        kept.clear()

    async def _one_after_another(self, person: bytes, order: Order) -> None:
        """Record one order, then those that wait behind it; if others keep holding the person, those fail at once."""
        behind = self.alone[person]
        error: Exception = DatabaseUnavailableError()
        try:
            await self._run([order], waiting=True)
            while behind and not _was_busy(order):
                order = behind.popleft()
                if order.answer.done():  # no request waits for it any more
                    self.keys -= {order.key}
                else:
                    await self._run([order], waiting=True)
            error = BusyError()
        finally:
            del self.alone[person]
            _tell_all(behind, error)
            self.keys -= {each.key for each in behind}

    async def _record(self, some: list[Order], kept: _Kept, *, waiting: bool) -> None:
        """Record orders in one transaction and answer each after it; those whose person others hold go to `kept`."""
        mine = asyncio.current_task()

        def committed() -> None:
            self._begin_alone(kept)
            # The next group is recorded as of now, while this one still waits for replicas.
            self._recorded(mine)

        async with self._turn() if waiting else nullcontext():
            group = await together(self.deployment, list(some), waiting=waiting)
            async with self.writer.write(committed, group.lookups) as session:
                answers = await group.record(session, self.register)
                self._keep_back([order for order in some if order not in answers], kept)
                some[:] = [order for order in some if order in answers]
        for order in some:
            order.tell(answers[order])


def _was_busy(order: Order) -> bool:
    """Whether this order failed because others held the person or document that it needed."""
    return order.answer.done() and not order.answer.cancelled() and isinstance(order.answer.exception(), BusyError)


def _tell_all(some: Iterable[Order], error: Exception) -> None:
    for order in some:
        order.tell(error)


def _let_in_again(authenticated: Authenticated | None, caller_id: UUID) -> Caller:
    """The caller that authenticated, if the route let in the same one: an identity may be another caller's by now.

    Raises:
        UnauthorizedError: the credential is not in force any more.
        ScopeMissingError: the caller has lost the scope.

    """
    if authenticated is None or authenticated.caller.id != caller_id:
        raise UnauthorizedError(presented=True)
    authenticated.caller.require(Scope.CONSENTS_WRITE)
    return authenticated.caller


_Callers = dict[tuple[bytes, UUID], Caller | Exception]
"""Each caller, or why it is refused now, by the digest of the credential and the id of the caller let in with it."""


@dataclass(frozen=True, slots=True)
class Group:
    """The decisions of one transaction, and the look-ups that begin it, in one round trip (`Database.write`).

    Callers are looked up after everything that may have waited for other transactions, so that a key that was revoked
    meanwhile records nothing.
    """

    some: Sequence[Order]
    claims: KeyClaims
    opening: Opening
    callers: Mapping[bytes, Lookup[Authenticated | None]]

    @property
    def lookups(self) -> tuple[Lookup[Any], ...]:
        """The look-ups, in the order in which they are to be sent."""
        kept = kept_as_they_are({order.caller for order in self.some})
        return (*self.claims.lookups, *self.opening.lookups, kept, *self.callers.values())

    async def record(self, session: WriteSession, register: RegisterEntries) -> dict[Order, Answer | Exception]:
        """Record the orders; return each one's answer for after the commit, without those whose person others hold.

        Args:
            session: the transaction that the look-ups began.
            register: the remembered entries of the register.

        """
        callers = self._callers(session.lead)
        answers: dict[Order, Answer | Exception] = {}
        left: list[Order] = []
        waits: set[bytes] = set()
        claimed = self.claims.outcomes(session, session.lead)
        for order in self.some:
            caller = callers[order.presented.digest, order.caller]
            claim = KeyClaim.OWN if order.call is None else claimed[order.call]
            if isinstance(caller, Exception):
                answers[order] = caller
                if order.call is not None and claim is KeyClaim.OWN:
                    release(session, order.call)
            elif not isinstance(claim, KeyClaim):
                answers[order] = claim
            elif claim is KeyClaim.OWN and order.person not in waits:
                left.append(order)
            else:
                # Another request holds its key, or it waits behind such an order: later orders about the person wait.
                waits.add(order.person)
                if order.call is not None and claim is KeyClaim.OWN:
                    release(session, order.call)
        if any(isinstance(answer, Answer) for answer in answers.values()):
            await session.repeat()
        if not left:
            return answers
        processings = {order.decision.processing for order in left if order.decision.processing is not None}
        opened = await self.opening.open(session, session.lead, processings, register)
        return {**answers, **await self._record(session, left, callers, opened)}

    def _callers(self, results: LookedUp) -> _Callers:
        """The callers. None changes before this transaction ends: a change of a caller or its keys waits for it."""
        callers: _Callers = {}
        for order in self.some:
            key = (order.presented.digest, order.caller)
            if key not in callers:
                lookup = self.callers[order.presented.digest]
                try:
                    callers[key] = _let_in_again(lookup.read(results[lookup]), order.caller)
                except (UnauthorizedError, DomainError) as error:
                    callers[key] = error
        return callers

    async def _record(
        self, session: WriteSession, left: Sequence[Order], callers: _Callers, opened: OpenLedgers
    ) -> dict[Order, Answer | Exception]:
        answers: dict[Order, Answer | Exception] = {}
        importing: dict[Caller, None] = {}
        for order in left:
            caller = callers[order.presented.digest, order.caller]
            if isinstance(caller, Exception):
                continue
            if not opened.is_busy(order.decision.subject):
                try:
                    caller.require_processing(order.decision.processing)
                    with caused_by(order.cause):
                        recorded = await record(caller, order.decision, opened)
                except (DomainError, PartRefusedError) as error:
                    answers[order] = error
                else:
                    answers[order] = answer = Answer(order.status, _body(recorded.done))
                    if order.call is not None:
                        keep_answer(session, order.call, answer, frozenset((recorded.entry.subject_ref,)))
                    if recorded.entry.imported:
                        importing[caller] = None
            if order.call is not None and not isinstance(answers.get(order), Answer):
                release(session, order.call)  # a key under which nothing was recorded is free again
            await asyncio.sleep(0)  # decisions and other requests have their turn between two of them
        for caller in importing:
            await record_import(session, caller)
        return answers


async def together(deployment: Deployment, some: Sequence[Order], *, waiting: bool) -> Group:
    """Prepare to record some decisions in one transaction.

    Args:
        deployment: the deployment that records them.
        some: the orders of the decisions.
        waiting: whether to wait for people and keys that other transactions hold.

    """
    claims = KeyClaims([order.call for order in some if order.call is not None], waiting=waiting)
    named = named_in([order.decision for order in some])
    opening = await opening_of(deployment, named, documents=named, waiting=waiting)
    callers = {order.presented.digest: authentication(order.presented) for order in some}
    return Group(some, claims, opening, callers)


# What is answered to a decision that was recorded. No answer holds a subject's id: the ledger does not keep it.


class ConsentBody(BaseModel):
    """One consent: what a granted or refused event began, and its state now."""

    id: UUID
    subject_ref: str = Field(description="The subject's pseudonym (hex)")
    processing: str
    version: int
    decision: EventKind
    state: State
    elements: list[Element] | None = None
    collected_at: datetime
    collected_on: date = Field(description="The civil date in Paris on which the year is counted")
    expires_at: datetime | None = Field(default=None, description="First instant at which it is no longer in force")
    defects: list[Defect] | None = Field(default=None, description="Why it is invalid, given when it is recorded")


class WithdrawalBody(RecordView):
    """The entry of the ledger, the consents that ended, and since when no decision relies on them."""

    id: UUID
    matched: bool = Field(
        description="False when nothing but withdrawals was recorded of that id: is it the right one?"
    )
    withdrawn: list[UUID]
    effective_at: datetime


def consent_body(view: ConsentView) -> ConsentBody:
    """The wire form of a consent."""
    event = view.event
    return ConsentBody(
        id=event.id,
        subject_ref=view.subject_ref.hex(),
        processing=event.processing or "",
        version=event.version or 0,
        decision=event.kind,
        state=view.state,
        elements=sorted(event.elements) if event.elements is not None else None,
        collected_at=event.collected_at,
        collected_on=event.collected_at.astimezone(PARIS).date(),
        expires_at=view.expires_at,
        defects=list(view.defects) or None,
    )


def _body(done: Done) -> str:
    body = consent_body(done) if isinstance(done, ConsentView) else WithdrawalBody.of(done)
    return body.model_dump_json(exclude_none=True)


# How a request hands its decisions in.


@dataclass(frozen=True, slots=True)
class Grouped:
    """Records the decisions of one request together with those of others."""

    groups: RecordingGroups
    write: Write

    async def record(self, caller: Caller, status: int, decision: Said) -> Response:
        """Record one decision and answer once it is committed and confirmed, or repeat the earlier answer."""
        answer = await self.groups.record(self.order(caller, await self.write.call(caller), status, decision))
        return Response(answer.body, answer.status, media_type="application/json")

    def order(self, caller: Caller, call: IdempotentCall | None, status: int, decision: Said) -> Order:
        """Make the order of one decision of this request.

        Raises:
            InvalidSubjectError: the id of the person has a domain that IDNA refuses.

        """
        person = self.groups.deployment.pseudonyms.locator(decision.subject.type, decision.subject.id)
        request = self.write.request
        return Order(decision, caller.id, request.state.presented, call, status, person, request, cause())


async def _grouped(request: Request, write: WriteDep) -> Grouped:
    return Grouped(request.app.state.recording_groups, write)


GroupedDep = Annotated[Grouped, Depends(_grouped)]
"""For the routes that record decisions; their callers need the scope `consents:write`."""
