"""Reads the register of a golden file: processings, their versions, their status changes and what was invalidated."""

from dataclasses import replace
from datetime import date
from operator import attrgetter
from typing import Final

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

_OPTIONAL: Final = frozenset(
    {
        "version",
        "provider_kind",
        "automated",
        "party_mode",
        "started_on",
        "consent_validity",
        "effective_from",
        "material",
        "status_changes",
        "invalidations",
        "data_recipients",
        "retention",
        "controller",
        "service",
        "age_statement_required",
        "transfers",
        "storage_location",
        "automated_decisions",
        "derived_data_erased_within",
        "conditional",
        "name",
        "notice",
    }
)
_STARTED_ON: Final = date(2020, 1, 1)
_SERVICE: Final = "mail"
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
        parts = entry.members({"id", "purpose", "elements"}, _OPTIONAL)
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
    recipients = parts["data_recipients"].items() if "data_recipients" in parts else []
    transfers = parts["transfers"].items() if "transfers" in parts else []
    return ProcessingVersion(
        number=parts["version"].whole() if "version" in parts else 1,
        effective_from=parts["effective_from"].instant() if "effective_from" in parts else None,
        provider_kind=parts["provider_kind"].word(ProviderKind) if "provider_kind" in parts else ProviderKind.OPERATOR,
        elements=elements,
        automated=parts["automated"].flag() if "automated" in parts else True,
        party_mode=parts["party_mode"].word(PartyMode) if "party_mode" in parts else PartyMode.USER_ONLY,
        started_on=parts["started_on"].day() if "started_on" in parts else _STARTED_ON,
        consent_validity=read_period(parts["consent_validity"]) if "consent_validity" in parts else ONE_YEAR,
        material=parts["material"].flag() if "material" in parts else True,
        recipients=frozenset(Recipient(each.text()) for each in recipients),
        retention=_retention(parts["retention"]) if "retention" in parts else _RETENTION,
        service=parts["service"].text() if "service" in parts else _SERVICE,
        age_statement_required=parts["age_statement_required"].flag() if "age_statement_required" in parts else False,
        transfers=frozenset(Transfer(each.text()) for each in transfers),
        storage_location=parts["storage_location"].text() if "storage_location" in parts else None,
        automated_decisions=_SOME if "automated_decisions" in parts and parts["automated_decisions"].flag() else None,
        derived_data_erased_within=_retention(parts[erased])
        if (erased := "derived_data_erased_within") in parts
        else _RETENTION,
        conditional=parts["conditional"].flag() if "conditional" in parts else False,
    )


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
