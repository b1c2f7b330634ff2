"""What one request is judged on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from app.core.case import NOT_SHARED, Holders
from app.core.consent import ConsentEvent
from app.core.processing import Processing


@dataclass(frozen=True, slots=True)
class Facts:
    """The register entry, the events of those whose consents the request needs, and the instant.

    `consents` and `holders` are by locator. `subject_ref`: the subject's, if it was looked up and something is recorded
    of it.
    """

    processing: Processing | None
    consents: Mapping[bytes, Sequence[ConsentEvent]]
    at: datetime
    holders: Holders = field(default_factory=lambda: NOT_SHARED)
    subject_ref: bytes | None = None
