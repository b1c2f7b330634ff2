"""Identifiers that sort by time: UUID version 7 (RFC 9562, section 5.7)."""

import secrets
from datetime import datetime
from uuid import UUID

_RANDOM_BITS = 74


def uuid7(at: datetime) -> UUID:
    """A new identifier carrying an instant in milliseconds, and 74 random bits.

    Args:
        at: the instant, aware; before 1970 it counts as 1970.

    """
    milliseconds = max(0, int(at.timestamp() * 1000)) & (2**48 - 1)
    noise = secrets.randbits(_RANDOM_BITS)
    high, low = noise >> 62, noise & (2**62 - 1)
    return UUID(int=milliseconds << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low)
