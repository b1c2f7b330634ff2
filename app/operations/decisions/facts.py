"""What one request is judged on."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.core.consent import ConsentEvent
from app.core.processing import Processing


@dataclass(frozen=True, slots=True)
class Facts:
    """The register entry, the events of those whose consents the request needs, and the instant.

    `consents` are by locator; `shared`: the locators that are mailboxes of several people. `subject_ref`: that of the
    subject, if it was looked up and something is recorded of it.
    """

    processing: Processing | None
    consents: Mapping[bytes, Sequence[ConsentEvent]]
    at: datetime
    shared: Collection[bytes] = ()
    subject_ref: bytes | None = None
