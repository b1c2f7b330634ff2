"""What every operation of one deployment shares: its keys, and what it decided about periods and times."""

from dataclasses import dataclass, field
from datetime import timedelta

from app.core.period import PeriodPolicy
from app.ledger.pseudonym import Pseudonyms
from app.ledger.vault import Vault


@dataclass(frozen=True, slots=True)
class Deployment:
    """Made once, by `app.main`.

    `max_backdating`: how far back a live grant may say that it was collected. `lease`: how long a replica may decide
    unheard, the same for every process (docs/freshness.md).
    """

    pseudonyms: Pseudonyms
    vault: Vault
    policy: PeriodPolicy = field(default_factory=PeriodPolicy)
    max_backdating: timedelta = timedelta(minutes=10)
    lease: timedelta = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class SubjectName:
    """A subject as a caller names it. Never stored in clear, never logged: its repr does not show the id."""

    type: str
    id: str

    def __repr__(self) -> str:
        """The type alone."""
        return f"SubjectName(type={self.type!r})"
