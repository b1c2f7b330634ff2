"""Decisions that arrive together are recorded together: one transaction, one commit and one confirmation for many.

While one group is recorded, what arrives is the next. Each decision is judged, answered and refused for itself, its
caller looked up in the transaction, and its Idempotency-Key claimed there. Nobody waits for a person whom somebody else
holds: whoever writes about that person waits alone.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

import structlog

from app.api.consents.together import Order, together
from app.auth.idempotency import Answer
from app.db.database import BusyError, DatabaseUnavailableError, OutcomeUnknownError, RestoredBehindError
from app.db.session import PartRefusedError, TransactionRefusedError
from app.operations.service.deployment import Deployment
from app.register.remembered import RegisterEntries
from app.snapshot.writer import Writer

TOGETHER: Final = 100
"""How many are recorded in one transaction at most: some tens of milliseconds."""
_ABOUT_ONE: Final = 5
_ALONE_AT_ONCE: Final = 3
_PATIENCE: Final = 5.0
"""Seconds that one may wait for its turn to wait alone."""
_MOST_WAITING: Final = 2_000
log = structlog.get_logger("sceau")


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    order: Order
    answer: "asyncio.Future[Answer]"
    context: Context = field(default_factory=copy_context)
    """Of the request: what a group does belongs to the trace of its first."""

    @property
    def key(self) -> tuple[UUID, bytes] | None:
        """The Idempotency-Key of it, by its caller and its hash."""
        call = self.order.call
        return None if call is None else (call.caller, call.key_hash)

    def tell(self, told: Answer | Exception) -> None:
        """Give the answer to whoever still waits for it."""
        if self.answer.done():
            return
        if isinstance(told, Answer):
            self.answer.set_result(told)
        else:
            self.answer.set_exception(told)


@dataclass(slots=True)
class RecordingGroups:
    """Records what arrives, in groups. `keep`: how long an answer is given again under its Idempotency-Key.

    `alone`: of each person whom others hold, what waits behind the one decision that waits for them. What is said about
    one person is recorded in the order in which it arrived.
    """

    writer: Writer
    deployment: Deployment
    keep: timedelta
    waiting: deque[_Waiting] = field(default_factory=deque)
    running: set["asyncio.Task[None]"] = field(default_factory=set)
    recording: "asyncio.Task[None] | None" = None
    due: bool = False
    register: RegisterEntries = field(default_factory=RegisterEntries)
    keys: set[tuple[UUID, bytes]] = field(default_factory=set)
    alone: dict[bytes, deque[_Waiting]] = field(default_factory=dict)
    patient: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_ALONE_AT_ONCE))

    async def record(self, order: Order) -> Answer:
        """Record one decision with others; its answer, when its transaction is committed and confirmed.

        Raises:
            DomainError: it is refused.
            UnauthorizedError: the credential is not in force any more.
            OutcomeUnknownError: nobody knows whether it was recorded.
            DatabaseUnavailableError: it was not recorded, or too many wait already.

        """
        if len(self.waiting) >= _MOST_WAITING:
            raise DatabaseUnavailableError
        if order.is_grant:
            self.writer.require_whole()
        mine = _Waiting(order, asyncio.get_running_loop().create_future())
        self.waiting.append(mine)
        if not self.due:
            # At the end of this pass of the event loop: what arrives in it, as the items of a batch do, is one group.
            self.due = True
            asyncio.get_running_loop().call_soon(self._begin)
        return await mine.answer

    async def close(self) -> None:
        """End the groups that are still under way: their clients have gone away, for all other requests have ended."""
        _tell_all(self.waiting, DatabaseUnavailableError())
        while self.running:
            for task in self.running:
                task.cancel()
            await asyncio.gather(*self.running, return_exceptions=True)
        for behind in self.alone.values():  # of tasks that were ended before they began
            _tell_all(behind, DatabaseUnavailableError())

    def _begin(self) -> None:
        """Begin the next group, unless one is being recorded: that one begins it, once it is committed."""
        self.due = False
        if self.recording is None and (some := self._take()):
            self.recording = self._spawn(some, self._run(some, waiting=False))

    def _spawn(self, some: Sequence[_Waiting], work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        self.keys |= {key for one in some if (key := one.key) is not None}
        task = asyncio.get_running_loop().create_task(work, context=some[0].context)
        self.running.add(task)
        task.add_done_callback(partial(self._ended, some))
        return task

    def _ended(self, some: Sequence[_Waiting], task: "asyncio.Task[None]") -> None:
        """A task has ended: what waited for it, by its turn or by its Idempotency-Key, may begin."""
        if task.cancelled():
            _tell_all(some, DatabaseUnavailableError())  # those that are told nothing yet: it had not begun
        self.running.discard(task)
        self._recorded(task)
        self._begin()

    def _recorded(self, task: "asyncio.Task[None] | None") -> None:
        if task is self.recording:
            self.recording = None
            self._begin()

    def _take(self) -> list[_Waiting]:
        """The next group: one under an Idempotency-Key of which another is under way waits until that is answered.

        A few about one person at a time: each looks at everything that is recorded of that person. Where one about a
        person waits, those about the same person that came after it wait too.
        """
        taken: list[_Waiting] = []
        left: list[_Waiting] = []
        keys, about, passed = set(self.keys), Counter[bytes](), set(self.alone)
        while self.waiting and len(taken) < TOGETHER:
            one = self.waiting.popleft()
            if one.answer.done():
                continue  # nobody waits for it any more, and nothing of it was begun
            person = one.order.person
            if (one.key is not None and one.key in keys) or about[person] == _ABOUT_ONE or person in passed:
                left.append(one)
                passed.add(person)
            else:
                taken.append(one)
                about[person] += 1
                keys |= {one.key} if one.key is not None else set()
        self.waiting.extendleft(reversed(left))
        return taken

    async def _run(self, some: list[_Waiting], *, waiting: bool) -> None:
        """Record some, and tell each; alone, where others hold the person or the database refuses one of them."""
        try:
            await self._record(some, waiting=waiting)
        except (BusyError, PartRefusedError, TransactionRefusedError) as error:
            self._alone(some, error)
        except RestoredBehindError as error:
            await self._without_grants(some, error, waiting=waiting)
        except DatabaseUnavailableError as error:  # nothing was recorded, or that is not known: as the error says
            _tell_all(some, error)
        except Exception as error:  # noqa: BLE001 - whatever it is: nobody may wait for ever
            log.warning("a group of decisions failed", cause=type(error).__name__)
            _tell_all(some, error)
        except BaseException:  # it is ended from outside, perhaps behind its commit
            _tell_all(some, OutcomeUnknownError())
            raise
        finally:
            self.keys -= {one.key for one in some if one.answer.done()}

    @asynccontextmanager
    async def _turn(self, *, waiting: bool) -> AsyncIterator[None]:
        """Let a few at a time wait for others, so that they never use up the connections; the rest wait here.

        Raises:
            BusyError: its turn did not come in time.

        """
        if not waiting:
            yield
            return
        try:
            async with asyncio.timeout(_PATIENCE):
                await self.patient.acquire()
        except TimeoutError:
            raise BusyError from None
        try:
            yield
        finally:
            self.patient.release()

    async def _without_grants(self, some: list[_Waiting], error: Exception, *, waiting: bool) -> None:
        """Refuse the grants of a group, which a database that was set back does not take, and record the rest."""
        rest = [one for one in some if not one.order.is_grant]
        if len(rest) == len(some):
            # One tells an age that makes somebody older. Sent again it is recorded, for the restore is known now.
            _tell_all(some, error)
            return
        _tell_all([one for one in some if one.order.is_grant], error)
        if rest:
            await self._run(rest, waiting=waiting)

    def _alone(self, some: Sequence[_Waiting], error: Exception) -> None:
        """Give each a transaction of its own; one that had its own is told what became of it."""
        if len(some) == 1:
            some[0].tell(error)
            return
        self._wait_alone(some)

    def _wait_alone(self, some: Iterable[_Waiting]) -> None:
        """Have each wait in a transaction of its own, one about a person at a time."""
        for one in some:
            person = one.order.person
            if person in self.alone:
                self.alone[person].append(one)
            else:
                self.alone[person] = deque()
                self._spawn([one], self._one_after_another(person, one))

    async def _one_after_another(self, person: bytes, one: _Waiting) -> None:
        """Record one, and then what came behind it; where the person is not let go, nobody else waits for them."""
        behind = self.alone[person]
        error: Exception = DatabaseUnavailableError()
        try:
            await self._run([one], waiting=True)
            while behind and not _was_busy(one):
                one = behind.popleft()
                if not one.answer.done():  # else nobody waits for it any more
                    await self._run([one], waiting=True)
            error = BusyError()
        finally:
            del self.alone[person]
            _tell_all(behind, error)
            self.keys -= {each.key for each in behind}

    async def _record(self, some: list[_Waiting], *, waiting: bool) -> None:
        """Record some in one transaction, and tell each after it; takes out of them those whom others hold."""
        mine = asyncio.current_task()
        # As soon as this group is committed the next one is recorded, while this one still waits for replicas.
        async with self._turn(waiting=waiting):
            whole = await together(self.deployment, [one.order for one in some], self.keep, waiting=waiting)
            async with self.writer.write(lambda: self._recorded(mine), whole.lookups) as session:
                told = await whole.record(session, self.register)
                busy = [one for one in some if one.order not in told]
                some[:] = [one for one in some if one.order in told]
                # Before the commit, which begins the next group: nothing about these people may overtake them.
                self._wait_alone(busy)
        for one in some:
            one.tell(told[one.order])


def _was_busy(one: _Waiting) -> bool:
    """Whether others held what one needed, and did not let it go in time."""
    return one.answer.done() and not one.answer.cancelled() and isinstance(one.answer.exception(), BusyError)


def _tell_all(some: Iterable[_Waiting], error: Exception) -> None:
    for one in some:
        one.tell(error)
