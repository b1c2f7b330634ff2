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


class _Noise:
    """Random digits from the system, fetched a few thousand at a time: one call for each request is what costs."""

    def __init__(self) -> None:
        self.empty()

    def empty(self) -> None:
        """Hold no digits."""
        self.digits = ""
        self.used = 0


_NOISE_BYTES = 4_096
_noise = _Noise()
os.register_at_fork(after_in_child=_noise.empty)  # two processes, two streams


def random_hex(digits: int) -> str:
    """So many random hexadecimal digits (at most 8192), none of them handed out twice."""
    used = _noise.used
    if used + digits > len(_noise.digits):
        _noise.digits = os.urandom(_NOISE_BYTES).hex()
        used = 0
    _noise.used = used + digits
    return _noise.digits[used : used + digits]


def uuid7_text(seconds: float) -> bytes:
    """A new identifier of version 7 as ASCII text, from an epoch time in seconds."""
    noise = random_hex(19)
    at = "%012x" % (int(seconds * 1000) & 0xFFFFFFFFFFFF)
    variant = _VARIANT[noise[3]]
    return f"{at[:8]}-{at[8:]}-7{noise[:3]}-{variant}{noise[4:7]}-{noise[7:]}".encode()


def uuid7_texts(seconds: float, number: int) -> list[bytes]:
    """As many of those, of one instant (at most 400)."""
    noise = random_hex(19 * number)
    at = "%012x" % (int(seconds * 1000) & 0xFFFFFFFFFFFF)
    begin = f"{at[:8]}-{at[8:]}-7"
    made = []
    for place in range(0, 19 * number, 19):
        own = noise[place : place + 19]
        made.append(f"{begin}{own[:3]}-{_VARIANT[own[3]]}{own[4:7]}-{own[7:]}".encode())
    return made


def uuid7(at: datetime) -> UUID:
    """A new identifier carrying an instant in milliseconds, and 74 random bits.

    Args:
        at: the instant, aware; before 1970 it counts as 1970.

    """
    milliseconds = max(0, int(at.timestamp() * 1000)) & (2**48 - 1)
    noise = secrets.randbits(_RANDOM_BITS)
    high, low = noise >> 62, noise & (2**62 - 1)
    return UUID(int=milliseconds << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low)
