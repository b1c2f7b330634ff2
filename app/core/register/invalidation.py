"""What is invalidated: a version of a processing, or a text. It only forbids, so one person may do it; for ever."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Struck:
    """What an invalidation is about: a version by its number, or a text by its SHA-256 (hex, lower case)."""

    version: int | None = None
    text: str | None = None
