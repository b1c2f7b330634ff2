"""Identifiers that sort by time: UUID version 7 (RFC 9562, section 5.7)."""

import os
import secrets
from datetime import datetime
from uuid import UUID

_RANDOM_BITS = 74
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def random_id() -> UUID:
    """A new identifier that says nothing: UUID version 4 (RFC 9562, section 5.4)."""
    return UUID(bytes=secrets.token_bytes(16), version=4)


class _Pool:
    """Random text made a few hundred pieces at a time: one call of the system for each request is what costs.

    `beginning`: the text of an identifier up to its version, at the instant `milliseconds`.
    """

    def __init__(self) -> None:
        self.empty()

    def empty(self) -> None:
        """Hold none."""
        self.digits = ""
        self.used = 0
        self.tails: list[bytes] = []
        self.milliseconds = -1
        self.beginning = b""

    def more_tails(self) -> list[bytes]:
        """What follows the version in the text of identifiers, each with 74 random bits."""
        noise = os.urandom(_POOL_BYTES).hex()
        pieces = (noise[place : place + 19] for place in range(0, len(noise) - 18, 19))
        self.tails = [f"{own[:3]}-{_VARIANT[own[3]]}{own[4:7]}-{own[7:]}".encode() for own in pieces]
        return self.tails


_POOL_BYTES = 4_096
_pool = _Pool()
os.register_at_fork(after_in_child=_pool.empty)  # two processes, two streams


def random_hex(digits: int) -> str:
    """So many random hexadecimal digits (at most 8192), none of them handed out twice."""
    used = _pool.used
    if used + digits > len(_pool.digits):
        _pool.digits = os.urandom(_POOL_BYTES).hex()
        used = 0
    _pool.used = used + digits
    return _pool.digits[used : used + digits]


def uuid7_text(seconds: float) -> bytes:
    """A new identifier of version 7 as ASCII text, from an epoch time in seconds."""
    milliseconds = int(seconds * 1000)
    if milliseconds != _pool.milliseconds:
        at = "%012x" % (milliseconds & 0xFFFFFFFFFFFF)
        _pool.milliseconds, _pool.beginning = milliseconds, f"{at[:8]}-{at[8:]}-7".encode()
    return _pool.beginning + (_pool.tails or _pool.more_tails()).pop()


def uuid7(at: datetime) -> UUID:
    """A new identifier carrying an instant in milliseconds, and 74 random bits.

    Args:
        at: the instant, aware; before 1970 it counts as 1970.

    """
    milliseconds = max(0, int(at.timestamp() * 1000)) & (2**48 - 1)
    noise = secrets.randbits(_RANDOM_BITS)
    high, low = noise >> 62, noise & (2**62 - 1)
    return UUID(int=milliseconds << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low)
