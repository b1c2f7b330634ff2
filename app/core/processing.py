"""A processing activity as the register knows it: its versions, its status, and what a new version may change.

One processing has one purpose for ever (L32-3 IV: consent is specific to each processing); everything else, its
controllers too, belongs to a numbered version with an instant from which it is in force. A version that is material is
another processing for its users: consent to the one before is not consent to it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from itertools import pairwise
from typing import Final

from app.core.article import CONSENT_PURPOSES, EXEMPT_PURPOSES, Purpose
from app.core.errors import InvalidVersionError
from app.core.version import PartyMode, ProcessingVersion, material_changes

_ID: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


def can_be_an_id(text: str) -> bool:
    """Whether a processing could be registered under this text.

    What cannot is neither looked up nor logged: a caller may have put an address there.
    """
    return _ID.fullmatch(text) is not None


class Status(StrEnum):
    """Whether a processing may run at all; `retired` is final, `proposed` lasts until another person has approved."""

    PROPOSED = "proposed"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class StatusChange:
    """From `at` on, the processing has this status (until the next change)."""

    at: datetime
    status: Status


@dataclass(frozen=True, slots=True)
class Invalidation:
    """From `at` on, no consent permits that rests on this version, or on the text of this SHA-256 (hex, lower case).

    One of the two is None.
    """

    at: datetime
    version: int | None = None
    text: str | None = None

    def strikes(self, version: int, text: str | None) -> bool:
        """Whether a consent to that version, given on that text (None: one that is not known), rests on it."""
        return version == self.version or (text is not None and text == self.text)


@dataclass(frozen=True)
class Processing:
    """A register entry: versions in ascending number, status changes and invalidations in ascending time."""

    id: str
    purpose: Purpose
    versions: tuple[ProcessingVersion, ...]
    status_changes: tuple[StatusChange, ...] = ()
    invalidations: tuple[Invalidation, ...] = ()

    @property
    def is_exempt(self) -> bool:
        """Whether its purpose is one of the five of III."""
        return self.purpose in EXEMPT_PURPOSES

    @property
    def rests_on_consent(self) -> bool:
        """Whether its purpose is one of the three of IV."""
        return self.purpose in CONSENT_PURPOSES

    @property
    def asks_others(self) -> bool:
        """Whether some version of it, of IV, wants other parties' consents."""
        return self.rests_on_consent and any(each.party_mode is not PartyMode.USER_ONLY for each in self.versions)

    def version(self, number: int) -> ProcessingVersion | None:
        """The version of that number, if the register holds it."""
        return next((version for version in self.versions if version.number == number), None)

    def version_at(self, at: datetime) -> ProcessingVersion | None:
        """The version in force at an instant: the highest number that has come into force."""
        return next((version for version in reversed(self.versions) if version.in_force_at(at)), None)

    def status_at(self, at: datetime) -> Status:
        """The status at an instant; active until the first change."""
        return next((change.status for change in reversed(self.status_changes) if change.at <= at), Status.ACTIVE)

    @property
    def changes(self) -> tuple[StatusChange | Invalidation, ...]:
        """The changes of status and the invalidations, each with its instant."""
        return (*self.status_changes, *self.invalidations)

    def invalidated(self, version: int, text: str | None, at: datetime) -> bool:
        """Whether a version, or a text that was shown for it (None: not known), was invalidated by an instant."""
        return any(each.at <= at and each.strikes(version, text) for each in self.invalidations)

    @cached_property
    def _material(self) -> tuple[ProcessingVersion, ...]:
        """The material versions; worked out once, because every decision under IV asks for them."""
        first = [version for version in self.versions[:1] if version.material]
        later = [
            after for before, after in pairwise(self.versions) if after.material or material_changes(before, after)
        ]
        return (*first, *later)

    def material_versions(self, after: int = 0) -> Iterator[ProcessingVersion]:
        """Versions numbered above `after` that are material: they say so, or they change what always is."""
        return (version for version in self._material if version.number > after)

    def superseded(self, number: int, at: datetime) -> bool:
        """Whether a material version above `number` has come into force by that instant."""
        return any(version.in_force_at(at) for version in self.material_versions(after=number))


def check_successor(before: ProcessingVersion, after: ProcessingVersion) -> None:
    """Refuse a version that calls a material change immaterial, or that would come into force out of order.

    Raises:
        InvalidVersionError: `material` is false although `material_changes` finds a change, or the version would be
            in force before the version it follows.

    """
    begins, earliest = after.effective_from, before.effective_from
    if earliest is not None and (begins is None or begins < earliest):
        message = "A version cannot come into force before the version that it follows."
        raise InvalidVersionError(message, field="effective_from")
    changes = material_changes(before, after)
    if changes and not after.material:
        message = (
            "This change is material: set `material` to true. People are told this fact, so that another one is "
            "another processing for them, unless it only narrows: fewer elements, recipients, controllers or "
            "transfers, a shorter retention, erasure delay or validity, a stricter party mode."
        )
        raise InvalidVersionError(message, field=changes[0])
