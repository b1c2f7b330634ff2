"""What a version tells people and the record of GDPR 30 that no rule reads, as it is kept: one JSON object."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class RegisteredRecipient:
    """Who receives data: name, role (such as processor or joint controller), country (ISO 3166-1 alpha-2)."""

    name: str
    role: str | None = None
    country: str | None = None


@dataclass(frozen=True, slots=True)
class RegisteredTransfer:
    """A transfer out of the Union: to which country, and what safeguards it (GDPR, chapter V)."""

    country: str
    safeguards: str


@dataclass(frozen=True, slots=True)
class Particulars:
    """All optional. `consequences` of refusing and `conditional` are what the operator asserts; Sceau promises neither.

    `derived_data_erased_within` is an ISO 8601 duration; addresses are https; `justification` says why a processing of
    III has data recipients or keeps data for over 30 days.
    """

    categories_of_persons: tuple[str, ...] = ()
    recipients: tuple[RegisteredRecipient, ...] = ()
    transfers: tuple[RegisteredTransfer, ...] = ()
    storage_location: str | None = None
    security_measures: str | None = None
    dpia_reference: str | None = None
    automated_decisions: str | None = None
    privacy_policy: str | None = None
    legal_notice: str | None = None
    accessibility_statement: str | None = None
    logo: str | None = None
    consequences: Mapping[str, str] | None = None
    conditional: bool | None = None
    derived_data_erased_within: str | None = None
    justification: str | None = None

    def as_json(self) -> dict[str, Any]:
        """What is there, as it is kept."""
        told = {name: value for name, value in asdict(self).items() if value is not None and value != ()}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in told.items()}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """Read what was kept; members of later code are left alone."""
        known = {each.name for each in fields(cls)}
        told = {name: value for name, value in kept.items() if name in known}
        if "categories_of_persons" in told:
            told["categories_of_persons"] = tuple(told["categories_of_persons"])
        if "recipients" in told:
            told["recipients"] = tuple(RegisteredRecipient(**each) for each in told["recipients"])
        if "transfers" in told:
            told["transfers"] = tuple(RegisteredTransfer(**each) for each in told["transfers"])
        return cls(**told)
