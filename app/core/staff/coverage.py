"""Paragraph V: providers make the obligations of L32-3 known to their staff. What a notice is, and who knows it.

A notice is a text in versions; whoever acknowledged the version of today knows their obligations. A new version asks
everybody again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256


class NoticeStanding(StrEnum):
    """How a member of staff stands towards the notice of today."""

    ACKNOWLEDGED = "acknowledged"
    OUTDATED = "outdated"
    MISSING = "missing"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class NoticeText:
    """A notice in one language: a title, and a body of blocks with blank lines between.

    A block is a heading (`# `), a list (each line `- `), or a paragraph.
    """

    title: str
    body: str

    @property
    def sha256(self) -> str:
        """SHA-256 (hex) of title, line feed and body, in UTF-8: what an acknowledgement is bound to."""
        return sha256(f"{self.title}\n{self.body}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Notice:
    """One version of the notice, by language (`fr`, and mostly `en`)."""

    number: int
    published_at: datetime
    texts: Mapping[str, NoticeText]

    def text(self, language: str) -> tuple[str, NoticeText]:
        """The text in a language, or in French where there is none; with the language that it is in."""
        chosen = language if language in self.texts else "fr"
        return chosen, self.texts[chosen]


def standing(current: int, acknowledged: int | None, *, left: bool = False) -> NoticeStanding:
    """How somebody stands whose latest acknowledgement that counts was of that version (None: of none)."""
    if left:
        return NoticeStanding.LEFT
    if acknowledged is None:
        return NoticeStanding.MISSING
    return NoticeStanding.ACKNOWLEDGED if acknowledged >= current else NoticeStanding.OUTDATED
