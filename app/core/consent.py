"""Consent events, the ages that they state, and what a grant among them is worth: the ledger in the words of the rules.

The ledger is append-only. What a person's events amount to at an instant is told by `app.core.fold`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Final
from uuid import UUID

from app.core.article import FRANCE, Element, paris_midnight
from app.core.errors import UnknownEventKindError
from app.core.period import PeriodPolicy
from app.core.processing import Processing


class EventKind(StrEnum):
    """The kinds of consent event: decisions, what ends an account, statements of age, and `NOTES`."""

    GRANTED = "granted"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    CLOSED = "closed"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"
    ERASED = "erased"
    AGE_STATED = "age_stated"
    RENEWAL_DECLINED = "renewal_declined"


DECISIONS = frozenset({EventKind.GRANTED, EventKind.REFUSED, EventKind.WITHDRAWN})
NOTES = frozenset({EventKind.EXPIRED, EventKind.SUPERSEDED, EventKind.RENEWAL_DECLINED})
"""What changes no answer: the sweep's own rows, and that somebody is not to be asked again. No worker must hear it."""


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
    """The user's age as far as consent is concerned (LIL art. 45: fifteen), from the oldest."""

    ADULT = "adult"
    MINOR_15_PLUS = "minor_15_plus"
    UNDER_15 = "under_15"


class GivenBy(StrEnum):
    """Who gave the consent; `both` is the child and the holder of parental responsibility together."""

    SELF = "self"
    PARENT = "holder_of_parental_responsibility"
    BOTH = "both"
    ADMINISTRATOR = "administrator"


class StatedBy(StrEnum):
    """Who stated an age."""

    SELF = "self"
    PARENT = "holder_of_parental_responsibility"
    OPERATOR = "operator"


class CheckedHow(StrEnum):
    """How an age was checked."""

    NOT_CHECKED = "not_checked"
    IDENTITY_DOCUMENT = "identity_document"
    PAYMENT_CARD = "payment_card"
    ACCOUNT_DATA = "account_data"
    OTHER = "other"


class AgeWeight(IntEnum):
    """How much a statement of age weighs against another (law.md, "Age")."""

    OWN_WORD = 1
    PARENT = 2
    OPERATOR = 3
    IDENTITY_DOCUMENT = 4


_PARENTS: Final = frozenset({GivenBy.PARENT, GivenBy.BOTH})


def age_weight(stated_by: StatedBy | None, checked_how: CheckedHow, given_by: GivenBy) -> AgeWeight:
    """How much a statement weighs.

    Args:
        stated_by: who stated the age by itself; None for an age that came with a decision, which its giver stated.
        checked_how: how it was checked.
        given_by: who gave the decision.

    """
    if checked_how is CheckedHow.IDENTITY_DOCUMENT:
        return AgeWeight.IDENTITY_DOCUMENT
    if stated_by is StatedBy.OPERATOR:
        return AgeWeight.OPERATOR
    by_parent = given_by in _PARENTS if stated_by is None else stated_by is StatedBy.PARENT
    return AgeWeight.PARENT if by_parent else AgeWeight.OWN_WORD


class Defect(StrEnum):
    """Why a grant was unlawfully collected (L32-3 IV; GDPR art. 7; LIL art. 45)."""

    PRE_SELECTED = "pre_selected"
    NO_POSITIVE_ACT = "no_positive_act"
    BUNDLED_WITH_TERMS = "bundled_with_terms"
    CONDITION_OF_SERVICE = "condition_of_service"
    TEXT_UNKNOWN = "text_unknown"
    GIVEN_BY_ANOTHER = "given_by_another"
    JOINT_CONSENT_MISSING = "joint_consent_missing"
    AGE_UNKNOWN = "age_unknown"


@dataclass(frozen=True, slots=True)
class Collection:
    """How a decision was collected: the part of its evidence and capacity that the rules look at.

    `text`: SHA-256 (hex, lower case) of the text shown, where it is one that the register or the page is known to hold.
    `age_weight` and `under_15_until` belong to `age_band`: how much the statement weighs, and the civil date (Paris)
    from which on a statement of `under_15` reads `minor_15_plus`.
    """

    positive_act: PositiveAct = PositiveAct.BUTTON_CLICKED
    default_state: DefaultState = DefaultState.UNSELECTED
    separate_from_terms: bool = True
    conditional: bool = False
    text_known: bool = True
    age_band: AgeBand | None = None
    given_by: GivenBy = GivenBy.SELF
    text: str | None = None
    age_weight: AgeWeight = AgeWeight.OWN_WORD
    under_15_until: date | None = None


LAWFUL = Collection()


@dataclass(frozen=True, slots=True)
class ConsentEvent:
    """One entry of the ledger.

    `processing` None means every processing of the subject (a withdrawal from all, a closure, an erasure, an age).
    `elements` None covers all that the version declares. `order` is the ledger order within the subject.
    `expires_at` is the expiry stored when a grant was recorded, if any. `territory` is where it was collected, as an
    ISO 3166-1 code.
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
    territory: str = FRANCE

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
    AWAITING_OTHER = "awaiting_other_parent_or_child"
    IN_FORCE = "in_force"
    INVALID = "invalid"
    INVALIDATED = "invalidated"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"
    REPLACED = "replaced"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    CLOSED = "closed"


def parse_kind(word: str) -> EventKind:
    """Read an event kind; an unknown one is an error, never a grant.

    Raises:
        UnknownEventKindError: the word is none of the kinds.

    """
    try:
        return EventKind(word)
    except ValueError:
        raise UnknownEventKindError from None


# A person's age as far as consent goes (LIL art. 45): what is known at an instant, and what counts for a grant.
#
# Age is a fact of the person, stated on any processing or on none, and each statement has a weight. Who is younger
# than was known is believed at once. Who is older is believed only where the statement weighs at least as much as the
# heaviest of those that it contradicts. Closing the account forgets all of it.

_OLDNESS: Final = {band: place for place, band in enumerate(reversed(AgeBand))}


@dataclass(frozen=True, slots=True)
class AgeAtGrant:
    """The age that counts for a grant; `band` None is unknown. `stated`: whether anybody had stated one by then."""

    band: AgeBand | None
    stated: bool


def ages_stated(events: Iterable[ConsentEvent], at: datetime) -> list[ConsentEvent]:
    """The events that state an age of the person, on any processing, since the account was closed, oldest first."""
    known = sorted((event for event in events if event.collected_at <= at), key=lambda event: event.rank)
    closures = (index for index, event in enumerate(known) if event.kind is EventKind.CLOSED and not event.processing)
    return [event for event in known[max(closures, default=-1) + 1 :] if event.collection.age_band is not None]


def _reading(statement: Collection, at: datetime) -> AgeBand | None:
    """The band that a statement says at an instant."""
    until = statement.under_15_until
    if statement.age_band is AgeBand.UNDER_15 and until is not None and at >= paris_midnight(until):
        return AgeBand.MINOR_15_PLUS
    return statement.age_band


def _known(statements: Iterable[Collection], at: datetime) -> AgeBand | None:
    """The band that statements, oldest first, amount to at an instant; None where there is none."""
    known: AgeBand | None = None
    heaviest = dict.fromkeys(AgeBand, 0)
    for statement in statements:
        band = _reading(statement, at)
        if band is None:
            continue
        older = known is not None and _OLDNESS[band] > _OLDNESS[known]
        if known is None or not older or statement.age_weight >= heaviest[known]:
            known = band
        heaviest[band] = max(heaviest[band], statement.age_weight)
    return known


def age_known(events: Iterable[ConsentEvent], at: datetime) -> AgeBand | None:
    """The age band known of a person at an instant; None when nobody stated one."""
    return _known([event.collection for event in ages_stated(events, at)], at)


def makes_younger(said: Collection, events: Iterable[ConsentEvent], at: datetime) -> bool:
    """Whether an age stated at an instant makes a person younger than was known, unknown being adult.

    Consents given before may then not count any more (rule 14).
    """
    known = [event.collection for event in ages_stated(events, at)]
    before, after = _known(known, at) or AgeBand.ADULT, _known([*known, said], at) or AgeBand.ADULT
    return _OLDNESS[after] < _OLDNESS[before]


def makes_older(said: Collection, events: Iterable[ConsentEvent], at: datetime) -> bool:
    """Whether an age stated at an instant makes a person older than was known, or is the first and no child's.

    Grants given from then on may count that would not have (rule 14).
    """
    known = [event.collection for event in ages_stated(events, at)]
    before, after = _known(known, at), _known([*known, said], at)
    if before is None:
        return after not in {None, AgeBand.UNDER_15}
    return after is not None and _OLDNESS[after] > _OLDNESS[before]


def age_for(grant: ConsentEvent, ages: Sequence[ConsentEvent]) -> AgeAtGrant:
    """The age that counts for a grant: what stood when it was given, and whatever younger was stated since.

    What is stated later, or recorded after the grant whatever date it bears, never makes the person older at the grant.
    All is read at the instant of the grant: who was said later to be under 15 until a day was under 15 before it.

    Args:
        grant: the granted event, whose own statement counts.
        ages: the events that state an age (`ages_stated`), oldest first.

    """
    at = grant.collected_at
    before = [each for each in ages if each.rank <= grant.rank and each.order <= grant.order]
    stood = _known([each.collection for each in before], at)
    since = (each for each in ages if each.rank > grant.rank or each.order > grant.order)
    bands = [_reading(each.collection, at) for each in since]
    youngest = min((band for band in bands if band is not None), key=_OLDNESS.__getitem__, default=AgeBand.ADULT)
    band = youngest if _OLDNESS[youngest] < _OLDNESS[stood or AgeBand.ADULT] else stood
    return AgeAtGrant(band, stated=stood is not None)


# What a grant is worth: the age that counts for it, whether it was lawfully collected, what it covers, until when.
#
# Age is a fact of the person, stated on any processing. Under 15, consent is joint (LIL art. 45): given by child and
# holder of parental responsibility together, or in two acts that follow one another within thirty days.

JOINT_WINDOW: Final = timedelta(days=30)
"""How long after the first act of a joint consent the second may follow: thirty times 24 hours (law.md)."""

_BOTH_SIDES: Final = frozenset({GivenBy.SELF, GivenBy.PARENT})


@dataclass(frozen=True, slots=True)
class Grant:
    """A grant, with what the person's other events say about it.

    `age` is the band that counts for it, None where it is unknown; `age_stated`: whether anybody had stated one by
    then. `first_act` is, under 15, the grant that it completes to a joint consent, if any.
    """

    event: ConsentEvent
    age: AgeBand | None
    first_act: ConsentEvent | None = None
    age_stated: bool = True

    @property
    def is_half(self) -> bool:
        """Whether it is what a child or a parent says alone: it decides nothing until the other half is there."""
        alone = self.event.collection.given_by in _BOTH_SIDES and self.first_act is None
        return self.age is AgeBand.UNDER_15 and alone

    @property
    def acts(self) -> tuple[ConsentEvent, ...]:
        """The grant, and the act that makes it joint if there is one."""
        return (self.event,) if self.first_act is None else (self.first_act, self.event)


def grant_of(event: ConsentEvent, live: Sequence[ConsentEvent], ages: Sequence[ConsentEvent]) -> Grant:
    """A granted event as a grant.

    Args:
        event: the granted event.
        live: what concerns its processing since the last closure, oldest first.
        ages: the events that state an age of the person (`app.core.consent.ages_stated`), oldest first.

    """
    age = age_for(event, ages)
    first = _first_act(event, live) if age.band is AgeBand.UNDER_15 else None
    return Grant(event, age.band, first, age.stated)


def halves_among(live: Sequence[ConsentEvent], ages: Sequence[ConsentEvent]) -> frozenset[int]:
    """The ledger orders of the grants that are halves of a joint consent (`Grant.is_half`).

    Args:
        live: what concerns one processing since the last closure, oldest first.
        ages: the events that state an age of the person, oldest first.

    """
    if all(each.collection.age_band is not AgeBand.UNDER_15 for each in ages):
        return frozenset()
    grants = (event for event in live if event.kind is EventKind.GRANTED)
    return frozenset(event.order for event in grants if grant_of(event, live, ages).is_half)


def _first_act(second: ConsentEvent, live: Sequence[ConsentEvent]) -> ConsentEvent | None:
    """The decision right before a grant, where the two are one joint consent."""
    earlier = [event for event in live if event.kind in DECISIONS and event.rank < second.rank]
    if not earlier:
        return None
    first = earlier[-1]
    joint = (
        first.kind is EventKind.GRANTED
        and first.version == second.version
        and {first.collection.given_by, second.collection.given_by} == _BOTH_SIDES
        and second.collected_at - first.collected_at <= JOINT_WINDOW
    )
    return first if joint else None


def is_joint(grant: Grant) -> bool:
    """Whether child and holder of parental responsibility gave it, together or in two acts."""
    return grant.event.collection.given_by is GivenBy.BOTH or grant.first_act is not None


def defects(grant: Grant, processing: Processing, at: datetime) -> tuple[Defect, ...]:
    """Everything that makes a grant unlawful, as judged at an instant (rule 14); empty when it is lawful."""
    child = grant.age is AgeBand.UNDER_15
    given_by = grant.event.collection.given_by
    joint = is_joint(grant)
    found = {defect for act in grant.acts for defect in _of_its_collection(act.collection)}
    if child and not joint:
        found.add(Defect.JOINT_CONSENT_MISSING)
    if not child and given_by not in {GivenBy.SELF, GivenBy.BOTH}:
        found.add(Defect.GIVEN_BY_ANOTHER)
    if not grant.age_stated and _age_required(grant.event, processing, at):
        found.add(Defect.AGE_UNKNOWN)
    version = processing.version(grant.event.version or 0)
    if version is not None and version.conditional:
        found.add(Defect.CONDITION_OF_SERVICE)
    return tuple(defect for defect in Defect if defect in found)


def _of_its_collection(collection: Collection) -> tuple[Defect, ...]:
    found = (
        (Defect.PRE_SELECTED, collection.default_state is DefaultState.SELECTED),
        (Defect.NO_POSITIVE_ACT, collection.positive_act is PositiveAct.NONE),
        (Defect.BUNDLED_WITH_TERMS, not collection.separate_from_terms),
        (Defect.CONDITION_OF_SERVICE, collection.conditional),
        (Defect.TEXT_UNKNOWN, not collection.text_known),
    )
    return tuple(defect for defect, present in found if present)


def _age_required(event: ConsentEvent, processing: Processing, at: datetime) -> bool:
    """Whether the version granted, or the one in force at an instant, wants an age to have been stated."""
    versions = (processing.version(event.version or 0), processing.version_at(at))
    return any(version.age_statement_required for version in versions if version is not None)


def invalidated(grant: Grant, processing: Processing, at: datetime) -> bool:
    """Whether a grant rests, by either of its acts, on a version or a text that was invalidated by an instant."""
    return any(processing.invalidated(act.version or 0, act.collection.text, at) for act in grant.acts)


def awaits_other_side(grant: Grant, at: datetime) -> bool:
    """Whether a grant is the first act of a joint consent whose second may still follow."""
    return grant.is_half and at - grant.event.collected_at <= JOINT_WINDOW


def expiry(grant: Grant, processing: Processing, at: datetime, policy: PeriodPolicy) -> datetime:
    """The first instant at which a grant is no longer in force, as judged at an instant.

    The earliest of the stored expiry and of the periods of the version granted and of the version in force at `at`: a
    period shortened later applies to earlier consents too. The year of a joint consent counts from its first act.
    """
    return min(_act_expiry(act, processing, at, policy) for act in grant.acts)


def _act_expiry(act: ConsentEvent, processing: Processing, at: datetime, policy: PeriodPolicy) -> datetime:
    granted, present = processing.version(act.version or 0), processing.version_at(at)
    versions = (granted,) if granted is present else (granted, present)
    limits = [
        policy.expiry(act.collected_at, each.consent_validity, act.territory) for each in versions if each is not None
    ]
    if act.expires_at is not None:
        limits.append(act.expires_at)
    return min(limits)


def covered(grant: Grant, processing: Processing) -> frozenset[Element]:
    """The elements that a grant covers: those it names, or all that its version declares; of two acts, what both do."""
    version = processing.version(grant.event.version or 0)
    declared = version.elements if version is not None else frozenset[Element]()
    for act in grant.acts:
        declared = declared if act.elements is None else declared & act.elements
    return declared
