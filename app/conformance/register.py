"""Reads the register of a golden file: processings, their versions, their status changes and what was invalidated."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from functools import partial
from operator import attrgetter
from typing import Any, Final

from app.conformance.document import Field
from app.core.article import Element, ProviderKind, Purpose
from app.core.errors import InvalidPeriodError
from app.core.period import ONE_YEAR, ConsentPeriod, Retention
from app.core.processing import (
    Invalidation,
    PartyMode,
    Processing,
    ProcessingVersion,
    Recipient,
    Status,
    StatusChange,
    Transfer,
)
from app.words import LANGUAGES

_RETENTION: Final = Retention.parse("P30D")
_SOME: Final = "some"
"""A placeholder for the description of automated decisions, of which a file says only that there are some."""


def read_register(field: Field) -> dict[str, Processing]:
    """Read the processings of a file, each entry one version, by id.

    Raises:
        UnreadableFileError: an entry is not of the format, or no register could hold it: the same version twice,
            another purpose, a version in force before the one it follows, a status after `retired`.

    """
    register: dict[str, Processing] = {}
    for entry in field.items():
        parts = entry.members({"id", "purpose", "elements"}, _FACTS.keys() | _OTHERS)
        name, purpose = parts["id"].text(), parts["purpose"].word(Purpose)
        earlier = register.get(name, Processing(name, purpose, ()))
        if purpose is not earlier.purpose:
            parts["purpose"].refuse(f"{name!r} has the purpose {earlier.purpose.value!r} already, which cannot change")
        version = _version(parts)
        _check_order(parts, earlier, version)
        register[name] = replace(
            earlier,
            versions=tuple(sorted((*earlier.versions, version), key=attrgetter("number"))),
            status_changes=_merged(parts, earlier),
            invalidations=_struck(parts, earlier),
        )
    return register


def _version(parts: dict[str, Field]) -> ProcessingVersion:
    _check_ignored(parts)
    elements = read_elements(parts["elements"])
    if not elements:
        parts["elements"].refuse("a processing declares at least one element")
    facts: dict[str, Any] = {
        _NAMED_OTHERWISE.get(key, key): read(parts[key]) if key in parts else default
        for key, (read, default) in _FACTS.items()
    }
    return ProcessingVersion(elements=elements, **facts)


def _check_ignored(parts: dict[str, Field]) -> None:
    """Check the members that decide nothing: they must still be such as the register would accept."""
    if "controller" in parts:
        parts["controller"].text()
    for key in ("name", "notice"):
        if key in parts:
            for text in parts[key].members(set(), frozenset(LANGUAGES)).values():
                text.text()


def _check_order(parts: dict[str, Field], earlier: Processing, version: ProcessingVersion) -> None:
    if earlier.version(version.number) is not None:
        parts.get("version", parts["id"]).refuse(f"version {version.number} of {earlier.id!r} is registered already")
    for other in earlier.versions:
        before, after = sorted((other, version), key=attrgetter("number"))
        starts = before.effective_from
        if starts is not None and (after.effective_from is None or after.effective_from < starts):
            problem = f"version {after.number} of {earlier.id!r} would be in force before version {before.number}"
            parts.get("effective_from", parts["id"]).refuse(problem)


def _merged(parts: dict[str, Field], earlier: Processing) -> tuple[StatusChange, ...]:
    changes = list(earlier.status_changes)
    for item in parts["status_changes"].items() if "status_changes" in parts else []:
        change = item.members({"at", "status"})
        changes.append(StatusChange(change["at"].instant(), change["status"].word(Status)))
    changes.sort(key=attrgetter("at"))
    if any(change.status is Status.RETIRED for change in changes[:-1]):
        parts["status_changes"].refuse("`retired` is final: no status follows it")
    return tuple(changes)


def _struck(parts: dict[str, Field], earlier: Processing) -> tuple[Invalidation, ...]:
    """The invalidations by this entry and those before it: of a version by its number, or of a text by its SHA-256."""
    invalidations = list(earlier.invalidations)
    for item in parts["invalidations"].items() if "invalidations" in parts else []:
        struck = item.members({"at"}, {"version", "text"})
        if ("version" in struck) is ("text" in struck):
            item.refuse("an invalidation is about a version or about a text: name one of the two")
        version = struck["version"].whole() if "version" in struck else None
        text = struck["text"].text().lower() if "text" in struck else None
        invalidations.append(Invalidation(struck["at"].instant(), version, text))
    return tuple(sorted(invalidations, key=attrgetter("at")))


def read_elements(field: Field) -> frozenset[Element]:
    """Read a list of elements, which may be empty."""
    return frozenset(each.word(Element) for each in field.items())


def read_period(field: Field) -> ConsentPeriod:
    """Read how long a consent lasts, such as P6M."""
    try:
        return ConsentPeriod.parse(field.text())
    except InvalidPeriodError as error:
        field.refuse(error.detail)


def _retention(field: Field) -> Retention:
    try:
        return Retention.parse(field.text())
    except InvalidPeriodError as error:
        field.refuse(error.detail)


def _recipients(field: Field) -> frozenset[Recipient]:
    return frozenset(Recipient(each.text()) for each in field.items())


def _transfers(field: Field) -> frozenset[Transfer]:
    return frozenset(Transfer(each.text()) for each in field.items())


def _automated_decisions(field: Field) -> str | None:
    return _SOME if field.flag() else None


_FACTS: Final[Mapping[str, tuple[Callable[[Field], object], object]]] = {
    "data_recipients": (_recipients, frozenset()),
    "transfers": (_transfers, frozenset()),
    "version": (Field.whole, 1),
    "effective_from": (Field.instant, None),
    "provider_kind": (partial(Field.word, words=ProviderKind), ProviderKind.OPERATOR),
    "automated": (Field.flag, True),
    "party_mode": (partial(Field.word, words=PartyMode), PartyMode.USER_ONLY),
    "started_on": (Field.day, date(2020, 1, 1)),
    "consent_validity": (read_period, ONE_YEAR),
    "material": (Field.flag, True),
    "retention": (_retention, _RETENTION),
    "service": (Field.text, "mail"),
    "age_statement_required": (Field.flag, False),
    "storage_location": (Field.text, None),
    "automated_decisions": (_automated_decisions, None),
    "derived_data_erased_within": (_retention, _RETENTION),
    "conditional": (Field.flag, False),
}
"""What a file may say of a version besides its elements: how each key is read, and what holds where it is left out."""
_NAMED_OTHERWISE: Final = {"version": "number", "data_recipients": "recipients"}
"""The keys that are not the names of the version's own members."""
_OTHERS: Final = {"controller", "name", "notice", "status_changes", "invalidations"}
