"""A processing activity as the register knows it: its versions, its status, and what a new version may change.

A processing has one purpose for ever (L32-3 IV: consent is specific to each processing); everything else, including its
controllers, belongs to a numbered version with an instant from which it is in force. A material version is another
processing for its users: consent to the previous version is not consent to it.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from functools import cached_property
from itertools import pairwise
from typing import Any, Final

from app.core.article import CONSENT_PURPOSES, EXEMPT_PURPOSES, Element, ProviderKind, Purpose
from app.core.errors import InvalidVersionError
from app.core.period import ConsentPeriod, Retention

# One version of a processing: the facts that people are told and consent to, and what a change of them means.
# `TOLD_FACTS` is the only list of these facts. It drives the consent page, the comparison that finds a change material,
# the differences that a person and a data-protection officer see, and the record of GDPR 30. The page receives facts
# only through this list (`told`), so it cannot show a fact that the comparison does not know.

_DAY: Final = 86_400


class PartyMode(StrEnum):
    """Whose consent a processing of IV needs, from the statute's words to the widest reading [disputed]."""

    USER_ONLY = "user_only"
    ALL_LOCAL_USERS = "all_local_users"
    ALL_PARTIES = "all_parties"


_STRICTNESS: Final = {mode: strictness for strictness, mode in enumerate(PartyMode)}


@dataclass(frozen=True, slots=True, order=True)
class Recipient:
    """A recipient of data: name, role (such as processor), country (ISO 3166-1 alpha-2); "" for what is not stated."""

    name: str
    role: str = ""
    country: str = ""


UNION: Final = frozenset(
    {
        *("AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU"),
        *("LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK"),
        *("IS", "LI", "NO"),
        *("GP", "MQ", "GF", "RE", "YT", "MF"),
    }
)
"""ISO 3166-1 codes of the Union, the other states of the European Economic Area, and the outermost regions of France.

Data that go there do not leave the Union (GDPR, chapter V).
"""


@dataclass(frozen=True, slots=True, order=True)
class Transfer:
    """A transfer out of the Union: the country, and the safeguards (GDPR, chapter V)."""

    country: str
    safeguards: str = ""


@dataclass(frozen=True, slots=True)
class ProcessingVersion:
    """One version of a processing.

    `effective_from` None means that it has been in force since the register began. `material` is the version's own
    statement; what it changes can make it material as well (`material_changes`). `age_statement_required`: a grant
    counts only if an age of the user had been stated. `controllers` are ids of controllers' records. `conditional`:
    whether a service depends on the consent; None if the operator does not say.
    """

    number: int
    effective_from: datetime | None
    provider_kind: ProviderKind
    elements: frozenset[Element]
    automated: bool
    party_mode: PartyMode
    started_on: date
    consent_validity: ConsentPeriod
    material: bool
    recipients: frozenset[Recipient] = frozenset()
    retention: Retention | None = None
    service: str = ""
    age_statement_required: bool = False
    controllers: frozenset[str] = frozenset()
    categories_of_persons: tuple[str, ...] = ()
    transfers: frozenset[Transfer] = frozenset()
    storage_location: str | None = None
    automated_decisions: str | None = None
    conditional: bool | None = None
    derived_data_erased_within: Retention | None = None

    def in_force_at(self, at: datetime) -> bool:
        """Return whether this version has come into force by that instant."""
        return self.effective_from is None or self.effective_from <= at


@dataclass(frozen=True, slots=True)
class ToldFact:
    """A fact of a version that people are told; its name is that of the version's field and of the API's member.

    `as_json` gives the fact as the API and the ledger hold it. `narrows(before, after)` says whether a change takes
    nothing from those who consented to the version before; such a change alone is not material.
    """

    name: str
    as_json: Callable[[Any], Any]
    narrows: Callable[[Any, Any], bool]

    def of(self, version: ProcessingVersion) -> Any:  # noqa: ANN401 - facts are of many types
        """Return the fact of a version."""
        return getattr(version, self.name)


def _never(_before: object, _after: object) -> bool:
    return False


def _fewer(before: frozenset[object], after: frozenset[object]) -> bool:
    return after <= before


def _stopped(_before: object, after: object) -> bool:
    """Return whether the analysis is no longer stated to be automated: it is then denied, whatever the consent."""
    return not after


def _stricter(before: PartyMode, after: PartyMode) -> bool:
    return _STRICTNESS[after] > _STRICTNESS[before]


def _shorter(before: Retention | None, after: Retention | None) -> bool:
    """Return whether a delay is never longer on any calendar; a delay that is not stated may last for ever."""
    return before is None or (after is not None and not after.may_exceed(before))


def _shorter_validity(before: ConsentPeriod, after: ConsentPeriod) -> bool:
    lengths = [Retention(each.months, each.days * _DAY, "") for each in (before, after)]
    return _shorter(*lengths)


def _recipients_as_json(recipients: frozenset[Recipient]) -> list[dict[str, str]]:
    return [
        {name: value for name in ("name", "role", "country") if (value := getattr(recipient, name))}
        for recipient in sorted(recipients)
    ]


def _transfers_as_json(transfers: frozenset[Transfer]) -> list[dict[str, str]]:
    return [{"country": each.country, "safeguards": each.safeguards} for each in sorted(transfers)]


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _same(value: object) -> object:
    return value


TOLD_FACTS: Final = (
    ToldFact("controllers", sorted, _fewer),
    ToldFact("provider_kind", _text, _never),
    ToldFact("service", _same, _never),
    ToldFact("elements", sorted, _fewer),
    ToldFact("categories_of_persons", list, _never),
    ToldFact("automated", _same, _stopped),
    ToldFact("automated_decisions", _same, _never),
    ToldFact("party_mode", _text, _stricter),
    ToldFact("consent_validity", _text, _shorter_validity),
    ToldFact("recipients", _recipients_as_json, _fewer),
    ToldFact("transfers", _transfers_as_json, _fewer),
    ToldFact("storage_location", _same, _never),
    ToldFact("retention", _text, _shorter),
    ToldFact("derived_data_erased_within", _text, _shorter),
    ToldFact("conditional", _same, _never),
)
"""What people are told of a version, in the order in which differences are listed (law.md, "Material")."""

Told = Mapping[str, Any]
"""The told facts of a version, by name."""


def told(version: ProcessingVersion) -> Told:
    """Return the facts that people are told of a version, by name."""
    return {fact.name: fact.of(version) for fact in TOLD_FACTS}


def changed_facts(before: ProcessingVersion, after: ProcessingVersion) -> tuple[ToldFact, ...]:
    """Return the told facts that differ between two versions."""
    return tuple(fact for fact in TOLD_FACTS if fact.of(before) != fact.of(after))


def material_changes(before: ProcessingVersion, after: ProcessingVersion) -> tuple[str, ...]:
    """Return the names of the told facts whose change makes a version material: those that do not narrow."""
    changed = changed_facts(before, after)
    return tuple(fact.name for fact in changed if not fact.narrows(fact.of(before), fact.of(after)))


_ID: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


def can_be_an_id(text: str) -> bool:
    """Return whether a processing could be registered under this text.

    Other text is neither looked up nor logged, because a caller may have put an address there.
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
    """From `at` on, no consent permits that rests on this version, or on the text of this SHA-256 (lower-case hex).

    One of the two is None.
    """

    at: datetime
    version: int | None = None
    text: str | None = None

    def strikes(self, version: int, text: str | None) -> bool:
        """Return whether this strikes a consent to that version that was given on that text (None: an unknown text)."""
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
        """Whether it is of IV and some version of it asks for other parties' consents."""
        return self.rests_on_consent and any(each.party_mode is not PartyMode.USER_ONLY for each in self.versions)

    def version(self, number: int) -> ProcessingVersion | None:
        """Return the version of that number, if the register holds it."""
        return self._numbered.get(number)

    @cached_property
    def _numbered(self) -> Mapping[int, ProcessingVersion]:
        return {version.number: version for version in self.versions}

    def version_at(self, at: datetime) -> ProcessingVersion | None:
        """Return the version in force at an instant: the highest number that has come into force."""
        for version in reversed(self.versions):
            if version.in_force_at(at):
                return version
        return None

    def status_at(self, at: datetime) -> Status:
        """Return the status at an instant; active until the first change."""
        for change in reversed(self.status_changes):
            if change.at <= at:
                return change.status
        return Status.ACTIVE

    @property
    def changes(self) -> tuple[StatusChange | Invalidation, ...]:
        """The changes of status and the invalidations, each with its instant."""
        return (*self.status_changes, *self.invalidations)

    def invalidated(self, version: int, text: str | None, at: datetime) -> bool:
        """Return whether a version, or the text shown for it (None: not known), was invalidated by an instant."""
        return any(each.at <= at and each.strikes(version, text) for each in self.invalidations)

    @cached_property
    def _material(self) -> tuple[ProcessingVersion, ...]:
        """The material versions; computed once, because every decision under IV asks for them."""
        first = [version for version in self.versions[:1] if version.material]
        later = [
            after for before, after in pairwise(self.versions) if after.material or material_changes(before, after)
        ]
        return (*first, *later)

    def material_versions(self, after: int = 0) -> Iterator[ProcessingVersion]:
        """Return the versions above `after` that are material, by their own statement or by what they change."""
        return (version for version in self._material if version.number > after)

    def superseded(self, number: int, at: datetime) -> bool:
        """Return whether a material version above `number` has come into force by that instant."""
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
