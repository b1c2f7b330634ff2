"""The staff register as values: who is a member, and what each acknowledged."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class AcknowledgementMethod(StrEnum):
    """How an acknowledgement came: by the page, by the API as the person itself, or on paper, recorded by another."""

    PAGE = "page"
    API = "api"
    PAPER = "paper"

    @property
    def is_own(self) -> bool:
        """Whether the person did it themselves, as the caller that they are."""
        return self is not AcknowledgementMethod.PAPER


@dataclass(frozen=True, slots=True)
class Member:
    """One member of staff. `caller`: the person's access to the API, if it has one; its id is the member's then."""

    id: UUID
    caller: UUID | None
    registered_at: datetime
    registered_by: UUID | None = None
    left_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """One member took note of one version of the notice, in the language in which it was shown.

    `acknowledged_at` is when the person did, `recorded_at` when it was recorded and `recorded_by` by which caller.
    """

    id: UUID
    member: UUID
    notice: int
    language: str
    text_sha256: str
    way: AcknowledgementMethod
    acknowledged_at: datetime
    recorded_at: datetime
    recorded_by: UUID


@dataclass(frozen=True, slots=True)
class LatestKnown:
    """The latest version that a member acknowledged, when and how."""

    notice: int
    acknowledged_at: datetime
    way: AcknowledgementMethod
