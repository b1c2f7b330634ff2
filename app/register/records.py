"""Register entries with all that they tell people: what `app.core.processing` decides on, and the words around it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from app.core.article import Purpose
from app.core.processing import Processing, ProcessingVersion, StatusChange


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """One version: the facts that rules look at, its words in each language, and when it was recorded.

    `contact`: the controller's data-protection contact, as people are told it; None when none is registered.
    """

    facts: ProcessingVersion
    name: Mapping[str, str]
    notice: Mapping[str, str]
    recorded_at: datetime
    contact: str | None = None

    def notice_hash(self, language: str) -> str | None:
        """SHA-256 (hex) of the notice in a language (BCP 47: `fr`, `fr-FR`), UTF-8; None when there is no such text."""
        text = self.notice.get(language.lower().split("-")[0])
        return None if text is None else sha256(text.encode()).hexdigest()

    def holds_text(self, digest: str) -> bool:
        """Whether some notice of this version has that SHA-256 (hex)."""
        return any(sha256(text.encode()).hexdigest() == digest.lower() for text in self.notice.values())


@dataclass(frozen=True, slots=True)
class ProcessingRecord:
    """One processing as registered."""

    id: str
    controller: str
    purpose: Purpose
    registered_at: datetime
    versions: tuple[VersionRecord, ...]
    status_changes: tuple[StatusChange, ...]

    @property
    def facts(self) -> Processing:
        """What the rules look at."""
        return Processing(
            id=self.id,
            purpose=self.purpose,
            versions=tuple(version.facts for version in self.versions),
            status_changes=self.status_changes,
        )

    def version(self, number: int) -> VersionRecord | None:
        """The version of that number, if there is one."""
        return next((version for version in self.versions if version.facts.number == number), None)
