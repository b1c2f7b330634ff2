"""What the register may hold, and who may record it: lawful versions, controllers, differences, the gate."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from app.core.article import CONSENT_PURPOSES, EXEMPT_PURPOSES, Purpose
from app.core.errors import ConflictError, DomainError, ForbiddenError, InvalidVersionError
from app.core.period import Retention
from app.core.processing import UNION, ProcessingVersion, changed_facts, material_changes

Words = Mapping[str, object]
"""What a version says besides its facts, by the names of the API, as JSON values."""


class ControllerExistsError(ConflictError):
    """A controller with this id or identifier is registered already; a new name or address is a version of it."""

    slug = "controller-exists"


class ProcessingNotApprovedError(ConflictError):
    """The processing is proposed: until another person has approved it, it can only be retired."""

    slug = "processing-not-approved"


class ProposalPendingError(ConflictError):
    """A proposal about this waits to be answered: nothing is added to it before."""

    slug = "proposal-pending"


class NotProposedError(ConflictError):
    """This does not wait for anybody: it was never proposed, or it was answered already."""

    slug = "not-proposed"


class OwnProposalError(ForbiddenError):
    """Another person approves: by who made the two callers, this one and who proposed it may be one human being."""

    slug = "own-proposal"


class NoSecondPersonError(ConflictError):
    """Nobody could approve this: first give another person a caller of kind `person` with `register:approve`.

    Whoever proposes by a key needs somebody with another key, and whoever proposes by an account of an issuer somebody
    with another account of the same issuer: a key and an account may be one person's. Let the bootstrap key, or the
    command line, make the callers of both: whoever makes a key, or registers an account, may use it.
    """

    slug = "no-second-person"


class VersionInvalidatedError(ConflictError):
    """The version in force, or one of its notices, was invalidated: nothing is asked until there is a new version."""

    slug = "version-invalidated"


class UnknownTextError(DomainError):
    """No consent to this processing rests on that text: it is no notice of a version, and no consent names its hash."""

    slug = "unknown-text"


class NoticeOnPagesError(ConflictError):
    """The consent page showed this notice within longer texts, whose hashes differ: invalidate the version."""

    slug = "notice-on-pages"


class ImportNotApprovedError(ConflictError):
    """Grants are imported only once another person has approved the import: it waits in GET /v1/proposals."""

    slug = "import-not-approved"


class RowChangedError(ConflictError):
    """This row of the import was recorded already, and said something else then."""

    slug = "import-row-changed"


class ImportUntilError(DomainError):
    """An import of grants names the instant until which the older system decided, the same each time: `until`."""

    slug = "import-until"


class ImportOfAnotherError(ConflictError):
    """Another caller began the import of this name, and alone goes on with it: choose another name."""

    slug = "import-of-another"


# A controller answers for a processing: a legal person known by an identifier, whose names may change. A SIREN is nine
# digits whose Luhn sum is a multiple of ten (INSEE; ISO/IEC 7812-1 annex B). A LEI is 18 characters and two check
# digits (ISO 17442); it is valid when the whole, with letters read as 10 to 35, is 1 modulo 97 (ISO/IEC 7064, MOD
# 97-10).

_SIREN: Final = re.compile(r"[0-9]{9}", re.ASCII)
_LEI: Final = re.compile(r"[A-Z0-9]{18}[0-9]{2}", re.ASCII)
_READABLE: Final = 60
_HASH: Final = 12
_TEN: Final = 10
_NINE: Final = 9


class ControllerKind(StrEnum):
    """Which register a controller's identifier is of; `other`: none that is checked here."""

    SIREN = "siren"
    LEI = "lei"
    OTHER = "other"


def is_siren(text: str) -> bool:
    """Return whether a text is a SIREN, written without spaces."""
    if _SIREN.fullmatch(text) is None or not text.strip("0"):
        return False
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(text)))
    return sum(each if each < _TEN else each - _NINE for each in doubled) % _TEN == 0


def is_lei(text: str) -> bool:
    """Return whether a text is a LEI, in capitals and without spaces."""
    return _LEI.fullmatch(text) is not None and int("".join(str(int(each, 36)) for each in text)) % 97 == 1


def is_identifier(kind: ControllerKind, identifier: str | None) -> bool:
    """Return whether an identifier is valid for its kind; a controller of kind `other` may have none."""
    if kind is ControllerKind.OTHER:
        return True
    return identifier is not None and {ControllerKind.SIREN: is_siren, ControllerKind.LEI: is_lei}[kind](identifier)


def id_of_name(legal_name: str) -> str:
    """Return the id of the record for a legal name that was given without an id.

    It is the name in lower case without accents, its letters and digits joined by hyphens and cut at 60 characters,
    then a hyphen and the first 12 hexadecimal digits of the SHA-256 of the name (Unicode NFC, UTF-8). Two names never
    share an id, and one name always has the same id.
    """
    plain = unicodedata.normalize("NFKD", legal_name).encode("ascii", "ignore").decode().lower()
    readable = "-".join(re.findall(r"[a-z0-9]+", plain))[:_READABLE].strip("-") or "controller"
    return f"{readable}-{sha256(unicodedata.normalize('NFC', legal_name).encode()).hexdigest()[:_HASH]}"


@dataclass(frozen=True, slots=True)
class Struck:
    """What an invalidation is about: a version by its number, or a text by its SHA-256 (hex, lower case)."""

    version: int | None = None
    text: str | None = None


# Four eyes on the register: what a second person must approve, and what must be justified. The rules rely on the facts
# that they are given; these checks are about who may give them. Advertising that is registered as sorting would need no
# consent, so one key alone must not be able to register it so.
class RegisterApproval(StrEnum):
    """How many persons it takes to register a processing or to weaken one."""

    ONE = "one"
    TWO = "two"


APPROVAL_CHECK: Final = "register approval"
"""The name under which a database stores that two persons decide, once a process has set that."""


class RegisterWarning(StrEnum):
    """What a data-protection officer should look at in a version; the first two must be justified.

    `data_recipients`, `retention`: others receive the data of a processing of III, which needs no consent, or the data
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
"""The longest that display, sorting, routing and detection may keep data without a justification."""


def narrows(before: ProcessingVersion, after: ProcessingVersion, *, words_changed: bool) -> bool:
    """Return whether a version permits nothing that the previous one did not; one person may then record it alone."""
    age_dropped = before.age_statement_required and not after.age_statement_required
    return not (words_changed or age_dropped or material_changes(before, after))


def needs_approval(
    approval: RegisterApproval,
    before: ProcessingVersion | None,
    after: ProcessingVersion,
    *,
    words_changed: bool,
    struck: bool,
    ahead: bool,
) -> bool:
    """Return whether a version waits for another person.

    Args:
        approval: how many persons decide.
        before: the version that it follows; None for the first version of a new processing.
        after: the version.
        words_changed: whether the words that people read besides the told facts differ. If the version calls that
            minor, it always takes a second person, because consents to the old words would go on under the new ones.
        struck: whether anything of the processing was invalidated. Any further version may ask again what was stopped.
        ahead: whether it comes into force later. It would then ask again for what is invalidated until that time.

    """
    if before is not None and words_changed and not after.material:
        return True
    if approval is RegisterApproval.ONE:
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
    """Return what a version of III must justify: that others receive its data, or that they are kept over 30 days."""
    if purpose not in EXEMPT_PURPOSES:
        return ()
    long = version.retention is None or version.retention.may_exceed(LONG_KEPT)
    checks = ((RegisterWarning.DATA_RECIPIENTS, bool(version.recipients)), (RegisterWarning.RETENTION, long))
    return tuple(warning for warning, present in checks if present)


def warnings_of(purpose: Purpose, version: ProcessingVersion, words: Words) -> tuple[RegisterWarning, ...]:
    """Return the warnings that a data-protection officer should look at.

    Args:
        purpose: the purpose of the processing.
        version: the told facts.
        words: the words besides them, and what only the register holds, by the names of the API.

    """
    texts = [text for name in ("name", "notice") for text in _texts(words.get(name))]
    advertises = purpose in EXEMPT_PURPOSES and any(_ADVERTISING.search(text) for text in texts)
    checks = (
        (RegisterWarning.ADVERTISING_WORDS, advertises),
        (RegisterWarning.LOCATION, version.storage_location is None and not version.transfers),
        (RegisterWarning.DPIA, words.get("dpia_reference") is None),
        (RegisterWarning.SECURITY, words.get("security_measures") is None),
    )
    return (*unusual(purpose, version), *(warning for warning, present in checks if present))


def _texts(by_language: object) -> list[str]:
    return [str(text) for text in by_language.values()] if isinstance(by_language, Mapping) else []


_ADVERTISING: Final = re.compile(
    r"\b(publicit|pub\b|annonceur|commercia|marketing|cibl|profil|advertis|ads?\b|promot|target)", re.IGNORECASE
)
"""Beginnings of French and English words for what III does not exempt: advertising, and profiles of people."""


# The gate: what may permit more waits for a second human being (docs/register.md, "Four eyes"). The rules rely on the
# facts that they are given; the gate is about who may give them. With the setting `two`, one human being alone cannot
# turn a deny into a permit, nor loosen who may do so. What only forbids does not wait.
class Gated(StrEnum):
    """What waits at the gate."""

    CONTROLLER_VERSION = "controller_version"
    IMPORT = "import"
    RESUMPTION = "resumption"
    RESTORE = "restore"
    RETENTION = "retention"
    VERSION = "version"


class ProposalState(StrEnum):
    """Whether a proposal waits for a second person, was approved (or needed no approval), or was rejected."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Ruling:
    """A second person's answer, its reason, its instant, and the caller who gave it."""

    approved: bool
    reason: str
    at: datetime
    by: UUID


@dataclass(frozen=True, slots=True)
class GateProposal:
    """What one person wants to do, until another person has answered; `ruling` is None while it waits.

    `target` is the id of the processing or controller concerned, or "" for the deployment. `wanted` is what is to be
    done, as JSON values.
    """

    id: UUID
    kind: Gated
    target: str
    wanted: Mapping[str, Any]
    at: datetime
    by: UUID
    ruling: Ruling | None = None

    @property
    def state(self) -> ProposalState:
        """The proposal's state."""
        if self.ruling is None:
            return ProposalState.PROPOSED
        return ProposalState.APPROVED if self.ruling.approved else ProposalState.REJECTED


MOST_WAITING: Final = 200
"""How many proposals may wait at once; persons make and read them, so that is enough."""


# The differences between two versions of a processing: each fact before and after, and whether it is material.
# `app.core.processing.material_changes` finds which told facts are material, whatever the version says of itself.
@dataclass(frozen=True, slots=True)
class FieldChange:
    """One fact that differs, by its name; `before` and `after` are JSON values, None where there is nothing."""

    field: str
    before: object
    after: object
    material: bool = False


def version_changes(
    before: ProcessingVersion, after: ProcessingVersion, *, words_before: Words, words_after: Words
) -> tuple[FieldChange, ...]:
    """Return each fact that differs between two versions: told facts first, then the others, then words by name."""
    material = frozenset(material_changes(before, after))
    changes = [
        FieldChange(fact.name, fact.as_json(fact.of(before)), fact.as_json(fact.of(after)), fact.name in material)
        for fact in changed_facts(before, after)
    ]
    others = [  # first the facts that are not told to people, and on which no consent rests
        ("started_on", before.started_on.isoformat(), after.started_on.isoformat()),
        ("age_statement_required", before.age_statement_required, after.age_statement_required),
        *((name, words_before.get(name), words_after.get(name)) for name in sorted({*words_before, *words_after})),
    ]
    return (*changes, *(FieldChange(name, was, now) for name, was, now in others if was != now))
