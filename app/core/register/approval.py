"""Four eyes on the register: what a second person must approve, and what must be justified.

The rules are right about the facts that they are given; these are about who may give them. Advertising that is
registered as sorting would need nobody's consent, so one key alone must not be able to say so.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from app.core.article import CONSENT_PURPOSES, EXEMPT_PURPOSES, Purpose
from app.core.errors import InvalidVersionError
from app.core.register.version_diff import Words
from app.core.retention import Retention
from app.core.version import UNION, ProcessingVersion, material_changes


class RegisterApproval(StrEnum):
    """How many persons it takes to register a processing or to weaken one."""

    ONE = "one"
    TWO = "two"


APPROVAL_CHECK: Final = "register approval"
"""The name under which a database keeps that two persons decide, once a process has said so."""


class RegisterWarning(StrEnum):
    """What a data-protection officer should look at in a version; the first two must be justified.

    `data_recipients`, `retention`: of a processing of III, which nobody consents to, others receive the data, or they
    are kept over 30 days. `advertising_words`: its name or notice speaks of advertising or of profiles, which III does
    not free. `location`: neither a place where data are stored nor a transfer is stated. `dpia`, `security`: no
    assessment of GDPR art. 35, no measures of art. 32.
    """

    DATA_RECIPIENTS = "data_recipients"
    RETENTION = "retention"
    ADVERTISING_WORDS = "advertising_words"
    LOCATION = "location"
    DPIA = "dpia"
    SECURITY = "security"


LONG_KEPT: Final = Retention.parse("P30D")
"""What display, sorting, routing and detection may keep without a justification."""


def narrows(before: ProcessingVersion, after: ProcessingVersion, *, words_changed: bool) -> bool:
    """Whether a version permits nothing that the one before it did not: it takes one person to record it."""
    age_dropped = before.age_statement_required and not after.age_statement_required
    return not (words_changed or age_dropped or material_changes(before, after))


def needs_approval(
    asked: RegisterApproval,
    before: ProcessingVersion | None,
    after: ProcessingVersion,
    *,
    words_changed: bool,
    struck: bool,
    ahead: bool,
) -> bool:
    """Whether a version waits for another person.

    Args:
        asked: how many persons decide.
        before: the version that it follows; None for the first of a new processing.
        after: the version.
        words_changed: whether what people read beside the told facts differs. Said to be minor, that always takes a
            second person: consents to the old words would go on under the new ones.
        struck: whether anything of the processing was invalidated. Any other version may ask again what was stopped.
        ahead: whether it comes into force later. What is invalidated until then would be asked again by it.

    """
    if before is not None and words_changed and not after.material:
        return True
    if asked is RegisterApproval.ONE:
        return False
    return before is None or struck or ahead or not narrows(before, after, words_changed=words_changed)


def check_lawful(purpose: Purpose, version: ProcessingVersion) -> None:
    """Refuse a version on which no lawful consent or processing could rest.

    Raises:
        InvalidVersionError: a service depends on a consent of IV (GDPR art. 7(4)); or data leave the Union without
            safeguards (GDPR art. 44 to 49).

    """
    if purpose in CONSENT_PURPOSES and version.conditional:
        message = "No service may depend on a consent under IV: it would not be freely given (GDPR art. 7(4))."
        raise InvalidVersionError(message, field="conditional")
    safeguarded = {each.country for each in version.transfers if each.safeguards.strip()}
    if any(each.country not in safeguarded for each in version.transfers):
        message = "State what safeguards each transfer out of the Union (GDPR, chapter V)."
        raise InvalidVersionError(message, field="transfers")
    if any(each.country and each.country not in UNION | safeguarded for each in version.recipients):
        message = "A recipient outside the Union needs a transfer to its country, with safeguards, in `transfers`."
        raise InvalidVersionError(message, field="recipients")


def unusual(purpose: Purpose, version: ProcessingVersion) -> tuple[RegisterWarning, ...]:
    """What of a version of III must be justified: that others receive its data, or that they are kept over 30 days."""
    if purpose not in EXEMPT_PURPOSES:
        return ()
    long = version.retention is None or version.retention.may_exceed(LONG_KEPT)
    found = ((RegisterWarning.DATA_RECIPIENTS, bool(version.recipients)), (RegisterWarning.RETENTION, long))
    return tuple(warning for warning, present in found if present)


def warnings_of(purpose: Purpose, version: ProcessingVersion, said: Words) -> tuple[RegisterWarning, ...]:
    """What a data-protection officer should look at.

    Args:
        purpose: of the processing.
        version: the facts that are told.
        said: the words beside them, and what only the register holds, by the names of the API.

    """
    texts = [text for name in ("name", "notice") for text in _texts(said.get(name))]
    advertises = purpose in EXEMPT_PURPOSES and any(_ADVERTISING.search(text) for text in texts)
    found = (
        (RegisterWarning.ADVERTISING_WORDS, advertises),
        (RegisterWarning.LOCATION, version.storage_location is None and not version.transfers),
        (RegisterWarning.DPIA, said.get("dpia_reference") is None),
        (RegisterWarning.SECURITY, said.get("security_measures") is None),
    )
    return (*unusual(purpose, version), *(warning for warning, present in found if present))


def _texts(by_language: object) -> list[str]:
    return [str(text) for text in by_language.values()] if isinstance(by_language, Mapping) else []


_ADVERTISING: Final = re.compile(
    r"\b(publicit|pub\b|annonceur|commercia|marketing|cibl|profil|advertis|ads?\b|promot|target)", re.IGNORECASE
)
"""Beginnings of words, French and English, of what III does not free: advertising, and profiles of people."""
