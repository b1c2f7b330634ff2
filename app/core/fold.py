"""What consent events amount to: one grant; a person's standing, for a decision; a consent's state; rows of a table.

Age is a fact of the person, stated on any processing. Under 15, consent is joint (LIL art. 45): child and holder of
parental responsibility give it together, or in two acts, the second within thirty days of the first.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain, takewhile
from typing import Final
from uuid import UUID

from app.core.article import FRANCE, Element
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
    State,
    age_for,
    ages_stated,
)
from app.core.period import PeriodPolicy
from app.core.processing import Processing

# What a grant is worth: which age counts for it, whether it was lawfully collected, what it covers, when it expires.

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


# The latest decision counts, by time of collection, ties by ledger order; a closure wipes all before it. Half of a
# joint consent decides nothing: it does not displace a whole consent.


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a user stands on one processing at an instant, before any question of time or scope.

    `latest` is the decision that counts, if any; `consent` is the latest grant or refusal that counts, which a
    withdrawal may have ended; `grant` is `latest` where that is a grant. `ever_decided` is true also while no decision
    counts yet. A closure wipes all of it: the next holder of the address never decided.
    """

    latest: ConsentEvent | None
    consent: ConsentEvent | None
    ever_decided: bool
    grant: Grant | None


def history(events: Iterable[ConsentEvent], processing: Processing, at: datetime) -> list[ConsentEvent]:
    """Return the events that concern that processing and were collected by that instant, oldest first."""
    concerned = (event for event in events if event.collected_at <= at and event.concerns(processing.id))
    return sorted(concerned, key=lambda event: event.rank)


def since_closure(past: Sequence[ConsentEvent]) -> Sequence[ConsentEvent]:
    """Return the part of a history after its last closure: the next holder of the address starts with nothing."""
    closures = (index for index, event in enumerate(past) if event.kind is EventKind.CLOSED)
    return past[max(closures, default=-1) + 1 :]


def halves_said(events: Iterable[ConsentEvent], processing: str, at: datetime) -> frozenset[int]:
    """Return the ledger orders of a person's halves of joint consents to a processing, in each account that they had.

    A closure forgets ages, so the halves before it are judged by the ages known when the account was closed.
    """
    known = sorted((event for event in events if event.collected_at <= at), key=lambda event: event.rank)
    found: set[int] = set()
    account: list[ConsentEvent] = []
    for index, event in enumerate(known):
        if not event.concerns(processing):
            continue
        if event.kind is EventKind.CLOSED:
            found |= halves_among(account, ages_stated(known[:index], event.collected_at))
            account = []
        else:
            account.append(event)
    return frozenset(found | halves_among(account, ages_stated(known, at)))


def counts(event: ConsentEvent, processing: Processing, at: datetime) -> bool:
    """Return whether a decision counts yet: a grant only once its version is in force, any other decision at once."""
    if event.kind is not EventKind.GRANTED:
        return event.kind in DECISIONS
    version = processing.version(event.version or 0)
    return version is not None and version.in_force_at(at)


def fold(events: Sequence[ConsentEvent], processing: Processing, at: datetime) -> Standing:
    """Fold all of a person's events, including those about other processings, into their standing on one."""
    past = history(events, processing, at)
    live = since_closure(past)
    ages = ages_stated(events, at)
    counting = [event for event in live if counts(event, processing, at)]
    latest = _latest(counting, live, ages, processing, at)
    granted = latest is not None and latest.kind is EventKind.GRANTED
    ended = next((event for event in reversed(counting) if event.kind is not EventKind.WITHDRAWN), None)
    return Standing(
        latest=latest,
        consent=latest if granted else ended,
        ever_decided=any(event.kind in DECISIONS for event in live),
        grant=grant_of(latest, live, ages) if latest is not None and granted else None,
    )


def _latest(
    counting: Sequence[ConsentEvent],
    live: Sequence[ConsentEvent],
    ages: Sequence[ConsentEvent],
    processing: Processing,
    at: datetime,
) -> ConsentEvent | None:
    """Return the decision that counts: the last one, except that a superseded grant does not displace one still good.

    Among the grants since the last refusal, withdrawal or closure, the latest that is not superseded counts, else the
    latest: renewing the present version does not displace the consent already given to the next one. A half of a joint
    consent counts only where there is no other grant: then it is not valid (rule 14). Whether a grant is a half is
    looked at from the last one back, only as far as needed: each look reads all that the person has said.
    """
    grants = list(takewhile(lambda event: event.kind is EventKind.GRANTED, reversed(counting)))
    may_be_half = any(each.collection.age_band is AgeBand.UNDER_15 for each in ages)
    wholes = (event for event in grants if not (may_be_half and grant_of(event, live, ages).is_half))
    for standing in (wholes, iter(grants), iter(counting[-1:])):
        first = next(standing, None)
        if first is not None:
            good = (event for event in chain([first], standing) if not processing.superseded(event.version or 0, at))
            return next(good, first)
    return None


# The state of one consent at an instant: the same facts and predicates as the decision, applied to one grant. A list, a
# filter or a count by state agrees with the decision at the same instant because both come from here.


def consent_state(
    consent: ConsentEvent,
    events: Sequence[ConsentEvent],
    processing: Processing,
    at: datetime,
    policy: PeriodPolicy,
) -> State:
    """Return the state of a consent (a granted or refused event) at an instant.

    The event that ended it comes first: a closure, a withdrawal, a later decision. Then, for a grant, come the
    invalidation of what it rests on, and rules 14 to 16 in their order.

    Args:
        consent: the consent, one of `events`.
        events: all of the person's events, including those about other processings.
        processing: the register's entry for the consent's processing.
        at: the instant judged.
        policy: how this deployment counts periods.

    """
    past = history(events, processing, at)
    halves = halves_said(events, processing.id, at)
    later = (event for event in past if event.rank > consent.rank)
    ended = next((event for event in later if ends(event, consent, processing, at, halves)), None)
    if ended is not None:
        return _ENDED[ended.kind]
    if consent.kind is EventKind.REFUSED:
        return State.REFUSED
    grant = grant_of(consent, since_closure(past), ages_stated(events, at))
    if invalidated(grant, processing, at):
        return State.INVALIDATED
    if not counts(consent, processing, at):
        return State.PENDING
    return _grant_state(grant, processing, at, policy)


def consent_expiry(
    consent: ConsentEvent,
    events: Sequence[ConsentEvent],
    processing: Processing,
    at: datetime,
    policy: PeriodPolicy,
) -> datetime:
    """Return the first instant at which a grant among a person's events is no longer in force, as judged at `at`."""
    return expiry(grant_among(consent, events, processing, at), processing, at, policy)


def grant_among(consent: ConsentEvent, events: Sequence[ConsentEvent], processing: Processing, at: datetime) -> Grant:
    """Return a granted event as a grant, with what the person's other events say about it by an instant."""
    return grant_of(consent, since_closure(history(events, processing, at)), ages_stated(events, at))


def ends(
    event: ConsentEvent, consent: ConsentEvent, processing: Processing, at: datetime, halves: frozenset[int]
) -> bool:
    """Return whether a later event ends a consent, as known at an instant.

    A closure, a refusal and a withdrawal end all before them. A grant ends a refusal, and a grant that counts already,
    unless it is itself superseded and the earlier one is not (law.md, "Latest decision"). Half of a joint consent does
    not end a whole grant.

    Args:
        event: the later event.
        consent: a granted or refused event.
        processing: the register's entry for the consent's processing.
        at: the instant judged.
        halves: the ledger orders of the person's halves (`app.core.fold.halves_said`).

    """
    if event.kind is EventKind.CLOSED or not counts(event, processing, at):
        return event.kind is EventKind.CLOSED
    if event.kind is not EventKind.GRANTED or consent.kind is not EventKind.GRANTED:
        return True
    if event.order in halves and consent.order not in halves:
        return False
    displaced = processing.superseded(event.version or 0, at) and not processing.superseded(consent.version or 0, at)
    return counts(consent, processing, at) and not displaced


_ENDED: Final = {
    EventKind.CLOSED: State.CLOSED,
    EventKind.WITHDRAWN: State.WITHDRAWN,
    EventKind.REFUSED: State.REPLACED,
    EventKind.GRANTED: State.REPLACED,
}


def _grant_state(grant: Grant, processing: Processing, at: datetime, policy: PeriodPolicy) -> State:
    found = defects(grant, processing, at)
    if found == (Defect.JOINT_CONSENT_MISSING,) and awaits_other_side(grant, at):
        return State.AWAITING_OTHER
    if found:
        return State.INVALID
    if processing.superseded(grant.event.version or 0, at):
        return State.SUPERSEDED
    return State.EXPIRED if at >= expiry(grant, processing, at, policy) else State.IN_FORCE


# What the ledger amounts to, one row for each consent: the shape of the `consent` table, as a pure function. A row says
# what ended a consent for good, as far as events alone tell. Whether a consent that nothing ended is in force, expired
# or superseded at an instant is its state, above. The table can be rebuilt from here and compared.

CONSENTS = frozenset({EventKind.GRANTED, EventKind.REFUSED})
_ONE_DAY: Final = timedelta(days=1)
"""More than any territory's calendar is behind that of Paris."""


@dataclass(frozen=True, slots=True)
class ConsentRow:
    """One consent: the event that began it, and the kind and time of the first event that ended it, if any.

    `counted_from` is an instant no later than any from which its year is counted, set where that may be before
    `collected_at`: the sweep uses it to find what may have lapsed. The year of a joint consent counts from its first
    act, and in an overseas territory it may still have been the day before.
    """

    id: UUID
    processing: str
    version: int
    decision: EventKind
    collected_at: datetime
    expires_at: datetime | None
    ended_by: EventKind | None
    ended_at: datetime | None
    counted_from: datetime | None = None


def project(events: Iterable[ConsentEvent], register: Mapping[str, Processing]) -> tuple[ConsentRow, ...]:
    """Return the consents of one subject, ordered by the events that began them.

    Args:
        events: all of the subject's events.
        register: the entries of the processings that the events name.

    """
    ordered = sorted(events, key=lambda event: event.rank)
    consents = [
        (index, event.processing)
        for index, event in enumerate(ordered)
        if event.kind in CONSENTS and event.processing is not None
    ]
    named = {name for _, name in consents}
    halves = {name: halves_said(ordered, name, ordered[-1].collected_at) for name in named}
    return tuple(_row(ordered, index, register[name], halves[name]) for index, name in consents)


def _row(ordered: Sequence[ConsentEvent], index: int, processing: Processing, halves: frozenset[int]) -> ConsentRow:
    """Return the row of one consent. It copies no list: a person may have thousands of events, each with a row."""
    consent = ordered[index]
    later = (ordered[at] for at in range(index + 1, len(ordered)))
    # Judged when each event was collected: a grant whose version was not yet in force then ended nothing.
    ended = next(
        (
            event
            for event in later
            if event.concerns(processing.id) and ends(event, consent, processing, event.collected_at, halves)
        ),
        None,
    )
    return ConsentRow(
        id=consent.id,
        processing=processing.id,
        version=consent.version or 0,
        decision=consent.kind,
        collected_at=consent.collected_at,
        expires_at=consent.expires_at,
        ended_by=ended.kind if ended is not None else None,
        ended_at=ended.collected_at if ended is not None else None,
        counted_from=_counted_from(ordered, index, processing) if consent.kind is EventKind.GRANTED else None,
    )


def _counted_from(ordered: Sequence[ConsentEvent], index: int, processing: Processing) -> datetime | None:
    """Return the earliest instant from which the year of a grant may be counted; None when that is its own collection.

    It is never too late: two acts may become joint when an age is stated afterwards.
    """
    grant = ordered[index]
    earlier = (ordered[at] for at in range(index - 1, -1, -1))
    before = next((event for event in earlier if event.concerns(processing.id) and event.kind in DECISIONS), None)
    acts = [grant]
    if before is not None and {before.collection.given_by, grant.collection.given_by} == {GivenBy.SELF, GivenBy.PARENT}:
        acts = [before, grant]
    began = min(act.collected_at if act.territory == FRANCE else act.collected_at - _ONE_DAY for act in acts)
    return None if began == grant.collected_at else began
