"""The answers that one edge may give again, as its worker knows them, and the decisions that it reports of them.

A row of a report is logged only where a replay would decide the same: from when the edge was given the answer, before
the answer ended by time alone, and at most a few seconds after what it rests on had changed.
"""

import asyncio
import math
import re
import secrets
import struct
from array import array
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID
from weakref import WeakValueDictionary

from app.api.decisions.words import Wording
from app.db.session import MOST_COUNTED, decision_id, new_number, numbered_id
from app.operations.decisions.judging import Judged
from app.snapshot.feed import LONGEST_LEASE
from app.snapshot.leases import boot_seconds
from app.snapshot.replica import Replica

CORRESPONDENCE: Final = "correspondence"
"""The type of what is decided about: an edge reports ids alone."""
_CLOCKS_SECONDS: Final = 5.0
"""How far two clocks may differ about when the edge knew of a change; a replay forgives three times as much of that."""
_LATE_SECONDS: Final = 600.0
"""How late a decision may be reported."""
_MOST_A_SECOND: Final = 10_000_000
"""Decisions that one edge can make, and so can lose: a thread makes a million and a half."""
_UNREPORTED_SECONDS: Final = LONGEST_LEASE + 2.0
"""For how long an edge may decide without reporting it, under its last lease, if this connection is new or hangs."""
_MOST_WAITING: Final = 50_000
"""Decisions that were reported and are not logged yet, of one edge: some megabytes."""
_OVERTAKING: Final = 2**15
"""How many decisions may overtake one on its way into a report, since an edge decides in several threads."""
_ROWS_AT_ONCE: Final = 256
_LONGEST_ID: Final = 512
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_ROWS: Final = struct.Struct("<II")
"""Of a report: how many decisions it has, and how many before them were dropped."""
_Row = tuple[int, int, float, str]
"""A reported decision: the answer's number, its count, when, and about which correspondence."""


@dataclass(slots=True, weakref_slot=True, eq=False)
class _Ground:
    """A record that answers rest on; this edge may decide by it until `end` (epoch seconds)."""

    end: float = math.inf


@dataclass(slots=True, frozen=True, eq=False)
class _KeptAnswer:
    """An answer that the edge may give between two instants (epoch seconds), while each of its grounds lasts."""

    judged: Judged
    since: float
    until: float
    grounds: tuple[_Ground, ...]

    def could_be_given(self, at: float) -> bool:
        """Whether the edge could have given this answer at that time (epoch seconds)."""
        if not self.since <= at < self.until:
            return False  # a replay forgives no difference here, and both sides have compared the same numbers
        return all(at - _CLOCKS_SECONDS < ground.end for ground in self.grounds)


class EdgeAnswers:
    """The answers of one connection. `ids` is its number, so that no edge can report an id that another edge makes."""

    def __init__(
        self, replica: Replica, wording: Wording, caller: UUID, digest: bytes, working: set[asyncio.Task[None]]
    ) -> None:
        """Hold nothing yet.

        Args:
            replica: whose clock counts, and whose record of the caller notes that it was used.
            wording: logs and counts decisions.
            caller: in whose name the edge decides.
            digest: of its key.
            working: gets the task that logs what was reported.

        """
        self.ids = new_number()
        self._replica, self._wording = replica, wording
        self._caller, self._digest = caller, digest
        self._all_working = working
        self._kept: dict[int, _KeptAnswer] = {}
        # By the numbers of the records, as long as an answer rests on them; and what every answer rests on.
        self._grounds: WeakValueDictionary[int, _Ground] = WeakValueDictionary()
        self._everything = _Ground()
        self._last = secrets.randbits(56)  # no connection takes a number of another for its own
        # What was reported and released, in that order, and how many decisions that is.
        self._queue: deque[tuple[list[_Row], list[int]]] = deque()
        self._waiting = 0
        self._working: asyncio.Task[None] | None = None
        self._lost_until = 0.0  # what it could have lost by then is counted (`boot_seconds`)
        # For each remainder, the highest count that was logged: the next one is higher, so no two ids are equal.
        self._highest = array("Q", bytes(8 * _OVERTAKING))

    def __len__(self) -> int:
        """How many answers the edge holds."""
        return len(self._kept)

    def keep(self, judged: Judged, until: float, rests_on: Iterable[int]) -> int:
        """Note that the edge holds an answer from now on, until that epoch time, and return the answer's number.

        `rests_on`: the numbers by which this edge knows the records.
        """
        self._last += 1
        grounds = [self._grounds.setdefault(each, _Ground()) for each in rests_on]
        self._kept[self._last] = _KeptAnswer(judged, self._replica.now(), until, (*grounds, self._everything))
        return self._last

    def end(self, changed: Sequence[int] | None, leased: float) -> None:
        """Note that the edge was sent a change of these records (None: of any); its lease lasts so many seconds."""
        if changed is None:
            ended, self._everything = [self._everything], _Ground()
            self._grounds.clear()
        else:
            ended = [ground for each in changed if (ground := self._grounds.pop(each, None)) is not None]
        until = self._replica.now() + leased
        for ground in ended:
            ground.end = min(ground.end, until)

    def release(self, numbers: Iterable[int]) -> None:
        """Note that the edge released these answers; they are forgotten once all reports about them are logged."""
        self._later([], [number for number in numbers if number in self._kept])

    def report(self, view: memoryview) -> None:
        """Read a report and queue its decisions for the log.

        Raises:
            ValueError, struct.error: the bytes are no report.

        """
        rows, lost = _ROWS.unpack_from(view)
        columns = (array("Q"), array("Q"), array("d"))
        start = _ROWS.size
        for column in columns:
            column.frombytes(view[start : start + 8 * rows])
            start += 8 * rows
        ids = bytes(view[start:]).decode().split("\n") if rows else []
        if not all(len(each) == rows for each in (*columns, ids)):
            raise ValueError("report")
        now = boot_seconds()
        since = max(self._lost_until, now - _UNREPORTED_SECONDS)
        counted = min(lost, int((now - since) * _MOST_A_SECOND))
        self._lost_until = since + counted / _MOST_A_SECOND
        self._wording.lost(counted)
        if self._waiting + rows > _MOST_WAITING or max(map(len, ids), default=0) > _LONGEST_ID:
            self._wording.lost(rows)
        elif rows:
            self._waiting += rows
            self._later(list(zip(*columns, ids, strict=True)), [])

    def _later(self, rows: list[_Row], released: list[int]) -> None:
        self._queue.append((rows, released))
        if self._working is None or self._working.done():
            self._working = asyncio.get_running_loop().create_task(self._work())
            self._all_working.add(self._working)
            self._working.add_done_callback(self._all_working.discard)

    async def _work(self) -> None:
        """Log the reported decisions a few hundred at a time, so that other requests are answered in between."""
        while self._queue:
            rows, released = self._queue.popleft()
            for start in range(0, len(rows), _ROWS_AT_ONCE):
                for row in rows[start : start + _ROWS_AT_ONCE]:
                    self._log(*row)
                self._waiting -= len(rows[start : start + _ROWS_AT_ONCE])
                await asyncio.sleep(0)
            for number in released:
                self._kept.pop(number, None)

    def _log(self, number: int, count: int, at: float, correspondence: str) -> None:
        kept, now = self._kept.get(number), self._replica.now()
        is_one = bool(correspondence) and not _CONTROL.search(correspondence)
        is_recent = now - _LATE_SECONDS < at < now + _CLOCKS_SECONDS
        if kept is None or not (is_one and is_recent and kept.could_be_given(at) and self._is_new(count)):
            self._wording.lost(1)
            return
        about = (CORRESPONDENCE, correspondence)
        identifier = numbered_id(at, self.ids, count) if count else decision_id(at)
        self._wording.reported(self._caller, at, identifier, about, kept.judged)
        if (caller_record := self._replica.callers.get(self._digest)) is not None:
            caller_record.use.at = max(caller_record.use.at, at)

    def _is_new(self, count: int) -> bool:
        """Whether a row may have this count, which no other row has from now on; 0 is no count: no id was told."""
        place = count % _OVERTAKING
        if count and not self._highest[place] < count <= MOST_COUNTED:
            return False
        self._highest[place] = max(self._highest[place], count)
        return True
