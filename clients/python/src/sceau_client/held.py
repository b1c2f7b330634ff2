"""What an edge holds: decisions, the lease to use them, and the uses that it still has to report.

Any thread looks decisions up, and one thread of the edge changes what is held. A look-up takes no lock: it reads the
lease first, then finds a decision, whose `until` says whether it may still be used.
"""

import itertools
from array import array
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, PAGESIZE, mmap
from struct import Struct
from time import CLOCK_BOOTTIME, clock_gettime
from typing import Any, Final
from uuid import UUID

from sceau_client.decisions import Decision
from sceau_client.questions import Question
from sceau_client.words import Channel, Outcome

_OVER: Final = float("-inf")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_ROWS: Final = Struct("<II")
_PACKED: Final = Struct("<16sqq")
_NEVER: Final = -(2**63)
_ROWS_AT_ONCE: Final = 2_000
_MESSAGE_BYTES: Final = 192 * 1024
"""Sceau takes messages of 256 KiB."""
LONGEST_HANDLE: Final = 512
"""Characters of what stands for a message: Sceau takes no longer one."""
_MOST_UNREPORTED: Final = 200_000

_WIPE_ON_FORK: Final = 18
"""MADV_WIPEONFORK (madvise(2), Linux 4.14), for which Python has no name."""
_MEMBERS: Final = 4
Key = str | tuple[Any, ...]


class Held:
    """A decision that is held, usable before `until` (epoch time). `used`: it was used since the last clean-up.

    It stands in `table` under `key`; `subject` is the number by which Sceau names the person that it is about.
    """

    __slots__ = ("key", "number", "packed", "permitted", "subject", "table", "until", "used", "words")

    def __init__(self, table: dict[Key, "Held"], key: Key, keep: Mapping[str, Any], decision: Decision) -> None:
        """Hold an answer, for as long as `keep` says."""
        self.table, self.key, self.number, self.used = table, key, int(keep["number"]), True
        self.until = float("inf") if keep["until"] is None else float(keep["until"])
        self.subject: int | None = keep["on"][1] if len(keep["on"]) > 1 else None
        self.permitted = decision.outcome is Outcome.PERMIT
        self.words = (decision.reason, decision.article, decision.law_version, decision.reason_user)
        consent = bytes(16) if decision.consent is None else UUID(decision.consent).bytes
        # A third of what three objects take, a hundred thousand times.
        self.packed = _PACKED.pack(consent, _microseconds(decision.expires_at), _microseconds(decision.valid_until))

    def decision(self, identifier: str) -> Decision:
        """The same decision under a new id."""
        reason, article, law_version, words = self.words
        consent, expires, valid = _PACKED.unpack(self.packed)
        return Decision(
            outcome=Outcome.PERMIT if self.permitted else Outcome.DENY,
            reason=reason,
            article=article,
            law_version=law_version,
            reason_user=words,
            expires_at=_instant(expires),
            valid_until=_instant(valid),
            consent=str(UUID(bytes=consent)) if any(consent) else None,
            id=identifier,
            local=True,
        )


class HeldDecisions:
    """The answers of one connection. `ahead`: of Sceau's clock.

    `lease` has one member, the end of the lease by CLOCK_BOOTTIME. The kernel wipes it in the child of a fork, of which
    Python may not hear (a server in C may fork): Sceau hears from the parent alone what is forgotten.

    `ids` is the connection's number, which goes into the ids of its decisions. `tables` holds the decisions by
    processing, and within that by user (`key_of`).

    `decided` holds what is to be reported, four members for each decision: the answer's number, what stands for the
    message, when (epoch time), and its count (0: none). It is one list, because a tuple for each decision costs a
    seventh of its time. No thread sees a part of an `extend` (Python's FAQ, "global value mutation").
    """

    def __init__(self, lost: int = 0) -> None:
        """Begin with nothing held; `lost` earlier decisions could not be reported."""
        self.lease, self.ahead = _wiped_on_fork(), 0.0
        self.tables: dict[str, dict[Key, Held]] = {}
        self.decided: list[Any] = []
        self.ids = 0
        self.lost = lost
        self.most = 1
        self._counts = itertools.count(1)
        self._number = 0
        self._resting: dict[int, Held | list[Held]] = {}
        self._processings: dict[int, dict[Key, Held]] = {}
        self._shared: dict[Any, Any] = {}
        self._released: list[int] = []
        self._releasing: list[int] = []

    def __len__(self) -> int:
        """How many decisions are held."""
        return self._number

    @property
    def unreported(self) -> int:
        """How many decisions wait to be reported."""
        return len(self.decided) // _MEMBERS

    def give_up(self) -> int:
        """Report none of the decisions that wait; return how many they are."""
        number = self.unreported
        del self.decided[: number * _MEMBERS]
        return number

    def use(self, question: Question) -> Decision | None:
        """The answer to a question, if one is held and may be used now."""
        now = clock_gettime(CLOCK_BOOTTIME)
        if now >= self.lease[0]:  # before the look-up
            return None
        held, at = self.tables.get(question.processing, {}).get(key_of(question)), now + self.ahead
        if held is None or at >= held.until or len(handle := _handle_of(question)) > LONGEST_HANDLE:
            return None
        held.used, count = True, next(self._counts)
        self.decided.extend((held.number, handle, at, count))
        return held.decision(decision_id(at, self.ids, count))

    # --- by the edge's own thread alone ------------------------------------------------------------------------------

    def hold(self, question: Question, decision: Decision, keep: Mapping[str, Any]) -> None:
        """Hold an answer; if there are too many, those that were not used lately are dropped."""
        if self._number >= self.most:
            self._make_room()
        table = self.tables.setdefault(question.processing, {})
        held = Held(table, key_of(question), keep, decision)
        words = held.words
        held.words = self._shared.setdefault((*words[:3], *words[3].items()), words)
        before = table.get(held.key)
        if before is not None:
            self._drop([before])
        self._processings[keep["on"][0]] = table
        if held.subject is not None:
            resting = self._resting.get(held.subject)
            if resting is None:
                self._resting[held.subject] = held
            else:
                self._resting[held.subject] = [*_listed(resting), held]
        table[held.key] = held
        self._number += 1

    def forget(self, numbers: Sequence[int] | None, *, end: bool) -> None:
        """Forget what rests on these records (None: everything), after ending the lease if the change ends it."""
        if end:
            self.lease[0] = 0.0
        if numbers is None:
            for table in self.tables.values():
                self._drop(list(table.values()))
            return
        for number in numbers:
            if number in self._resting:
                self._drop(_listed(self._resting[number]))
            elif number in self._processings:
                self._drop(list(self._processings[number].values()))

    def _make_room(self) -> None:
        """Drop the decisions that were not used since the last time; if all were used, drop all."""
        every = [held for table in self.tables.values() for held in table.values()]
        idle = [held for held in every if not held.used]
        for held in every:
            held.used = False
        self._drop(idle or every)

    def _drop(self, dropped: Sequence[Held]) -> None:
        for held in dropped:
            held.until = _OVER  # a thread that has found it already uses it no more
            if held.table.get(held.key) is held:
                del held.table[held.key]
                self._number -= 1
            if held.subject is not None and (resting := self._resting.get(held.subject)) is not None:
                others = [each for each in _listed(resting) if each is not held]
                if others:
                    self._resting[held.subject] = others
                else:
                    del self._resting[held.subject]
            self._released.append(held.number)

    def reports(self, *, may_send: bool) -> tuple[list[tuple[bytes, int]], list[int]]:
        """The reports since the last time, and the numbers of answers that were released.

        Each report is a message, with how many decisions are lost if the message is.

        `may_send` False: Sceau is not reading, so the decisions are counted as lost.
        """
        messages: list[tuple[bytes, int]] = []
        decided, lost = self.decided[:], self.lost
        for start in range(0, len(decided), _MEMBERS * _ROWS_AT_ONCE):
            some = decided[start : start + _MEMBERS * _ROWS_AT_ONCE]
            if may_send and len(decided) - start - len(some) <= _MEMBERS * _MOST_UNREPORTED:
                messages += _reports(some, lost)
                lost = 0
            else:
                lost += len(some) // _MEMBERS
        if may_send and lost:
            messages.append((_report([], lost), lost))
            lost = 0
        # Not before each message was made: a handle that is no text, an error of the caller's, ends the connection, and
        # what waits then is counted (`give_up`).
        self.lost = lost
        del self.decided[: len(decided)]
        # A thread may have found a decision before it was forgotten, and be about to note its use: it has time until
        # the next report.
        over, self._releasing, self._released = self._releasing, self._released, []
        return messages, over


def _wiped_on_fork() -> "memoryview[float]":
    """One number, which is 0.0 at first and in the child of a fork."""
    page = mmap(-1, PAGESIZE, MAP_PRIVATE | MAP_ANONYMOUS)
    with suppress(OSError):  # an older kernel: what Python knows of a fork is left (`Edge.forked`)
        page.madvise(_WIPE_ON_FORK)
    return memoryview(page).cast("d")


def _listed(resting: Held | list[Held]) -> list[Held]:
    return resting if isinstance(resting, list) else [resting]


def _handle_of(question: Question) -> str:
    return question.correspondence.handle(question.subject)


def _reports(decided: list[Any], lost: int) -> list[tuple[bytes, int]]:
    """Messages of permitted length, each with how many decisions are lost if the message is."""
    message, number = _report(decided, lost), len(decided) // _MEMBERS
    if len(message) <= _MESSAGE_BYTES:
        return [(message, number + lost)]
    half = number // 2 * _MEMBERS
    return [*_reports(decided[:half], lost), *_reports(decided[half:], 0)]


def _report(decided: list[Any], lost: int) -> bytes:
    """One message: the number of rows, of decisions lost before them, then the columns; integers little-endian."""
    numbers, handles, times, counts = (decided[place::_MEMBERS] for place in range(_MEMBERS))
    texts = "\n".join(handles)
    if texts.count("\n") >= len(handles):  # no id of a message holds a line's end: Sceau refuses such a row, counts it
        texts = "\n".join([handle.replace("\n", "\0") for handle in handles])
    columns = (array("Q", numbers), array("Q", counts), array("d", times))
    head = b"R" + _ROWS.pack(len(handles), lost)
    return head + b"".join(each.tobytes() for each in columns) + texts.encode("utf-8", "replace")


def key_of(question: Question) -> Key:
    """The key of a question's decision within its processing: the user's id, and all that is unusual about it.

    The parties are left out: Sceau lets no answer be held that depends on them.
    """
    subject, about = question.subject, question.correspondence
    usual = question.automated and about.private and about.channel is Channel.ONLINE and about.territory == "FR"
    if usual and subject.type == "user" and not question.elements:
        return subject.id
    return (subject.id, subject.type, question.elements, question.automated, about.channel, about.private,
            about.territory)  # fmt: skip


def decision_id(at: float, ids: int, count: int) -> str:
    """The id of a reported decision in Sceau's log: a UUID of version 7 (RFC 9562, 5.7)."""
    own = ids << 40 | (count & (2**40 - 1))
    number = (int(at * 1000) & (2**48 - 1)) << 80 | 7 << 76 | (own >> 62) << 64 | 0b10 << 62 | (own & (2**62 - 1))
    return str(UUID(int=number))


def _microseconds(at: datetime | None) -> int:
    return _NEVER if at is None else (at - _EPOCH) // _MICROSECOND


def _instant(microseconds: int) -> datetime | None:
    return None if microseconds == _NEVER else _EPOCH + microseconds * _MICROSECOND
