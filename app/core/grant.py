"""What a grant is worth: which age counts for it, whether it was lawfully collected, what it covers, when it expires.

Age is a fact of the person, stated on any processing. Under 15, consent is joint (LIL art. 45): child and holder of
parental responsibility give it together, or in two acts, the second within thirty days of the first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from app.core.article import Element
from app.core.consent import (
    DECISIONS,
    AgeBand,
    Collection,
    ConsentEvent,
    DefaultState,
    Defect,
    EventKind,
    GivenBy,
    PositiveAct,
    age_for,
)
from app.core.period import PeriodPolicy
from app.core.processing import Processing

JOINT_WINDOW: Final = timedelta(days=30)
"""How long after the first act of a joint consent the second may follow: thirty times 24 hours (law.md)."""

_BOTH_SIDES: Final = frozenset({GivenBy.SELF, GivenBy.PARENT})


@dataclass(frozen=True, slots=True)
class Grant:
    """A grant, with what the person's other events say about it.

    `age` is the age band that counts for it, None if unknown; `age_stated` says whether any age had been stated by
    then. `first_act` is, under 15, the earlier grant with which it forms a joint consent, if any.
    """

    event: ConsentEvent
    age: AgeBand | None
    first_act: ConsentEvent | None = None
    age_stated: bool = True

    @property
    def is_half(self) -> bool:
        """Whether a child or a parent gave it alone: it then decides nothing until the other half is there."""
        alone = self.event.collection.given_by in _BOTH_SIDES and self.first_act is None
        return self.age is AgeBand.UNDER_15 and alone

    @property
    def acts(self) -> tuple[ConsentEvent, ...]:
        """The grant, preceded by the first act of the joint consent if there is one."""
        return (self.event,) if self.first_act is None else (self.first_act, self.event)


def grant_of(event: ConsentEvent, live: Sequence[ConsentEvent], ages: Sequence[ConsentEvent]) -> Grant:
    """Return a granted event as a grant.

    Args:
        event: the granted event.
        live: the events that concern its processing since the last closure, oldest first.
        ages: the events that state an age of the person (`app.core.consent.ages_stated`), oldest first.

    """
    age = age_for(event, ages)
    first = _first_act(event, live) if age.band is AgeBand.UNDER_15 else None
    return Grant(event, age.band, first, age.stated)


def halves_among(live: Sequence[ConsentEvent], ages: Sequence[ConsentEvent]) -> frozenset[int]:
    """Return the ledger orders of the grants that are halves of a joint consent (`Grant.is_half`).

    Args:
        live: the events that concern one processing since the last closure, oldest first.
        ages: the events that state an age of the person, oldest first.

    """
    if all(each.collection.age_band is not AgeBand.UNDER_15 for each in ages):
        return frozenset()
    grants = (event for event in live if event.kind is EventKind.GRANTED)
    return frozenset(event.order for event in grants if grant_of(event, live, ages).is_half)


def _first_act(second: ConsentEvent, live: Sequence[ConsentEvent]) -> ConsentEvent | None:
    """Return the decision just before a grant, if the two form one joint consent."""
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
    """Return whether child and holder of parental responsibility gave it, together or in two acts."""
    return grant.event.collection.given_by is GivenBy.BOTH or grant.first_act is not None


def defects(grant: Grant, processing: Processing, at: datetime) -> tuple[Defect, ...]:
    """Return everything that makes a grant unlawful, as judged at an instant (rule 14); empty when it is lawful."""
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
    return tuple(defect for defect in Defect if defect in found) if found else ()


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
    """Return whether the version granted, or the one in force at an instant, requires a stated age."""
    versions = (processing.version(event.version or 0), processing.version_at(at))
    return any(version.age_statement_required for version in versions if version is not None)


def invalidated(grant: Grant, processing: Processing, at: datetime) -> bool:
    """Return whether either act of a grant rests on a version or a text that was invalidated by an instant."""
    return any(processing.invalidated(act.version or 0, act.collection.text, at) for act in grant.acts)


def awaits_other_side(grant: Grant, at: datetime) -> bool:
    """Return whether a grant is the first act of a joint consent whose second act may still follow."""
    return grant.is_half and at - grant.event.collected_at <= JOINT_WINDOW


def expiry(grant: Grant, processing: Processing, at: datetime, policy: PeriodPolicy) -> datetime:
    """Return the first instant at which a grant is no longer in force, as judged at an instant.

    It is the earliest of the stored expiry and of the periods of the version granted and of the version in force at
    `at`: a period shortened later applies to earlier consents too. The year of a joint consent counts from its first
    act.
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
    """Return the elements that a grant names, else all that its version declares; of two acts, those common to both."""
    version = processing.version(grant.event.version or 0)
    declared = version.elements if version is not None else frozenset[Element]()
    for act in grant.acts:
        declared = declared if act.elements is None else declared & act.elements
    return declared
