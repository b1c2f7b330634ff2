"""What changed between two versions of a processing: each fact before and after, and whether it is material.

A fact is material by itself when `app.core.processing.material_changes` finds it, whatever the version says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from app.core.processing import ProcessingVersion, material_changes

Told = Mapping[str, object]
"""What people are told and what no rule reads, by field: texts, lists, values of JSON."""

_IN_ORDER: Final = (
    "controllers",
    "provider_kind",
    "service",
    "elements",
    "automated",
    "party_mode",
    "started_on",
    "consent_validity",
    "data_recipients",
    "retention",
    "age_statement_required",
)


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One fact that differs; `before` and `after` are as JSON has them, None where there is nothing."""

    field: str
    before: object
    after: object
    material: bool


def version_changes(
    before: ProcessingVersion, after: ProcessingVersion, *, told_before: Told, told_after: Told
) -> tuple[FieldChange, ...]:
    """Each fact that differs between two versions: those that rules read first, then what people are told, by name."""
    material = frozenset(change.value for change in material_changes(before, after))
    old, new = _facts(before), _facts(after)
    facts = [(field, old[field], new[field]) for field in _IN_ORDER]
    names = sorted(told_before.keys() | told_after.keys())
    told = [(name, told_before.get(name), told_after.get(name)) for name in names]
    return tuple(
        FieldChange(field, was, now, material=field in material) for field, was, now in (*facts, *told) if was != now
    )


def _facts(version: ProcessingVersion) -> dict[str, object]:
    return {
        "controllers": sorted(version.controllers),
        "provider_kind": version.provider_kind.value,
        "service": version.service,
        "elements": sorted(element.value for element in version.elements),
        "automated": version.automated,
        "party_mode": version.party_mode.value,
        "started_on": version.started_on.isoformat(),
        "consent_validity": str(version.consent_validity),
        "data_recipients": sorted(version.data_recipients),
        "retention": None if version.retention is None else str(version.retention),
        "age_statement_required": version.age_statement_required,
    }
