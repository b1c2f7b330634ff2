"""Shared by the two operations that write controllers: what a version of one says, before it has a number."""

from dataclasses import dataclass
from datetime import datetime

from app.core.register.controllers import ControllerKind
from app.register.records import ControllerVersion


@dataclass(frozen=True, slots=True)
class NewControllerId:
    """The id that a controller gets here, and the official identifier that it is known by, of its kind."""

    id: str
    kind: ControllerKind
    identifier: str | None


@dataclass(frozen=True, slots=True)
class ControllerDraft:
    """All that a caller says of a controller; `country` is an ISO 3166-1 alpha-2 code."""

    legal_name: str
    postal_address: str | None = None
    contact: str | None = None
    data_protection_officer: str | None = None
    country: str | None = None

    def version(self, number: int, recorded_at: datetime) -> ControllerVersion:
        """This draft as a numbered version."""
        return ControllerVersion(
            number=number,
            legal_name=self.legal_name,
            recorded_at=recorded_at,
            postal_address=self.postal_address,
            contact=self.contact,
            data_protection_officer=self.data_protection_officer,
            country=self.country,
        )
