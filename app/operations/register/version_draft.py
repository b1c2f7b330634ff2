"""Shared by the operations that write the register: what a version says, before it has a number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from app.core.article import Purpose
from app.core.errors import InvalidVersionError
from app.core.register.approval import check_lawful, unusual
from app.core.version import ProcessingVersion
from app.register.particulars import Particulars
from app.register.records import ControllerRecord, VersionRecord


@dataclass(frozen=True, slots=True)
class VersionDraft:
    """All that a caller says of one version of a processing.

    `facts`: what rules read, still without number, instant and controllers. Its controllers come as ids of their
    records, or as one legal name in `controller`. `reason`: why the words change in a version that is not material.
    """

    purpose: Purpose
    facts: ProcessingVersion
    name: Mapping[str, str]
    notice: Mapping[str, str]
    contact: str | None = None
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
            InvalidVersionError: no lawful consent could rest on it (`check_lawful`); or it is of III, and what is
                unusual for that is not justified.

        """
        ids = tuple(each.id for each in controllers)
        facts = replace(
            self.facts, number=number, effective_from=effective_from, material=material, controllers=frozenset(ids)
        )
        check_lawful(self.purpose, facts)
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
        if unusual(self.purpose, facts) and self.particulars.justification is None:
            message = (
                "A purpose of III that has data recipients, or that keeps data for over 30 days, needs a justification."
            )
            raise InvalidVersionError(message, field="justification")
