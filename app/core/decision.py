"""The question and the answer: a request, a decision and its reasons, and what a decision token promises."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from math import floor
from typing import Final
from uuid import UUID

from app.core.article import Article, Channel, Element


class Reason(StrEnum):
    """Why a decision is what it is: one word for each row of the table of rules (docs/law.md)."""

    LAW_VERSION_NOT_HELD = "law_version_not_held"
    UNKNOWN_PROCESSING = "unknown_processing"
    PROCESSING_SUSPENDED = "processing_suspended"
    HUMAN_ACCESS = "human_access"
    NOT_GOVERNED = "not_governed"
    NOT_APPLICABLE = "not_applicable"
    UNDECLARED_ELEMENT = "undeclared_element"
    EXEMPT = "exempt"
    CHANNEL_NOT_COVERED = "channel_not_covered"
    PURPOSE_NOT_PERMITTED = "purpose_not_permitted"
    TRANSITION_2017 = "transition_2017"
    NO_CONSENT = "no_consent"
    CONSENT_REFUSED = "consent_refused"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    CONSENT_INVALID = "consent_invalid"
    CONSENT_SUPERSEDED = "consent_superseded"
    CONSENT_EXPIRED = "consent_expired"
    CONSENT_SCOPE = "consent_scope"
    OTHER_PARTY = "other_party"
    CONSENT_IN_FORCE = "consent_in_force"
    EVIDENCE_UNAVAILABLE = "evidence_unavailable"


@dataclass(frozen=True, slots=True)
class Participant:
    """Another party of the correspondence; `local` when that party has an account here (same subject type)."""

    ref: bytes
    local: bool


@dataclass(frozen=True, slots=True)
class DecisionRequest:
    """One question: may this processing analyse this correspondence for this subject?

    `subject` and `participants` are keyed hashes of ids (locators). `elements` None or empty touches all that the
    version in force declares. `participants` None means that the request does not say who they are.
    """

    subject: bytes
    processing: str
    elements: frozenset[Element] | None = None
    automated: bool = True
    channel: Channel = Channel.ONLINE
    private: bool = True
    territory: str = "FR"
    participants: tuple[Participant, ...] | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """One answer. `rule` is the number of the rule that decided, in the table of rules.

    `valid_until` bounds a permit under IV or the NOTA, and any permit for whose processing a suspension is scheduled.
    `consent` is the id of the grant or refusal that it rests on (or that a withdrawal ended), `expires_at` the expiry
    of that grant. `elements` are those that a permit covers: those that the request touches.
    """

    permitted: bool
    reason: Reason
    article: Article | None
    law_version: str | None
    rule: str
    consent: UUID | None = None
    expires_at: datetime | None = None
    valid_until: datetime | None = None
    elements: frozenset[Element] | None = None


# What a decision token may promise: how long it lives, and how it is bound to people without naming them. A token
# proves a permit that was just given to a party that cannot call Sceau (docs/decision-tokens.md). It may outlive a
# withdrawal by the rest of its life, so that life is short and is never prolonged.

LONGEST_SECONDS: Final = 60


def lifetime(at: datetime, valid_until: datetime | None) -> tuple[int, int] | None:
    """Return when a token of a permit begins and when it ends, in whole seconds since 1970 (`iat`, `exp`).

    It ends at most a minute after the permit was given, and never later than the permit itself; None when it would end
    at once.
    """
    issued = floor(at.timestamp())
    ends = issued + LONGEST_SECONDS
    if valid_until is not None:
        ends = min(ends, floor(valid_until.timestamp()))
    return (issued, ends) if ends > at.timestamp() else None


def correspondence_hash(handle: str) -> bytes:
    """Return the SHA-256 of a correspondence's handle; a reader who knows the handle can recognise it in the token."""
    return sha256(handle.encode()).digest()


def subject_hash(handle: str, identifier: str) -> bytes:
    """Return the SHA-256 of a handle, a line feed and a subject's id, both as they were sent.

    An id alone could be guessed from its hash. The handle prevents that: the token does not carry it, so a reader of
    the token alone does not have it. Neither text can hold a line feed.
    """
    return sha256(f"{handle}\n{identifier}".encode()).digest()
