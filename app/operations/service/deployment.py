"""What every operation of one deployment shares: its keys, and what it decided about periods and times."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from app.core.period import ConsentPeriod, PeriodPolicy
from app.core.register import RegisterApproval
from app.core.renewal import Renewal
from app.db.session import ReadSession
from app.ledger.identifiers import Pseudonyms, Vault
from app.ledger.locators import REF_BYTES, find_ref

HALF_A_YEAR: Final = ConsentPeriod(months=6, days=0)


@dataclass(frozen=True, slots=True)
class Deployment:
    """What every operation of one deployment shares; made once, by `app.main`.

    `max_backdating`: how far back a live grant may say that it was collected. `lease`: how long a replica may decide
    unheard, the same for every process (docs/freshness.md). `solicitation_pause`: how long what was refused or
    withdrawn is not offered again. `link_validity`: how long a link to the consent page asks. `notices`: how many days
    before its expiry a consent is flagged, longest first. `approval`: how many people it takes to import older
    consents.
    """

    pseudonyms: Pseudonyms
    vault: Vault
    policy: PeriodPolicy = field(default_factory=PeriodPolicy)
    max_backdating: timedelta = timedelta(minutes=10)
    lease: timedelta = timedelta(seconds=2)
    notices: tuple[int, ...] = (60, 30, 7)
    solicitation_pause: ConsentPeriod = HALF_A_YEAR
    link_validity: timedelta = timedelta(days=30)
    approval: RegisterApproval = RegisterApproval.ONE

    @property
    def renewal(self) -> Renewal:
        """How renewals are announced."""
        return Renewal(self.policy, self.notices)


@dataclass(frozen=True, slots=True)
class SubjectName:
    """A subject as a caller names it. Never stored in clear, never logged: its repr does not show the id."""

    type: str
    id: str

    def __repr__(self) -> str:
        """Show the type alone."""
        return f"SubjectName(type={self.type!r})"


NOBODY: Final = bytes(REF_BYTES)
"""The subject_ref of no subject: those of subjects are random."""


async def ref_of(session: ReadSession, deployment: Deployment, name: SubjectName) -> bytes:
    """Return the subject_ref of a name; `NOBODY` when nothing is recorded, perhaps since a closure or an erasure.

    Raises:
        InvalidSubjectError: the id has a domain that IDNA refuses.

    """
    ref = await find_ref(session, deployment.pseudonyms.found_by(name.type, name.id))
    return NOBODY if ref is None else ref


def recorded_ref(ref: bytes) -> bytes | None:
    """Return a subject_ref as an act about it is recorded: None for `NOBODY`, which strangers would have in common."""
    return None if ref == NOBODY else ref


def parent_reference(deployment: Deployment, parent: SubjectName) -> bytes:
    """Return the reference by which the ledger knows a parent: the same for all of their children, and for no other.

    Raises:
        InvalidSubjectError: the id has a domain that IDNA refuses.

    """
    pseudonyms = deployment.pseudonyms
    name = pseudonyms.ids.normalise(parent.type, parent.id)
    return pseudonyms.opaque("parent", f"{parent.type}\n{name}")
