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
    def from_json(cls, kept: Mapping[str, Any] | None) -> Self:
        """Read what was kept; members of later code are left alone."""
        known = {each.name for each in fields(cls)}
        return cls(**{name: value for name, value in (kept or {}).items() if name in known})


def facts_as_json(version: ProcessingVersion) -> dict[str, Any]:
    """The told facts without a column, as they are kept and shown; one that is not stated is left out."""
    found = {fact.name: fact.as_json(fact.of(version)) for fact in TOLD_FACTS if fact.name in _IN_JSON}
    return {name: value for name, value in found.items() if value is not None and value != []}


def facts_from_json(kept: Mapping[str, Any] | None) -> dict[str, Any]:
    """The fields of a version that were kept so."""
    said = kept or {}
    erased = said.get("derived_data_erased_within")
    return {
        "categories_of_persons": tuple(said.get("categories_of_persons", ())),
        "recipients": frozenset(Recipient(**each) for each in said.get("recipients", ())),
        "transfers": frozenset(Transfer(**each) for each in said.get("transfers", ())),
        "storage_location": said.get("storage_location"),
        "automated_decisions": said.get("automated_decisions"),
        "conditional": said.get("conditional"),
        "derived_data_erased_within": Retention.parse(erased) if erased is not None else None,
    }
