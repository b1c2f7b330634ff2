"""What a decision token may promise: how long it lives, and how it is bound to people without naming them.

A token tells somebody who cannot call Sceau of a permit that was just given (docs/decision-tokens.md). It outlives a
withdrawal by what is left of its life, so that life is short and is never prolonged.
"""

from datetime import datetime
from hashlib import sha256
from math import floor
from typing import Final

LONGEST_SECONDS: Final = 60


def lifetime(at: datetime, valid_until: datetime | None) -> tuple[int, int] | None:
    """When a token of a permit begins and when it ends, in whole seconds since 1970 (`iat`, `exp`).

    It ends at most a minute after the permit was given, and never later than the permit itself; None when it would end
    at once.
    """
    issued = floor(at.timestamp())
    ends = issued + LONGEST_SECONDS
    if valid_until is not None:
        ends = min(ends, floor(valid_until.timestamp()))
    return (issued, ends) if ends > at.timestamp() else None


def correspondence_hash(handle: str) -> bytes:
    """SHA-256 of a correspondence's handle: whoever knows the handle can tell that the token is about it."""
    return sha256(handle.encode()).digest()


def subject_hash(handle: str, identifier: str) -> bytes:
    """SHA-256 of a handle, a line feed and a subject's id, both as they were sent.

    An id alone could be guessed from its hash; the handle, which the token does not carry, keeps that from whoever
    reads no more than the token. Neither text can hold a line feed.
    """
    return sha256(f"{handle}\n{identifier}".encode()).digest()
