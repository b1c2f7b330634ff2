"""Identifiers that sort by time: UUID version 7 (RFC 9562, section 5.7)."""

import os
import secrets
from datetime import datetime
from uuid import UUID

_RANDOM_BITS = 74


def random_id() -> UUID:
    """A new identifier that says nothing: UUID version 4 (RFC 9562, section 5.4)."""
    return UUID(bytes=secrets.token_bytes(16), version=4)


def uuid7_text(seconds: float) -> bytes:
    """A new identifier of version 7 as ASCII text, from an epoch time in seconds: for the hot path."""
    noise = os.urandom(10).hex()
    at = f"{int(seconds * 1000) & 0xFFFFFFFFFFFF:012x}"
    variant = "89ab"[int(noise[3], 16) & 3]
    return f"{at[:8]}-{at[8:]}-7{noise[:3]}-{variant}{noise[4:7]}-{noise[7:19]}".encode()


def uuid7(at: datetime) -> UUID:
    """A new identifier carrying an instant in milliseconds, and 74 random bits.

    Args:
        at: the instant, aware; before 1970 it counts as 1970.

    """
    milliseconds = max(0, int(at.timestamp() * 1000)) & (2**48 - 1)
    noise = secrets.randbits(_RANDOM_BITS)
    high, low = noise >> 62, noise & (2**62 - 1)
    return UUID(int=milliseconds << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low)
