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
        said = entry.members({"id", "purpose", "elements"}, _OPTIONAL)
        name, purpose = said["id"].text(), said["purpose"].word(Purpose)
        known = register.get(name, Processing(name, purpose, ()))
        if purpose is not known.purpose:
            said["purpose"].refuse(f"{name!r} has the purpose {known.purpose.value!r} already, which cannot change")
        version = _version(said)
        _check_order(said, known, version)
        register[name] = replace(
            known,
            versions=tuple(sorted((*known.versions, version), key=attrgetter("number"))),
            status_changes=_merged(said, known),
            invalidations=_struck(said, known),
        )
    return register


def _version(said: dict[str, Field]) -> ProcessingVersion:
    _check_ignored(said)
    elements = read_elements(said["elements"])
    if not elements:
        said["elements"].refuse("a processing declares at least one element")
    recipients = said["data_recipients"].items() if "data_recipients" in said else []
    transfers = said["transfers"].items() if "transfers" in said else []
    return ProcessingVersion(
        number=said["version"].whole() if "version" in said else 1,
        effective_from=said["effective_from"].instant() if "effective_from" in said else None,
        provider_kind=said["provider_kind"].word(ProviderKind) if "provider_kind" in said else ProviderKind.OPERATOR,
        elements=elements,
        automated=said["automated"].flag() if "automated" in said else True,
        party_mode=said["party_mode"].word(PartyMode) if "party_mode" in said else PartyMode.USER_ONLY,
        started_on=said["started_on"].day() if "started_on" in said else _STARTED_ON,
        consent_validity=read_period(said["consent_validity"]) if "consent_validity" in said else ONE_YEAR,
        material=said["material"].flag() if "material" in said else True,
        recipients=frozenset(Recipient(each.text()) for each in recipients),
        retention=_retention(said["retention"]) if "retention" in said else _RETENTION,
        service=said["service"].text() if "service" in said else _SERVICE,
        age_statement_required=said["age_statement_required"].flag() if "age_statement_required" in said else False,
        transfers=frozenset(Transfer(each.text()) for each in transfers),
        storage_location=said["storage_location"].text() if "storage_location" in said else None,
        automated_decisions=_SOME if "automated_decisions" in said and said["automated_decisions"].flag() else None,
        derived_data_erased_within=_retention(said[erased])
        if (erased := "derived_data_erased_within") in said
        else _RETENTION,
        conditional=said["conditional"].flag() if "conditional" in said else False,
    )


def _check_ignored(said: dict[str, Field]) -> None:
    """Check the members that decide nothing: they must still be such as the register would accept."""
    if "controller" in said:
        said["controller"].text()
    for key in ("name", "notice"):
        if key in said:
            for text in said[key].members(set(), frozenset(LANGUAGES)).values():
                text.text()


def _check_order(said: dict[str, Field], known: Processing, version: ProcessingVersion) -> None:
    if known.version(version.number) is not None:
        said.get("version", said["id"]).refuse(f"version {version.number} of {known.id!r} is registered already")
    for other in known.versions:
        before, after = sorted((other, version), key=attrgetter("number"))
        starts = before.effective_from
        if starts is not None and (after.effective_from is None or after.effective_from < starts):
            problem = f"version {after.number} of {known.id!r} would be in force before version {before.number}"
            said.get("effective_from", said["id"]).refuse(problem)


def _merged(said: dict[str, Field], known: Processing) -> tuple[StatusChange, ...]:
    changes = list(known.status_changes)
    for item in said["status_changes"].items() if "status_changes" in said else []:
        change = item.members({"at", "status"})
        changes.append(StatusChange(change["at"].instant(), change["status"].word(Status)))
    changes.sort(key=attrgetter("at"))
    if any(change.status is Status.RETIRED for change in changes[:-1]):
        said["status_changes"].refuse("`retired` is final: no status follows it")
    return tuple(changes)


def _struck(said: dict[str, Field], known: Processing) -> tuple[Invalidation, ...]:
    """The invalidations by this entry and those before it: of a version by its number, or of a text by its SHA-256."""
    found = list(known.invalidations)
    for item in said["invalidations"].items() if "invalidations" in said else []:
        struck = item.members({"at"}, {"version", "text"})
        if ("version" in struck) is ("text" in struck):
            item.refuse("an invalidation is about a version or about a text: name one of the two")
        version = struck["version"].whole() if "version" in struck else None
        text = struck["text"].text().lower() if "text" in struck else None
        found.append(Invalidation(struck["at"].instant(), version, text))
    return tuple(sorted(found, key=attrgetter("at")))


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
