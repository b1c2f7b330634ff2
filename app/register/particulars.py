"""What a version says beside the facts that rules read, as it is kept: one JSON object with the told facts of it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Self

from app.core.retention import Retention
from app.core.version import TOLD_FACTS, ProcessingVersion, Recipient, Transfer

_IN_JSON: Final = (
    "categories_of_persons",
    "recipients",
    "transfers",
    "storage_location",
    "automated_decisions",
    "conditional",
    "derived_data_erased_within",
)
"""The told facts that have no column of their own."""


@dataclass(frozen=True, slots=True)
class Particulars:
    """What the page and the record of GDPR 30 tell, and no rule reads; all optional.

    `consequences` of refusing are what the operator asserts, by language; addresses are https; `justification` says why
    a processing of III has data recipients or keeps data for over 30 days.
    """

    security_measures: str | None = None
    dpia_reference: str | None = None
    privacy_policy: str | None = None
    legal_notice: str | None = None
    accessibility_statement: str | None = None
    logo: str | None = None
    consequences: Mapping[str, str] | None = None
    justification: str | None = None

    def as_json(self) -> dict[str, Any]:
        """What is there, as it is kept."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Self:
        """Read what was kept; members of later code are left alone."""
        known = {each.name for each in fields(cls)}
        return cls(**{name: value for name, value in kept.items() if name in known})


def facts_as_json(version: ProcessingVersion) -> dict[str, Any]:
    """The told facts without a column, as they are kept and shown; one that is not stated is left out."""
    found = {fact.name: fact.as_json(fact.of(version)) for fact in TOLD_FACTS if fact.name in _IN_JSON}
    return {name: value for name, value in found.items() if value is not None and value != []}


def facts_from_json(kept: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a version that were kept so."""
    erased = kept.get("derived_data_erased_within")
    return {
        "categories_of_persons": tuple(kept.get("categories_of_persons", ())),
        "recipients": frozenset(Recipient(**each) for each in kept.get("recipients", ())),
        "transfers": frozenset(Transfer(**each) for each in kept.get("transfers", ())),
        "storage_location": kept.get("storage_location"),
        "automated_decisions": kept.get("automated_decisions"),
        "conditional": kept.get("conditional"),
        "derived_data_erased_within": Retention.parse(erased) if erased is not None else None,
    }
