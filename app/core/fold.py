"""What consent events amount to: one grant; a person's standing, for a decision; a consent's state; rows of a table.

Age is a fact of the person, stated on any processing. Under 15, consent is joint (LIL art. 45): child and holder of
parental responsibility give it together, or in two acts, the second within thirty days of the first.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from itertools import chain, takewhile
from typing import Final
from uuid import UUID

from app.core.article import FRANCE, Element
from app.core.consent import (
    BY_RANK,
    DECISIONS,
    AgeBand,
    Ages,
    Collection,
    ConsentEvent,
    DefaultState,
    Defect,
    EventKind,
    GivenBy,
    PositiveAct,
    State,
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
    each act. `first_act` is, under 15, the earlier grant with which it forms a joint consent, if any.
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


def is_joint(grant: Grant) -> bool:
    """Return whether child and holder of parental responsibility gave it, together or in two acts."""
    return grant.event.collection.given_by is GivenBy.BOTH or grant.first_act is not None


def defects(grant: Grant, processing: Processing, at: datetime) -> tuple[Defect, ...]:
    """Return everything that makes a grant unlawful, as judged at an instant (rule 14); empty when it is lawful."""
    child = grant.age is AgeBand.UNDER_15
    given_by = grant.event.collection.given_by
    joint = is_joint(grant)
    present = {defect for act in grant.acts for defect in _of_its_collection(act.collection)}
    if child and not joint:
        present.add(Defect.JOINT_CONSENT_MISSING)
    if not child and given_by not in {GivenBy.SELF, GivenBy.BOTH}:
        present.add(Defect.GIVEN_BY_ANOTHER)
    if not grant.age_stated and _age_required(grant.event, processing, at):
        present.add(Defect.AGE_UNKNOWN)
    version = processing.version(grant.event.version or 0)
    if version is not None and version.conditional:
        present.add(Defect.CONDITION_OF_SERVICE)
    return tuple(defect for defect in Defect if defect in present) if present else ()


def _of_its_collection(collection: Collection) -> tuple[Defect, ...]:
    checks = (
        (Defect.PRE_SELECTED, collection.default_state is DefaultState.SELECTED),
        (Defect.NO_POSITIVE_ACT, collection.positive_act is PositiveAct.NONE),
        (Defect.BUNDLED_WITH_TERMS, not collection.separate_from_terms),
        (Defect.CONDITION_OF_SERVICE, collection.conditional),
        (Defect.TEXT_UNKNOWN, not collection.text_known),
    )
    return tuple(defect for defect, present in checks if present)


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
    return min(act_expiry(act, processing, at, policy) for act in grant.acts)


def act_expiry(act: ConsentEvent, processing: Processing, at: datetime, policy: PeriodPolicy) -> datetime:
    """Return the first instant at which one act of a grant, taken alone, is no longer in force, as judged at `at`."""
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


# Where a person stands. The latest decision counts, by time of collection, ties by ledger order; a closure wipes all
# before it. Half of a joint consent decides nothing: it does not displace a whole consent.


@dataclass(frozen=True)
class PersonAccount:
    """What a person said on one processing between two closures, oldest first, and the ages stated in that time.

    A closure forgets ages, so what was said before it is judged by the ages known when the account was closed.
    """

    events: Sequence[ConsentEvent]
    ages: Ages

    def grant_of(self, event: ConsentEvent) -> Grant:
        """Return a granted event as a grant, with what the person's other events say about it."""
        age = self.ages.at_grant(event)
        first = self._first_act(event) if age.band is AgeBand.UNDER_15 else None
        stated = age.stated and (first is None or self.ages.at_grant(first).stated)
        return Grant(event, age.band, first, stated)

    @cached_property
    def halves(self) -> frozenset[int]:
        """The ledger orders of the grants that are halves of a joint consent (`Grant.is_half`)."""
        if not self.ages.may_be_a_childs():
            return frozenset()
        grants = (event for event in self.events if event.kind is EventKind.GRANTED)
        return frozenset(event.order for event in grants if self.grant_of(event).is_half)

    @cached_property
    def decisions(self) -> Sequence[ConsentEvent]:
        """The grants, refusals and withdrawals."""
        return [event for event in self.events if event.kind in DECISIONS]

    def _first_act(self, second: ConsentEvent) -> ConsentEvent | None:
        """Return the decision just before a grant, if the two form one joint consent."""
        place = bisect_left(self.decisions, second.rank, key=BY_RANK)
        if not place:
            return None
        first = self.decisions[place - 1]
        joint = (
            first.kind is EventKind.GRANTED
            and first.version == second.version
            and {first.collection.given_by, second.collection.given_by} == _BOTH_SIDES
            and second.collected_at - first.collected_at <= JOINT_WINDOW
        )
        return first if joint else None


def accounts(events: Iterable[ConsentEvent], processing: str, at: datetime) -> tuple[PersonAccount, ...]:
    """Return the accounts that a person has had as far as one processing goes, as known at an instant.

    The last one is open, and the closure of each other is the last of its events.
    """
    closed: list[PersonAccount] = []
    relevant: list[ConsentEvent] = []
    stated: list[ConsentEvent] = []
    for event in sorted((event for event in events if event.collected_at <= at), key=BY_RANK):
        if event.concerns(processing):
            relevant.append(event)
            if event.kind is EventKind.CLOSED:
                closed.append(PersonAccount(relevant, Ages(tuple(stated))))
                relevant = []
                if event.processing is None:  # the closure of one processing forgets no age
                    stated = []
                    continue
        if event.collection.age_band is not None:
            stated.append(event)
    return (*closed, PersonAccount(relevant, Ages(stated)))


def account_of(accounts: Sequence[PersonAccount], event: ConsentEvent) -> PersonAccount:
    """Return the account in which an event was collected."""
    return accounts[bisect_left(accounts, event.rank, hi=len(accounts) - 1, key=_closed_by)]


def halves_of(accounts: Iterable[PersonAccount]) -> frozenset[int]:
    """Return the ledger orders of the halves of joint consents in all of a person's accounts."""
    return frozenset[int]().union(*(account.halves for account in accounts))


def counts(event: ConsentEvent, processing: Processing, at: datetime) -> bool:
    """Return whether a decision counts yet: a grant only once its version is in force, any other decision at once."""
    if event.kind is not EventKind.GRANTED:
        return event.kind in DECISIONS
    version = processing.version(event.version or 0)
    return version is not None and version.in_force_at(at)


@dataclass(frozen=True)
class Standing:
    """Where a person stands on one processing, as known at an instant: each fact is worked out once, when asked for.

    A list, a filter or a count by state agrees with the decision at the same instant because both come from here.
    `policy`: how the deployment counts periods.
    """

    accounts: Sequence[PersonAccount]
    processing: Processing
    at: datetime
    policy: PeriodPolicy

    @property
    def account(self) -> PersonAccount:
        """The account that is open: the next holder of an address that was closed starts with nothing."""
        return self.accounts[-1]

    @cached_property
    def latest(self) -> ConsentEvent | None:
        """The decision that counts, if any: the last, except that a superseded grant does not displace one still good.

        Among the grants since the last refusal, withdrawal or closure, the latest that is not superseded counts, else
        the latest: renewing the present version does not displace the consent already given to the next one. A half of
        a joint consent counts only where there is no other grant: then it is not valid (rule 14). Whether a grant is a
        half is looked at from the last one back, only as far as needed.
        """
        grants = list(takewhile(lambda event: event.kind is EventKind.GRANTED, reversed(self._counting)))
        may_be_half = self.account.ages.may_be_a_childs()
        wholes = (event for event in grants if not (may_be_half and self.account.grant_of(event).is_half))
        for standing in (wholes, iter(grants), iter(self._counting[-1:])):
            first = next(standing, None)
            if first is not None:
                good = (each for each in chain([first], standing) if not self._superseded(each))
                return next(good, first)
        return None

    @property
    def consent(self) -> ConsentEvent | None:
        """The latest grant or refusal that counts, which a withdrawal may have ended."""
        if self.grant is not None:
            return self.latest
        return next((event for event in reversed(self._counting) if event.kind is not EventKind.WITHDRAWN), None)

    @property
    def ever_decided(self) -> bool:
        """Whether the person ever decided in the open account, be it that no decision counts yet."""
        return bool(self.account.decisions)

    @cached_property
    def grant(self) -> Grant | None:
        """The decision that counts, where that is a grant."""
        latest = self.latest
        return self.account.grant_of(latest) if latest is not None and latest.kind is EventKind.GRANTED else None

    @cached_property
    def expires_at(self) -> datetime:
        """The first instant at which `grant` is no longer in force; the instant judged where there is none."""
        return self.at if self.grant is None else expiry(self.grant, self.processing, self.at, self.policy)

    def grant_of(self, event: ConsentEvent) -> Grant:
        """Return a granted event of any of the person's accounts as a grant."""
        return account_of(self.accounts, event).grant_of(event)

    def expiry_of(self, event: ConsentEvent) -> datetime:
        """Return the first instant at which a granted event is no longer in force."""
        return expiry(self.grant_of(event), self.processing, self.at, self.policy)

    def state_of(self, consent: ConsentEvent) -> State:
        """Return the state of a consent: one of the granted or refused events of the person.

        The event that ended it comes first: a closure, a withdrawal, a later decision. Then, for a grant, come the
        invalidation of what it rests on, and rules 14 to 16 in their order.
        """
        # No grant ends a consent that does not count yet, and there may be thousands of both.
        past = self._past if counts(consent, self.processing, self.at) else self._ends_of_all
        later = (past[place] for place in range(bisect_right(past, consent.rank, key=BY_RANK), len(past)))
        ended = next((each for each in later if ends(each, consent, self.processing, self.at, self._halves)), None)
        if ended is not None:
            return ENDED[ended.kind]
        return State.REFUSED if consent.kind is EventKind.REFUSED else self._state_of_grant(self.grant_of(consent))

    def _state_of_grant(self, grant: Grant) -> State:
        """Return the state of a grant that no later event ended."""
        if invalidated(grant, self.processing, self.at):
            return State.INVALIDATED
        if not counts(grant.event, self.processing, self.at):
            return State.PENDING
        grant_defects = defects(grant, self.processing, self.at)
        if grant_defects == (Defect.JOINT_CONSENT_MISSING,) and awaits_other_side(grant, self.at):
            return State.AWAITING_OTHER
        if grant_defects:
            return State.INVALID
        if self._superseded(grant.event):
            return State.SUPERSEDED
        lapsed = self.at >= expiry(grant, self.processing, self.at, self.policy)
        return State.EXPIRED if lapsed else State.IN_FORCE

    @cached_property
    def permits(self) -> frozenset[Element]:
        """The elements that the person's consent permits to be analysed; none where no consent is in force."""
        if self.grant is None or self.state_of(self.grant.event) is not State.IN_FORCE:
            return frozenset()
        return covered(self.grant, self.processing)

    @cached_property
    def without_invalidations(self) -> "Standing":
        """Where the person would stand if nothing had been invalidated."""
        return replace(self, processing=replace(self.processing, invalidations=()))

    def has_permitted(self, consent: ConsentEvent) -> bool:
        """Return whether a grant permits, or permitted until time, the register or a later grant ended it."""
        state = self.state_of(consent)
        if state not in _MAY_HAVE_PERMITTED:
            return state in _PERMITTED
        version = self.processing.version(consent.version or 0)
        if version is None or not version.in_force_at(self.at):
            return False
        began = max(consent.collected_at, version.effective_from or consent.collected_at)
        return not defects(self.grant_of(consent), self.processing, began)

    @cached_property
    def _counting(self) -> Sequence[ConsentEvent]:
        """The decisions that count."""
        return [event for event in self.account.decisions if counts(event, self.processing, self.at)]

    @cached_property
    def _past(self) -> Sequence[ConsentEvent]:
        return [event for account in self.accounts for event in account.events]

    @cached_property
    def _ends_of_all(self) -> Sequence[ConsentEvent]:
        """The refusals, withdrawals and closures, which end every consent before them."""
        return [event for event in self._past if event.kind in ENDED and event.kind is not EventKind.GRANTED]

    @cached_property
    def _halves(self) -> frozenset[int]:
        return halves_of(self.accounts)

    def _superseded(self, grant: ConsentEvent) -> bool:
        return self.processing.superseded(grant.version or 0, self.at)


_PERMITTED: Final = frozenset({State.IN_FORCE, State.EXPIRED, State.SUPERSEDED})
_MAY_HAVE_PERMITTED: Final = frozenset({State.INVALID, State.INVALIDATED, State.REPLACED})
"""A grant in one of these states permitted if it was lawful when it began to count."""


def is_lost(consent: ConsentEvent, before: Standing, after: Standing) -> bool:
    """Return whether what a grant permitted is permitted no more, neither by it nor by another.

    Then receivers must stop, and erase what they derived (GDPR art. 7(3) and 17(1)(b)). What the version in force does
    not declare any more counts for nothing while the person's consent to the rest goes on.

    Args:
        consent: the granted event.
        before: where the person stood before what may have ended it.
        after: where the person stands since; the same as `before` where only time or the register may have ended it.

    """
    if after.state_of(consent) is State.IN_FORCE or not before.has_permitted(consent):
        return False
    version = after.processing.version_at(after.at)
    permitted = covered(before.grant_of(consent), before.processing)
    analysed = permitted if version is None else permitted & version.elements
    return not after.permits or not analysed <= after.permits


def fold(events: Iterable[ConsentEvent], processing: Processing, at: datetime, policy: PeriodPolicy) -> Standing:
    """Fold all of a person's events, including those about other processings, into their standing on one."""
    return Standing(accounts(events, processing.id, at), processing, at, policy)


def _closed_by(account: PersonAccount) -> tuple[datetime, int]:
    return account.events[-1].rank


def ends(
    event: ConsentEvent, consent: ConsentEvent, processing: Processing, at: datetime, halves: frozenset[int]
) -> bool:
    """Return whether a later event ends a consent, as known at an instant.

    A closure, a refusal and a withdrawal end all before them. A grant ends a refusal, and a grant that counts already,
    unless it is itself superseded and the earlier one is not (law.md, "Latest decision"). Half of a joint consent does
    not end a whole grant. Of the consent nothing counts but its kind, its version and whether it is a half.

    Args:
        event: the later event.
        consent: a granted or refused event.
        processing: the register's entry for the consent's processing.
        at: the instant judged.
        halves: the ledger orders of the person's halves (`halves_of`).

    """
    if event.kind is EventKind.CLOSED or not counts(event, processing, at):
        return event.kind is EventKind.CLOSED
    if event.kind is not EventKind.GRANTED or consent.kind is not EventKind.GRANTED:
        return True
    if event.order in halves and consent.order not in halves:
        return False
    displaced = processing.superseded(event.version or 0, at) and not processing.superseded(consent.version or 0, at)
    return counts(consent, processing, at) and not displaced


ENDED: Final = {
    EventKind.CLOSED: State.CLOSED,
    EventKind.WITHDRAWN: State.WITHDRAWN,
    EventKind.REFUSED: State.REPLACED,
    EventKind.GRANTED: State.REPLACED,
}


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
    ordered = sorted(events, key=BY_RANK)
    concerned: dict[str, list[ConsentEvent]] = {
        event.processing: [] for event in ordered if event.kind in CONSENTS and event.processing is not None
    }
    for event in ordered:
        is_of_all = event.processing is None or event.collection.age_band is not None
        for name in concerned if is_of_all else concerned.keys() & {event.processing}:
            concerned[name].append(event)
    rows = {row.id: row for name, own in concerned.items() for row in _rows(own, register[name])}
    return tuple(rows[event.id] for event in ordered if event.id in rows)


def _rows(events: Sequence[ConsentEvent], processing: Processing) -> Iterator[ConsentRow]:
    """Return the rows of the consents to one processing.

    Args:
        events: all that concern the processing, and all that state an age, ordered.
        processing: the register's entry.

    """
    of_person = accounts(events, processing.id, events[-1].collected_at)
    own = [event for account in of_person for event in account.events]
    ended = _ended(own, processing, halves_of(of_person))
    for index, consent in enumerate(own):
        if consent.kind not in CONSENTS:
            continue
        end = ended.get(consent.order)
        yield ConsentRow(
            id=consent.id,
            processing=processing.id,
            version=consent.version or 0,
            decision=consent.kind,
            collected_at=consent.collected_at,
            expires_at=consent.expires_at,
            ended_by=end.kind if end is not None else None,
            ended_at=end.collected_at if end is not None else None,
            counted_from=_counted_from(own, index) if consent.kind is EventKind.GRANTED else None,
        )


def _ended(own: Sequence[ConsentEvent], processing: Processing, halves: frozenset[int]) -> dict[int, ConsentEvent]:
    """Return the event that ended each consent that one did, by the consent's ledger order.

    Each event is judged when it was collected: a grant whose version was not yet in force then ended nothing. Consents
    of one kind and version, all halves or all whole, end together (`ends`), so that one of them is asked about: a
    person may have thousands of consents that nothing ended.
    """
    ended: dict[int, ConsentEvent] = {}
    standing: dict[tuple[EventKind, int | None, bool], list[ConsentEvent]] = {}
    for event in own:
        for alike in standing.values():
            if alike and ends(event, alike[0], processing, event.collected_at, halves):
                ended |= dict.fromkeys((each.order for each in alike), event)
                alike.clear()
        if event.kind in CONSENTS:
            standing.setdefault((event.kind, event.version, event.order in halves), []).append(event)
    return ended


def _counted_from(own: Sequence[ConsentEvent], index: int) -> datetime | None:
    """Return the earliest instant from which the year of a grant may be counted; None when that is its own collection.

    It is never too late: two acts may become joint when an age is stated afterwards.
    """
    grant = own[index]
    earlier = (own[at] for at in range(index - 1, -1, -1))
    before = next((event for event in earlier if event.kind in DECISIONS), None)
    acts = [grant]
    if before is not None and {before.collection.given_by, grant.collection.given_by} == {GivenBy.SELF, GivenBy.PARENT}:
        acts = [before, grant]
    began = min(act.collected_at if act.territory == FRANCE else act.collected_at - _ONE_DAY for act in acts)
    return None if began == grant.collected_at else began
