"""Four eyes on the register: what a second person must approve, and what must be justified.

The rules are right about the facts that they are given; these are about who may give them. Advertising that is
registered as sorting would need nobody's consent, so one key alone must not be able to say so.
"""

from enum import StrEnum
from typing import Final

from app.core.article import EXEMPT_PURPOSES, Purpose
from app.core.processing import PARTY_MODE_STRENGTH, ProcessingVersion
from app.core.retention import Retention


class RegisterApproval(StrEnum):
    """How many persons it takes to register a processing or to weaken one."""

    ONE = "one"
    TWO = "two"


class RegisterWarning(StrEnum):
    """What is unusual for a processing of III, which nobody consents to."""

    DATA_RECIPIENTS = "data_recipients"
    RETENTION = "retention"


LONG_KEPT: Final = Retention.parse("P30D")
"""What display, sorting, routing and detection may keep without a justification."""


def needs_approval(
    asked: RegisterApproval, before: ProcessingVersion | None, after: ProcessingVersion, *, texts_changed: bool
) -> bool:
    """Whether a version waits for another person.

    Args:
        asked: what the deployment has chosen.
        before: the version that it follows; None for the first of a new processing.
        after: the version.
        texts_changed: whether what people are told differs. Said to be minor, that always takes a second person:
            consents to the old words would go on under the new ones.

    """
    if before is not None and texts_changed and not after.material:
        return True
    if asked is RegisterApproval.ONE:
        return False
    return before is None or PARTY_MODE_STRENGTH[after.party_mode] < PARTY_MODE_STRENGTH[before.party_mode]


def warnings_of(purpose: Purpose, version: ProcessingVersion) -> tuple[RegisterWarning, ...]:
    """What of a version of III must be justified: that others receive its data, or that they are kept over 30 days."""
    if purpose not in EXEMPT_PURPOSES:
        return ()
    long = version.retention is None or version.retention.may_exceed(LONG_KEPT)
    found = ((RegisterWarning.DATA_RECIPIENTS, bool(version.data_recipients)), (RegisterWarning.RETENTION, long))
    return tuple(warning for warning, present in found if present)
