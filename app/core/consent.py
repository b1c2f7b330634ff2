"""Consent events and their fold: what a user's decisions amount to for one processing at one instant.

The ledger is append-only; everything here is derived from its events. The latest decision counts, by time of
collection, ties by ledger order. L32-3 IV asks for *express* consent: `unlawful` says what makes a grant none.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from app.core.article import Element
from app.core.errors import UnknownEventKindError
from app.core.period import PeriodPolicy
from app.core.processing import Processing


class EventKind(StrEnum):
    """The kinds of consent event. The first three decide; `closed` wipes; the system's three decide nothing."""

    GRANTED = "granted"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    CLOSED = "closed"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    ERASED = "erased"


DECISIONS = frozenset({EventKind.GRANTED, EventKind.REFUSED, EventKind.WITHDRAWN})


class PositiveAct(StrEnum):
    """What the user did to consent (GDPR art. 4(11)); `none` is no consent."""

    BUTTON_CLICKED = "button_clicked"
    BOX_TICKED = "box_ticked"
    SIGNED = "signed"
    SPOKEN = "spoken"
    NONE = "none"


class DefaultState(StrEnum):
    """How the control stood before the user touched it; a pre-selected one collects no consent."""

    UNSELECTED = "unselected"
    SELECTED = "selected"


class AgeBand(StrEnum):
    """The user's age as far as consent is concerned (LIL art. 45: fifteen)."""

    ADULT = "adult"
    MINOR_15_PLUS = "minor_15_plus"
    UNDER_15 = "under_15"


class GivenBy(StrEnum):
    """Who gave the consent; `both` is the child and the holder of parental responsibility together."""

    SELF = "self"
    PARENT = "holder_of_parental_responsibility"
    BOTH = "both"
    ADMINISTRATOR = "administrator"


class Defect(StrEnum):
    """Why a grant was unlawfully collected (L32-3 IV; GDPR art. 7; LIL art. 45)."""

    PRE_SELECTED = "pre_selected"
    NO_POSITIVE_ACT = "no_positive_act"
    BUNDLED_WITH_TERMS = "bundled_with_terms"
    CONDITION_OF_SERVICE = "condition_of_service"
    TEXT_UNKNOWN = "text_unknown"
    GIVEN_BY_ANOTHER = "given_by_another"
    JOINT_CONSENT_MISSING = "joint_consent_missing"


@dataclass(frozen=True, slots=True)
class Collection:
    """How a decision was collected: the part of its evidence and capacity that the rules look at."""

    positive_act: PositiveAct = PositiveAct.BUTTON_CLICKED
    default_state: DefaultState = DefaultState.UNSELECTED
    separate_from_terms: bool = True
    conditional: bool = False
    text_known: bool = True
    age_band: AgeBand | None = None
    given_by: GivenBy = GivenBy.SELF


LAWFUL = Collection()


@dataclass(frozen=True, slots=True)
class ConsentEvent:
    """One entry of the ledger.

    `processing` None means every processing of the subject (a withdrawal from all, a closure, an erasure).
    `elements` None covers all that the version declares. `order` is the ledger order within the subject.
    `expires_at` is the expiry stored when a grant was recorded, if any.
    """

    id: UUID
    kind: EventKind
    processing: str | None
    collected_at: datetime
    order: int
    version: int | None = None
    elements: frozenset[Element] | None = None
    collection: Collection = field(default=LAWFUL)
    expires_at: datetime | None = None

    @property
    def rank(self) -> tuple[datetime, int]:
        """What "latest" means: time of collection, then ledger order."""
        return (self.collected_at, self.order)

    def concerns(self, processing: str) -> bool:
        """Whether this event is about that processing, alone or among all."""
        return self.processing is None or self.processing == processing


class State(StrEnum):
    """The state of a consent (a granted or refused event) at an instant."""

    PENDING = "pending"
    IN_FORCE = "in_force"
    INVALID = "invalid"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"
    REPLACED = "replaced"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    CLOSED = "closed"


def parse_kind(word: str) -> EventKind:
    """Read an event kind; an unknown one is an error, never a grant.

    Raises:
        UnknownEventKindError: the word is none of the seven kinds.

    """
    try:
        return EventKind(word)
    except ValueError:
        raise UnknownEventKindError from None


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a user stands on one processing at an instant, before any question of time or scope.

    `latest` is the decision that counts, if any; `consent` is the latest grant or refusal that counts, which a
    withdrawal may have ended. `ever_decided` is true even when a closure wiped it. `age_band` is the one last stated
    by the time of `latest`, adult when none was.
    """

    latest: ConsentEvent | None
    consent: ConsentEvent | None
    ever_decided: bool
    age_band: AgeBand


def history(events: Iterable[ConsentEvent], processing: Processing, at: datetime) -> list[ConsentEvent]:
    """What concerns that processing and was collected by that instant, oldest first."""
    concerned = (event for event in events if event.collected_at <= at and event.concerns(processing.id))
    return sorted(concerned, key=lambda event: event.rank)


def since_closure(past: Sequence[ConsentEvent]) -> Sequence[ConsentEvent]:
    """The part of a history after its last closure: the next holder of the address starts with nothing."""
    closures = (index for index, event in enumerate(past) if event.kind is EventKind.CLOSED)
    return past[max(closures, default=-1) + 1 :]


def counts(event: ConsentEvent, processing: Processing, at: datetime) -> bool:
    """Whether a decision counts yet: a grant only once its version is in force, everything else at once."""
    if event.kind is not EventKind.GRANTED:
        return event.kind in DECISIONS
    version = processing.version(event.version or 0)
    return version is not None and version.in_force_at(at)


def fold(events: Iterable[ConsentEvent], processing: Processing, at: datetime) -> Standing:
    """Fold a subject's events into where they stand on a processing at an instant."""
    past = history(events, processing, at)
    live = since_closure(past)
    counting = [event for event in live if counts(event, processing, at)]
    latest = counting[-1] if counting else None
    return Standing(
        latest=latest,
        consent=next((event for event in reversed(counting) if event.kind is not EventKind.WITHDRAWN), None),
        ever_decided=any(event.kind in DECISIONS for event in past),
        age_band=stated_age_band(live, latest),
    )


def stated_age_band(live: Sequence[ConsentEvent], latest: ConsentEvent | None) -> AgeBand:
    """The age band last stated by the time of a decision; adult when none was."""
    if latest is None:
        return AgeBand.ADULT
    stated = (
        event.collection.age_band
        for event in reversed(live)
        if event.rank <= latest.rank and event.collection.age_band is not None
    )
    return next(stated, AgeBand.ADULT)


def defects(collection: Collection, age_band: AgeBand) -> tuple[Defect, ...]:
    """Everything that makes a grant unlawfully collected (rule 14); empty when it is lawful."""
    joint = age_band is AgeBand.UNDER_15
    found = (
        (Defect.PRE_SELECTED, collection.default_state is DefaultState.SELECTED),
        (Defect.NO_POSITIVE_ACT, collection.positive_act is PositiveAct.NONE),
        (Defect.BUNDLED_WITH_TERMS, not collection.separate_from_terms),
        (Defect.CONDITION_OF_SERVICE, collection.conditional),
        (Defect.TEXT_UNKNOWN, not collection.text_known),
        (Defect.JOINT_CONSENT_MISSING, joint and collection.given_by is not GivenBy.BOTH),
        (Defect.GIVEN_BY_ANOTHER, not joint and collection.given_by not in {GivenBy.SELF, GivenBy.BOTH}),
    )
    return tuple(defect for defect, present in found if present)


def expiry(grant: ConsentEvent, processing: Processing, at: datetime, policy: PeriodPolicy) -> datetime:
    """The first instant at which a grant is no longer in force, as judged at an instant.

    The earliest of the stored expiry and of the periods of the version granted and of the version in force at
    `at`: a period shortened later applies to earlier consents too.
    """
    versions = (processing.version(grant.version or 0), processing.version_at(at))
    limits = [policy.expiry(grant.collected_at, each.consent_validity) for each in versions if each is not None]
    if grant.expires_at is not None:
        limits.append(grant.expires_at)
    return min(limits)


def covered(grant: ConsentEvent, processing: Processing) -> frozenset[Element]:
    """The elements that a grant covers: those it names, or all that its version declares."""
    version = processing.version(grant.version or 0)
    declared = version.elements if version is not None else frozenset[Element]()
    return declared if grant.elements is None else grant.elements & declared
