"""Shared by the operations that write the register: what a version says, before it has a number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from app.core.article import Element, ProviderKind, Purpose
from app.core.errors import InvalidVersionError
from app.core.period import ConsentPeriod
from app.core.processing import PartyMode, ProcessingVersion
from app.core.register.approval import warnings_of
from app.core.retention import Retention
from app.register.particulars import Particulars
from app.register.records import ControllerRecord, VersionRecord


@dataclass(frozen=True, slots=True)
class VersionDraft:
    """All that a caller says of one version of a processing.

    Its controllers come as ids of their records, or as one legal name in `controller`. `reason`: why the texts change
    in a version that is not material.
    """

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
    controllers: tuple[str, ...] = ()
    controller: str | None = None
    particulars: Particulars = field(default_factory=Particulars)
    reason: str | None = None

    def version(
        self,
        number: int,
        *,
        effective_from: datetime,
        material: bool,
        recorded_at: datetime,
        controllers: Sequence[ControllerRecord],
    ) -> VersionRecord:
        """This draft as a numbered version of these controllers.

        Raises:
            InvalidVersionError: it is of III, and what is unusual for that is not justified.

        """
        ids = tuple(each.id for each in controllers)
        facts = replace(
            self._facts, number=number, effective_from=effective_from, material=material, controllers=frozenset(ids)
        )
        self._check_justified(facts)
        return VersionRecord(
            facts,
            self.name,
            self.notice,
            recorded_at,
            contact=self.contact,
            controllers=ids,
            particulars=self.particulars,
            reason=self.reason,
        )

    def _check_justified(self, facts: ProcessingVersion) -> None:
        if warnings_of(self.purpose, facts) and self.particulars.justification is None:
            message = (
                "A purpose of III that has data recipients, or that keeps data for over 30 days, needs a justification."
            )
            raise InvalidVersionError(message, field="justification")

    @property
    def _facts(self) -> ProcessingVersion:
        """What rules read, of a version without its number, instant and controllers."""
        return ProcessingVersion(
            number=1,
            effective_from=None,
            provider_kind=self.provider_kind,
            elements=self.elements,
            automated=self.automated,
            party_mode=self.party_mode,
            started_on=self.started_on,
            consent_validity=self.consent_validity,
            material=True,
            data_recipients=self.data_recipients,
            retention=self.retention,
            service=self.service,
            age_statement_required=self.age_statement_required,
        )
