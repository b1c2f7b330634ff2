"""Identifiers that sort by time: UUID version 7 (RFC 9562, section 5.7)."""

import itertools
import os
import secrets
from datetime import datetime
from uuid import UUID

_RANDOM_BITS = 74


def random_id() -> UUID:
    """Return a new random identifier, which carries no information: UUID version 4 (RFC 9562, section 5.4)."""
    return UUID(bytes=secrets.token_bytes(16), version=4)


def new_number() -> int:
    """Return a random number (34 bits) for a process or an edge that numbers its decisions."""
    return secrets.randbits(_NUMBER_BITS)


class _Pool:
    """What a process makes identifiers from, so that it need not ask the system for random bytes each time.

    `ids` and `counts` are this process's number and the counter of its decisions. `beginning` is the text of a
    decision's id at the instant `milliseconds`, up to its count.
    """

    def __init__(self) -> None:
        self.empty()

    def empty(self) -> None:
        """Start afresh, as another process."""
        self.digits = ""
        self.used = 0
        self.ids = new_number()
        self.counts = itertools.count(1)
        self.milliseconds = -1
        self.beginning = b""


_NUMBER_BITS = 34
_COUNT_BITS = 40
_POOL_BYTES = 4_096
_pool = _Pool()
os.register_at_fork(after_in_child=_pool.empty)  # two processes, two streams


def random_hex(digits: int) -> str:
    """Return random hexadecimal digits (at most 8192), none of which is handed out twice."""
    used = _pool.used
    if used + digits > len(_pool.digits):
        _pool.digits = os.urandom(_POOL_BYTES).hex()
        used = 0
    _pool.used = used + digits
    return _pool.digits[used : used + digits]


def decision_id(at: float) -> bytes:
    """Return a new id for a decision of this process at an epoch time in seconds, as ASCII text (`numbered_id`)."""
    milliseconds = int(at * 1000)
    if milliseconds != _pool.milliseconds:
        _pool.milliseconds, _pool.beginning = milliseconds, numbered_id(at, _pool.ids, 0)[: -_COUNT_BITS // 4]
    return _pool.beginning + b"%010x" % (next(_pool.counts) & _MOST_COUNTED)


def numbered_id(at: float, ids: int, count: int) -> bytes:
    """Return the id of a decision, as ASCII text: version 7 (RFC 9562, 5.7 and 6.2), with a counter.

    The ids of one process differ in few bytes, so the log holds them in less than four bytes each.

    Args:
        at: when the decision was taken, as an epoch time in seconds.
        ids: the number of the process or edge that takes it (`new_number`).
        count: the decision's number; its low 40 bits are used.

    """
    own = ids << _COUNT_BITS | (count & _MOST_COUNTED)
    return str(_version7(int(at * 1000), own)).encode()


_MOST_COUNTED = 2**_COUNT_BITS - 1


def uuid7(at: datetime) -> UUID:
    """Return a new identifier with an instant in milliseconds, and 74 random bits.

    Args:
        at: the instant, aware; before 1970 it counts as 1970.

    """
    return _version7(max(0, int(at.timestamp() * 1000)), secrets.randbits(_RANDOM_BITS))


def _version7(milliseconds: int, own: int) -> UUID:
    high, low = own >> 62, own & (2**62 - 1)
    return UUID(int=(milliseconds & (2**48 - 1)) << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low)
