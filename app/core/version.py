"""One version of a processing: the facts that people are told and consent to, and what a change of them means.

`TOLD_FACTS` is the one list of these facts. From it are made the consent page, the comparison that finds a change
material, the differences that a person and a data-protection officer see, and the record of GDPR 30. The page is given
facts by this list alone (`told`), so a fact that the comparison does not know cannot be shown.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final

from app.core.article import Element, ProviderKind
from app.core.period import ConsentPeriod
from app.core.retention import Retention

_DAY: Final = 86_400


class PartyMode(StrEnum):
    """Whose consent a processing of IV needs, from the statute's words to the widest reading [disputed]."""

    USER_ONLY = "user_only"
    ALL_LOCAL_USERS = "all_local_users"
    ALL_PARTIES = "all_parties"


_STRICTNESS: Final = {mode: strictness for strictness, mode in enumerate(PartyMode)}


@dataclass(frozen=True, slots=True, order=True)
class Recipient:
    """Who receives data: name, role (such as processor), country (ISO 3166-1 alpha-2); "" for what is not stated."""

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
"""ISO 3166-1 codes of the Union, of the other states of the European Economic Area, and of the outermost regions of
France: data that go there do not leave the Union (GDPR, chapter V)."""


@dataclass(frozen=True, slots=True, order=True)
class Transfer:
    """A transfer out of the Union: to which country, and what safeguards it (GDPR, chapter V)."""

    country: str
    safeguards: str = ""


@dataclass(frozen=True, slots=True)
class ProcessingVersion:
    """One version of a processing.

    `effective_from` None means: ever since there is a register. `material` is what the version says of itself; what it
    changes can make it material as well (`material_changes`). `age_statement_required`: a grant counts only where an
    age of the user had been stated. `controllers` are ids of controllers' records. `conditional`: whether a service
    depends on the consent; None where the operator does not say.
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
        """Whether this version has come into force by that instant."""
        return self.effective_from is None or self.effective_from <= at


@dataclass(frozen=True, slots=True)
class ToldFact:
    """A fact of a version that people are told; its name is that of the version's field and of the API's member.

    `as_json`: the fact as the API and the ledger have it. `narrows`: whether a change of it, before and after, takes
    nothing from those who consented to the version before: such a change alone is not material.
    """

    name: str
    as_json: Callable[[Any], Any]
    narrows: Callable[[Any, Any], bool]

    def of(self, version: ProcessingVersion) -> Any:  # noqa: ANN401 - facts are of many types
        """The fact of a version."""
        return getattr(version, self.name)


def _never(_before: object, _after: object) -> bool:
    return False


def _fewer(before: frozenset[object], after: frozenset[object]) -> bool:
    return after <= before


def _stopped(_before: object, after: object) -> bool:
    """Whether the analysis is said not to be automated any more: then it is denied, whatever the consent."""
    return not after


def _stricter(before: PartyMode, after: PartyMode) -> bool:
    return _STRICTNESS[after] > _STRICTNESS[before]


def _shorter(before: Retention | None, after: Retention | None) -> bool:
    """Whether a delay is never longer on any calendar; one that is not stated may last for ever."""
    return before is None or (after is not None and not after.may_exceed(before))


def _shorter_validity(before: ConsentPeriod, after: ConsentPeriod) -> bool:
    lengths = [Retention(each.months, each.days * _DAY, "") for each in (before, after)]
    return _shorter(*lengths)


def _recipients_as_json(recipients: frozenset[Recipient]) -> list[dict[str, str]]:
    return [
        {name: said for name in ("name", "role", "country") if (said := getattr(each, name))}
        for each in sorted(recipients)
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
    """The facts that people are told of a version, by name."""
    return {fact.name: fact.of(version) for fact in TOLD_FACTS}


def changed_facts(before: ProcessingVersion, after: ProcessingVersion) -> tuple[ToldFact, ...]:
    """The told facts that differ between two versions."""
    return tuple(fact for fact in TOLD_FACTS if fact.of(before) != fact.of(after))


def material_changes(before: ProcessingVersion, after: ProcessingVersion) -> tuple[str, ...]:
    """The names of the facts whose change makes a version material: all that people are told, unless it narrows."""
    changed = changed_facts(before, after)
    return tuple(fact.name for fact in changed if not fact.narrows(fact.of(before), fact.of(after)))
