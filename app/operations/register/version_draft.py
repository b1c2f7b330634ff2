"""Shared by the three operations that write the register: what a version says, before it has a number."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from app.core.article import Element, ProviderKind, Purpose
from app.core.period import ConsentPeriod
from app.core.processing import PartyMode, ProcessingVersion
from app.core.retention import Retention
from app.register.records import VersionRecord


@dataclass(frozen=True, slots=True)
class VersionDraft:
    """All that a caller says of one version of a processing."""

    controller: str
    purpose: Purpose
    provider_kind: ProviderKind
    service: str
    elements: frozenset[Element]
    automated: bool
    party_mode: PartyMode
    started_on: date
    consent_validity: ConsentPeriod
    name: Mapping[str, str]
    notice: Mapping[str, str]
    data_recipients: frozenset[str]
    retention: Retention
    contact: str | None = None
    age_statement_required: bool = False

    def version(self, number: int, *, effective_from: datetime, material: bool, recorded_at: datetime) -> VersionRecord:
        """This draft as a numbered version."""
        facts = ProcessingVersion(
            number=number,
            effective_from=effective_from,
            provider_kind=self.provider_kind,
            elements=self.elements,
            automated=self.automated,
            party_mode=self.party_mode,
            started_on=self.started_on,
            consent_validity=self.consent_validity,
            material=material,
            data_recipients=self.data_recipients,
            retention=self.retention,
            service=self.service,
            age_statement_required=self.age_statement_required,
        )
        return VersionRecord(facts, self.name, self.notice, recorded_at, self.contact)
