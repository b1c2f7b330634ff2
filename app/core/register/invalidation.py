"""What is invalidated: a version of a processing, or a text; and what becomes of the wish to invalidate it."""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Struck:
    """What an invalidation is about: a version by its number, or a text by its SHA-256 (hex, lower case)."""

    version: int | None = None
    text: str | None = None


class InvalidationState(StrEnum):
    """Whether an invalidation waits for a second person, is in force (which is final), or was rejected."""

    PROPOSED = "proposed"
    IN_FORCE = "in_force"
    REJECTED = "rejected"
