"""What an edge holds: decisions, the right to use them, and what was decided with them and is to be reported.

Any thread looks decisions up, and one thread of the edge changes what is held. A look-up takes no lock: it reads the
lease first, then finds a decision, whose `until` says whether it may still be used.
"""

import itertools
import secrets
from array import array
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
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
_ROWS_AT_ONCE: Final = 4_000
_MOST_UNREPORTED: Final = 200_000

Key = tuple[Any, ...]
Row = tuple[int, str, float, int]
"""A decision to report: the number of the answer, what stands for the message, when (epoch time), and its count."""


class Held:
    """A decision that is held. It is used before `until`, an epoch time; `seen` is when it was used last.

    `processing` and `subject` are the numbers by which Sceau names what it rests on.
    """

    __slots__ = (
        "consent", "expires", "key", "number", "permitted", "processing", "seen", "subject", "until", "valid", "words",
    )  # fmt: skip

    def __init__(self, key: Key, keep: Mapping[str, Any], decision: Decision) -> None:
        """Hold what was answered, as long as `keep` says."""
        self.key, self.number, self.seen = key, int(keep["number"]), 0.0
        self.until = float("inf") if keep["until"] is None else float(keep["until"])
        self.processing, *subject = keep["on"]
        self.subject: int | None = subject[0] if subject else None
        self.permitted = decision.outcome is Outcome.PERMIT
        self.words = (decision.reason, decision.article, decision.law_version, decision.reason_user)
        self.consent = None if decision.consent is None else UUID(decision.consent).bytes
        self.expires, self.valid = _microseconds(decision.expires_at), _microseconds(decision.valid_until)

    def decision(self, identifier: str) -> Decision:
        """The decision, taken once more under another id."""
        reason, article, law_version, words = self.words
        return Decision(
            outcome=Outcome.PERMIT if self.permitted else Outcome.DENY,
            reason=reason,
            article=article,
            law_version=law_version,
            reason_user=words,
            expires_at=_instant(self.expires),
            valid_until=_instant(self.valid),
            consent=None if self.consent is None else str(UUID(bytes=self.consent)),
            id=identifier,
            local=True,
        )


class HeldDecisions:
    """What one connection has brought. `end`: of the lease, by CLOCK_BOOTTIME; `ahead`: how far Sceau's clock is."""

    def __init__(self, lost: int = 0) -> None:
        """Hold nothing; `lost` decisions of before were not reported."""
        self.end = self.ahead = 0.0
        self.by_key: dict[Key, Held] = {}
        self.decided: deque[Row] = deque()
        self.counts = itertools.count(1)
        self.ids = secrets.randbits(34)
        self.lost = lost
        self.most = 1
        self._resting: dict[int, list[Held]] = {}
        self._processings: set[int] = set()
        self._shared: dict[Any, Any] = {}
        self._released: list[int] = []
        self._releasing: list[int] = []

    def use(self, key: Key, handle: str) -> tuple[Held, float, int] | None:
        """A decision about a message, if one is held and may be used now: with when, and the count of it."""
        now = clock_gettime(CLOCK_BOOTTIME)
        if now >= self.end:  # before the look-up
            return None
        held, at = self.by_key.get(key), now + self.ahead
        if held is None or at >= held.until:
            return None
        held.seen, count = at, next(self.counts)
        self.decided.append((held.number, handle, at, count))
        return held, at, count

    # --- by the edge's own thread alone ------------------------------------------------------------------------------

    def hold(self, key: Key, decision: Decision, keep: Mapping[str, Any]) -> None:
        """Hold what was answered; the eighth that was used longest ago goes when there are too many."""
        held = Held(key, keep, decision)
        words = held.words
        held.words = self._shared.setdefault((*words[:3], *words[3].items()), words)
        before = self.by_key.get(key)
        if before is not None:
            self._drop([before])
        elif len(self.by_key) >= self.most:
            oldest = sorted(self.by_key.values(), key=lambda each: each.seen)
            self._drop(oldest[: max(1, len(oldest) // 8)])
        self._processings.add(held.processing)
        if held.subject is not None:
            self._resting.setdefault(held.subject, []).append(held)
        self.by_key[key] = held

    def forget(self, numbers: Sequence[int] | None, *, end: bool) -> None:
        """Forget what rests on these records (None: everything), and first the lease where it ends with this."""
        if end:
            self.end = 0.0
        if numbers is None:
            self._drop(list(self.by_key.values()))
            return
        for number in numbers:
            if number in self._resting:
                self._drop(list(self._resting[number]))
            elif number in self._processings:
                self._drop([held for held in self.by_key.values() if held.processing == number])

    def _drop(self, dropped: Sequence[Held]) -> None:
        for held in dropped:
            held.until = _OVER  # a thread that has found it already uses it no more
            if self.by_key.get(held.key) is held:
                del self.by_key[held.key]
            if held.subject is not None and (resting := self._resting.get(held.subject)) is not None:
                resting.remove(held)
                if not resting:
                    del self._resting[held.subject]
            self._released.append(held.number)

    def reports(self, *, may_send: bool) -> tuple[list[bytes], list[int]]:
        """What was decided since the last time, as messages, and the numbers of which nothing more is reported.

        `may_send` False: Sceau does not read what is sent; then they are counted as lost.
        """
        messages: list[bytes] = []
        waiting = len(self.decided)
        while waiting:
            rows = [self.decided.popleft() for _ in range(min(waiting, _ROWS_AT_ONCE))]
            waiting -= len(rows)
            good = [row for row in rows if "\n" not in row[1]] if may_send and waiting <= _MOST_UNREPORTED else []
            self.lost += len(rows) - len(good)
            if good:
                lost, self.lost = self.lost, 0
                messages.append(_report(good, lost))
        # A thread may have found a decision before it was forgotten, and be about to note its use: it has time until
        # the next report.
        over, self._releasing, self._released = self._releasing, self._released, []
        return messages, over


def _report(rows: Sequence[Row], lost: int) -> bytes:
    """A message: how many rows, how many decisions were lost before them, then the columns; integers little-endian."""
    numbers, handles, times, counts = zip(*rows, strict=True)
    columns = (array("Q", numbers), array("Q", counts), array("d", times))
    head = b"R" + _ROWS.pack(len(rows), lost)
    return head + b"".join(each.tobytes() for each in columns) + "\n".join(handles).encode("utf-8", "replace")


def key_of(question: Question) -> Key:
    """By what its decision is held: user and processing, and whatever is not usual about the question."""
    subject, about = question.subject, question.correspondence
    usual = question.automated and about.private and about.channel is Channel.ONLINE and about.territory == "FR"
    if usual and subject.type == "user" and not question.elements:
        return (subject.id, question.processing)
    how = (question.automated, about.channel, about.private, about.territory)
    return (subject.id, question.processing, subject.type, question.elements, *how)


def decision_id(at: float, ids: int, count: int) -> str:
    """The id that Sceau's log gives a decision that is reported: a UUID of version 7 (RFC 9562, 5.7)."""
    own = ids << 40 | (count & (2**40 - 1))
    number = (int(at * 1000) & (2**48 - 1)) << 80 | 7 << 76 | (own >> 62) << 64 | 0b10 << 62 | (own & (2**62 - 1))
    return str(UUID(int=number))


def _microseconds(at: datetime | None) -> int | None:
    return None if at is None else (at - _EPOCH) // _MICROSECOND


def _instant(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else _EPOCH + microseconds * _MICROSECOND
