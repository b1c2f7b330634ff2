"""What decisions rest on while memory may not be used: a proven primary, or for exempt purposes the last known facts.

The last known facts are the callers and register entries that this process last read. They serve exempt processings
while the database is away: never while it answers, and never for a purpose of IV, whose permit rests on facts read for
it.
"""

import asyncio
import math
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable, Collection, Hashable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, Generic, NamedTuple, TypeVar
from uuid import UUID

from app.auth.callers import Authenticated, Caller
from app.core.processing import Processing
from app.db.connections import NotThePrimaryError
from app.db.database import Database, DatabaseUnavailableError, Look
from app.db.session import ChangeKind, ReadSession
from app.snapshot.feed import Feed
from app.snapshot.leases import RecordCache, boot_seconds
from app.snapshot.records import CallerRecord, RegisterRecord

# Where a decision reads when memory may not be used: a server that is proven to be the primary, or none.


class PrimaryReads:
    """Opens sessions for reading the facts that a permit may rest on.

    While a lease is held, they read the server that answered the last beat. While the feed is connected and its beat
    does not commit, nothing is read: behind a synchronous standby only a beat that commits proves a primary. If no beat
    of the feed's last connection committed, nothing is read until one does, since each read would wait for what the
    feed waits for. Without a feed the read proves itself, by its own commit where the server's commits wait for a
    standby.

    `causes` counts why the primary was read (`strict`: each decision reads it; `leased`: memory lacks the record;
    `no_feed`), and why a read failed (`no_commit`: no beat commits; `other_server`: the server is not the primary).
    """

    def __init__(
        self, database: Database, feed: Feed | None, look: Look, *, synchronous: bool, patience: float
    ) -> None:
        """Prepare.

        Args:
            database: the database to read.
            feed: this process's own; None in strict mode.
            look: checks whether a server was set back, where the feed has not done so.
            synchronous: whether the deployment wants a standby that its commits wait for.
            patience: the most seconds to wait for a beat: a lease, after which a silent connection is given up.

        """
        self._database = database
        self._feed = feed
        self._look = look
        self._synchronous = synchronous
        self._patience = patience
        self.causes: Counter[tuple[str, ...]] = Counter()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[ReadSession]:
        """Open a session on a primary, in which every statement sees the database as the first one does.

        So all facts of a decision are of one instant, which is not before its question came.

        Raises:
            RestoredBehindError: the database was set back.
            DatabaseUnavailableError: the database is away, or nothing proves that the server is the primary.

        """
        server = await self._server()
        try:
            if server is not None:
                async with self._database.read_from(server) as session:
                    yield session
            else:
                async with self._database.read_and_prove(look=self._look) as session:
                    yield session
        except DatabaseUnavailableError as error:
            if isinstance(error.__cause__, NotThePrimaryError):
                self.causes["other_server",] += 1
            raise

    @property
    def connected(self) -> bool:
        """Whether the feed has found a server that may be the primary."""
        return self._feed is not None and self._feed.connected

    def read_exempt(self) -> AbstractAsyncContextManager[ReadSession]:
        """Open a session for exempt purposes only, on a database that may be set back or not proven to be the primary.

        Raises:
            DatabaseUnavailableError: the database is away.

        """
        return self._database.read()

    async def _server(self) -> str | None:
        """Return the server of the last beat, or None where there is no feed or no lease."""
        if self._feed is None:
            self.causes["strict",] += 1
            return None
        if self._synchronous and self._feed.hangs:
            raise self._unproven()
        try:
            async with asyncio.timeout(self._patience):
                await self._feed.settled()
        except TimeoutError:
            raise self._unproven() from None
        held = self._feed.lease.held()
        self.causes["leased" if held else "no_feed",] += 1
        return self._feed.server if held else None

    def _unproven(self) -> DatabaseUnavailableError:
        """Return the error to raise when no beat commits, and count it."""
        self.causes["no_commit",] += 1
        return DatabaseUnavailableError()


KNOWN_SECONDS: Final = 60.0
"""Without a feed that reports changes: the oldest age, in seconds, of what may be used when an outage begins."""
_REMEMBERED_AT_MOST: Final = 10_000
_STRANGERS_AT_MOST: Final = 1_000

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class Fact(NamedTuple, Generic[_Value]):
    """What was read last of something; None: it is gone, or has changed since.

    Both are times by CLOCK_BOOTTIME. `age`: until when it had not changed, at first when the read began. `ended`: when
    the read ended, or a change was reported.
    """

    value: _Value | None
    age: float
    ended: float


class LastKnown:
    """Bounded memory of callers by credential and of register entries by id, least recently used dropped first.

    A read replaces another one only if it began when that had ended, whoever made them; where two that overlap say
    different things, neither is used: what this process has seen to be revoked or suspended stays so. Each fact has an
    age: since it was read, or since a feed last reported every change of it. What was old when an outage began is not
    used in it. It also keeps the database's clock as last heard: an outage is judged by that clock, not by this host's.
    """

    def __init__(self, longest: float | None = None) -> None:
        """Start empty.

        Args:
            longest: the oldest age (seconds) that a fact may have when an outage begins; None sets no limit.

        """
        self._longest = longest
        self._callers: OrderedDict[bytes, Fact[Authenticated]] = OrderedDict()
        self._processings: OrderedDict[str, Fact[Processing]] = OrderedDict()
        self._strangers: OrderedDict[bytes, float] = OrderedDict()  # credentials not in force, and when that was read
        self._callers_changed = 0.0
        self._followed = 0.0  # what was read before that is not confirmed by the feed any more
        self._ahead: float | None = None
        self._away_since: float | None = None
        self.forgettings = 0

    def heard(self, clock: datetime, asked_at: float) -> None:
        """Note that the database answered, and that its clock read `clock` at `asked_at` (CLOCK_BOOTTIME)."""
        self._ahead = clock.timestamp() - asked_at
        self.is_back()

    def is_back(self) -> None:
        """Note that the database answered, without a usable clock reading: an outage, if there was one, has ended."""
        self._away_since = None

    def away(self) -> None:
        """Note that the database did not answer: an outage begins, unless one has begun already."""
        if self._away_since is None:
            self._away_since = boot_seconds()

    def now(self) -> float | None:
        """Return the database's clock as an epoch time, carried on since last heard; None if it was never heard."""
        return None if self._ahead is None else boot_seconds() + self._ahead

    def remember_caller(self, digest: bytes, holder: Authenticated | None, began: float) -> None:
        """Remember the holder of a credential; None: the credential is not in force.

        Args:
            digest: the digest of the credential.
            holder: the caller that the credential was found to belong to, or None.
            began: the time (CLOCK_BOOTTIME) before the read. If some caller has changed since, the read may have been
                overtaken: its caller is not kept, and one that it contradicts is forgotten. Minus infinity for a read
                that nothing proves.

        """
        fact = self._callers.get(digest)
        ended = fact.ended if fact is not None else self._strangers.get(digest, 0.0)
        if began >= max(ended, self._callers_changed) and holder is not None:
            _keep(self._callers, digest, Fact(holder, began, boot_seconds()))
        elif fact is None and holder is None:  # guessed keys do not push out those that are known
            self._strangers[digest] = boot_seconds()
            if len(self._strangers) > _STRANGERS_AT_MOST:
                self._strangers.popitem(last=False)
        elif fact is not None and fact.value is not None:
            is_same = holder is not None and replace(fact.value, at=holder.at) == holder
            self._callers[digest] = _overlapped(fact, began, is_same=is_same)

    def caller(self, digest: bytes, at: datetime) -> Caller | None:
        """Return the caller that a credential belonged to when last looked up, if it is still valid at an instant."""
        holder = self._young(self._callers.get(digest))
        return holder.caller if holder is not None and (holder.until is None or at < holder.until) else None

    def remember_processing(self, identifier: str, processing: Processing | None, began: float) -> None:
        """Remember what a register entry was found to be; None: there is none. `began` is as for callers."""
        fact = self._processings.get(identifier)
        if processing is not None and (fact is None or began >= fact.ended):
            _keep(self._processings, identifier, Fact(processing, began, boot_seconds()))
        elif fact is not None and fact.value is not None:
            self._processings[identifier] = _overlapped(fact, began, is_same=fact.value == processing)

    def forget(self, changes: Collection[tuple[int, bytes]]) -> None:
        """Forget what was read of these facts, given as (kind, ref), because they have changed."""
        for kind, ref in changes:
            if kind == ChangeKind.PROCESSING:
                self.forget_processing(ref.decode())
            elif kind != ChangeKind.SUBJECT:
                self.forget_caller(UUID(bytes=ref))

    def forget_processing(self, identifier: str) -> None:
        """Forget a register entry that has changed, because its earlier content must not outlive a suspension."""
        self.forgettings += 1
        _keep(self._processings, identifier, Fact[Processing](None, now := boot_seconds(), now))

    def forget_caller(self, identifier: UUID) -> None:
        """Forget all credentials of a caller, because the caller or one of its keys was revoked or changed."""
        self._forget_callers(lambda holder: holder.caller is not None and holder.caller.id == identifier)

    def forget_signed_by(self, keys: frozenset[str]) -> None:
        """Forget the tokens that rest on these keys, because an issuer has withdrawn the keys."""
        self._forget_callers(lambda holder: holder.signed_by in keys)

    def _forget_callers(self, is_meant: Callable[[Authenticated | CallerRecord], bool]) -> None:
        self.forgettings += 1
        self._callers_changed = now = boot_seconds()
        for digest, fact in self._callers.items():
            if fact.value is not None and is_meant(fact.value):
                self._callers[digest] = Fact(None, now, now)

    def follow_anew(self) -> None:
        """Have what is known grow old from now on, until it is read anew: changes of it may have been missed.

        It is not forgotten: a server that has just been promoted may answer a beat, and then nothing more.
        """
        self.forgettings += 1
        for digest, caller in self._callers.items():
            self._callers[digest] = caller._replace(age=self._confirmed(caller))
        for identifier, processing in self._processings.items():
            self._processings[identifier] = processing._replace(age=self._confirmed(processing))
        self._followed = boot_seconds()
        self._away_since = None

    def forget_all(self) -> None:
        """Forget everything, because the facts came from a file and the database itself can be asked now."""
        self.forgettings += 1
        self._callers.clear()
        self._processings.clear()

    def settle(self) -> None:
        """Forget what was not read since changes were missed, because all that an outage needs has been read anew."""
        callers, processings = self._callers.items(), self._processings.items()
        self._callers = OrderedDict((key, each) for key, each in callers if each.age >= self._followed)
        self._processings = OrderedDict((key, each) for key, each in processings if each.age >= self._followed)
        self._callers_changed = boot_seconds()  # a read that began before may be of a key that is not there any more

    def exempt_processing(self, identifier: str) -> Processing | None:
        """Return the register entry as last read, if its purpose is one of III."""
        processing = self._young(self._processings.get(identifier))
        return processing if processing is not None and processing.is_exempt else None

    def knows_callers(self) -> bool:
        """Return whether any caller could be answered without the database."""
        return any(self._young(fact) is not None for fact in self._callers.values())

    def _confirmed(self, fact: Fact[Any]) -> float:
        """Return the time (CLOCK_BOOTTIME) up to which a fact had not changed."""
        return fact.age

    def _young(self, fact: Fact[_Value] | None) -> _Value | None:
        """Return a fact that was young enough when the outage began."""
        return fact.value if fact is not None and self._is_young(self._confirmed(fact)) else None

    def _is_young(self, confirmed: float) -> bool:
        began = boot_seconds() if self._away_since is None else self._away_since
        return self._longest is None or began - confirmed <= self._longest


class HeldOrKnown(LastKnown):
    """What is known in an outage: first the records that this replica holds, then what was read besides.

    A record that a change has overtaken is no longer held, so a suspension that this replica has seen binds it.
    """

    def __init__(
        self, callers: RecordCache[bytes, CallerRecord], register: RecordCache[str, RegisterRecord], feed: Feed
    ) -> None:
        """Look into these caches first; `feed` gives the time up to which they were confirmed."""
        super().__init__(KNOWN_SECONDS)
        self._held_callers, self._held_register, self._feed = callers, register, feed

    def remember_caller(self, digest: bytes, holder: Authenticated | None, began: float) -> None:
        """Remember the holder of a credential, and drop a record that says otherwise, or that no lease holds."""
        record = self._held_callers.get(digest)
        if record is not None and (holder is None or not self._feed.lease.held() or not _is_of(record, holder)):
            self._held_callers.drop(digest)
        super().remember_caller(digest, holder, began)

    def remember_processing(self, identifier: str, processing: Processing | None, began: float) -> None:
        """Remember what a register entry was found to be, and drop a record that says otherwise, as for callers."""
        record = self._held_register.get(identifier)
        if record is not None and (not self._feed.lease.held() or record.processing != processing):
            self._held_register.drop(identifier)
        super().remember_processing(identifier, processing, began)

    def forget_processing(self, identifier: str) -> None:
        """Forget a register entry that has changed, and drop its record."""
        self._held_register.drop(identifier)
        super().forget_processing(identifier)

    def _forget_callers(self, is_meant: Callable[[Authenticated | CallerRecord], bool]) -> None:
        # Held by credential, and seldom changed, so all of them are searched.
        self._held_callers.drop_where(is_meant)
        super()._forget_callers(is_meant)

    def caller(self, digest: bytes, at: datetime) -> Caller | None:
        """Return the caller that a credential belonged to when last looked up, if it is still valid at an instant."""
        record = self._held_callers.get(digest)
        if record is None:
            return super().caller(digest, at)
        return record.caller if at.timestamp() < record.until and self._is_young(self._feed.last_beat) else None

    def exempt_processing(self, identifier: str) -> Processing | None:
        """Return the register entry as last read, if its purpose is one of III."""
        record = self._held_register.get(identifier)
        if record is None:
            return super().exempt_processing(identifier)
        exempt = record.processing is not None and record.processing.is_exempt
        return record.processing if exempt and self._is_young(self._feed.last_beat) else None

    def knows_callers(self) -> bool:
        """Return whether any caller could be answered without the database."""
        return len(self._held_callers) > 0 or super().knows_callers()

    def _confirmed(self, fact: Fact[Any]) -> float:
        """Return the time of the last beat, if the feed has reported every change since the read; else its age."""
        return max(fact.age, self._feed.last_beat) if fact.age >= self._followed else fact.age


def _is_of(record: CallerRecord, holder: Authenticated) -> bool:
    """Return whether a record names the same caller, and the same end, as the holder of a credential."""
    ends = math.inf if holder.until is None else holder.until.timestamp()
    return record.caller == holder.caller and record.until == ends


def _overlapped(fact: Fact[_Value], began: float, *, is_same: bool) -> Fact[_Value]:
    """Return a fact after a read that began at that time and overlapped the read before it, or a change."""
    return Fact(fact.value if is_same else None, max(fact.age, began), boot_seconds())


def _keep(memory: OrderedDict[_Key, Fact[_Value]], key: _Key, fact: Fact[_Value]) -> None:
    memory[key] = fact
    memory.move_to_end(key)
    if len(memory) > _REMEMBERED_AT_MOST:
        memory.popitem(last=False)
