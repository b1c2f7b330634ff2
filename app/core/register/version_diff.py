"""What changed between two versions of a processing: each fact before and after, and whether it is material.

A told fact is material by itself when `app.core.version.material_changes` finds it, whatever the version says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from app.core.version import ProcessingVersion, changed_facts, material_changes

Words = Mapping[str, object]
"""What a version says beside its facts, by the names of the API, as JSON has it."""

_UNTOLD: Final = ("started_on", "age_statement_required")
"""Facts that people are not told and that no consent rests on."""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One fact that differs; `before` and `after` are as JSON has them, None where there is nothing."""

    field: str
    before: object
    after: object
    material: bool


def version_changes(
    before: ProcessingVersion, after: ProcessingVersion, *, words_before: Words, words_after: Words
) -> tuple[FieldChange, ...]:
    """Each fact that differs between two versions: told facts first, then the others, then words, by name."""
    material = frozenset(material_changes(before, after))
    found = [
        FieldChange(fact.name, fact.as_json(fact.of(before)), fact.as_json(fact.of(after)), fact.name in material)
        for fact in changed_facts(before, after)
    ]
    old, new = _untold(before), _untold(after)
    others = [(name, old[name], new[name]) for name in _UNTOLD]
    names = sorted(words_before.keys() | words_after.keys())
    others += [(name, words_before.get(name), words_after.get(name)) for name in names]
    return (*found, *(FieldChange(name, was, now, material=False) for name, was, now in others if was != now))


def _untold(version: ProcessingVersion) -> dict[str, object]:
    return {
        "started_on": version.started_on.isoformat(),
        "age_statement_required": version.age_statement_required,
    }
