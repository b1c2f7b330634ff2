"""Consent events, and the ages that they state: what the ledger holds, in the words of the rules.

The ledger is append-only. `app.core.fold` computes what a person's events amount to at an instant, and what a grant
among them is worth.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import IntEnum, StrEnum
from functools import cached_property
from itertools import accumulate
from operator import attrgetter
from typing import Final
from uuid import UUID

from app.core.article import FRANCE, Element, paris_midnight
from app.core.errors import UnknownEventKindError


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
"""Events that change no answer: the sweep's own rows, and a refused renewal. Workers need not be notified of them."""


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
    """The weight of a statement of age against another (law.md, "Age")."""

    OWN_WORD = 1
    PARENT = 2
    OPERATOR = 3
    IDENTITY_DOCUMENT = 4


_PARENTS: Final = frozenset({GivenBy.PARENT, GivenBy.BOTH})


def age_weight(stated_by: StatedBy | None, checked_how: CheckedHow, given_by: GivenBy) -> AgeWeight:
    """Return the weight of a statement of age.

    Args:
        stated_by: who made the statement; None for an age that came with a decision, whose giver stated it.
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
        """The order in which "latest" is judged: time of collection, then ledger order."""
        return (self.collected_at, self.order)

    @property
    def is_derived(self) -> bool:
        """Whether the sweep recorded what follows from what was there: no act of the person, and no answer changes."""
        is_closure = self.kind is EventKind.CLOSED and self.processing is not None  # of a retired processing
        return is_closure or self.kind in {EventKind.EXPIRED, EventKind.SUPERSEDED}

    def concerns(self, processing: str) -> bool:
        """Return whether this event is about that processing, alone or among all."""
        return self.processing is None or self.processing == processing


BY_RANK: Final = attrgetter("rank")
"""The key by which events are sorted and searched for."""


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
    """Parse an event kind; an unknown kind is an error, never a grant.

    Raises:
        UnknownEventKindError: the word is not one of the kinds.

    """
    try:
        return EventKind(word)
    except ValueError:
        raise UnknownEventKindError from None


# A person's age as far as consent goes (LIL art. 45): what is known at an instant, and what counts for a grant. Age is
# a fact of the person, stated on any processing or on none, and each statement has a weight. A statement speaks of the
# day on which it is made: it contradicts what was known only if the two differ on that day, if both say until when the
# person is under 15, or if it weighs more and calls the person under 15 without such a day. One that makes the person
# younger is believed at once. One that makes the person older is believed only if it weighs at least as much as the
# heaviest of those that it contradicts. Closing the account forgets all statements.

_OLDNESS: Final[dict[AgeBand | None, int]] = {band: place for place, band in enumerate(reversed(AgeBand))}


@dataclass(frozen=True, slots=True)
class AgeAtGrant:
    """The age that counts for a grant; `band` None is unknown. `stated`: whether any age had been stated by then."""

    band: AgeBand | None
    stated: bool


@dataclass(frozen=True)
class Ages:
    """The events that state an age of a person, on any processing, in one account, oldest first by `rank`.

    What they amount to after each, and what is stated from each on, is worked out once for all grants.
    """

    stated: Sequence[ConsentEvent]

    def known(self, at: datetime) -> AgeBand | None:
        """Return the age band known at an instant not before any of them; None when none was stated."""
        return _reading(self._known_after[-1], at)

    def with_another(self, statement: Collection, at: datetime) -> AgeBand | None:
        """Return the age band known at such an instant if one more statement is made then."""
        return _reading(_known_after([*_in_time(self.stated), (statement, at)])[-1], at)

    def may_be_a_childs(self) -> bool:
        """Return whether any of them says that the person is under 15."""
        return any(each.collection.age_band is AgeBand.UNDER_15 for each in self.stated)

    def at_grant(self, grant: ConsentEvent) -> AgeAtGrant:
        """Return the age that counts for a grant: the age known when it was given, or a younger age stated since.

        What is stated later, or recorded after the grant whatever its date, never makes the person older at the grant.
        Every statement is read as of the grant: a person later said to be under 15 until a day was under 15 before that
        day. The grant's own statement counts.
        """
        if not self.stated:
            return AgeAtGrant(None, stated=False)
        at, earlier = grant.collected_at, bisect_right(self.stated, grant.rank, key=BY_RANK)
        if self._highest_order[earlier] <= grant.order:
            stood, since = self._known_after[earlier], self._youngest_from[earlier]
        else:  # some were recorded after the grant, for dates before it
            before = [each for each in self.stated[:earlier] if each.order <= grant.order]
            late = [each for each in self.stated[:earlier] if each.order > grant.order]
            stood = _known_after(_in_time(before))[-1]
            since = _youngest_from([*late, *self.stated[earlier:]])[0]
        band, youngest = _reading(stood, at), since.reading(at)
        is_younger = _OLDNESS[youngest] < _OLDNESS[band or AgeBand.ADULT]
        return AgeAtGrant(youngest if is_younger else band, stated=stood is not None)

    @cached_property
    def _known_after(self) -> list[Collection | None]:
        return _known_after(_in_time(self.stated))

    @cached_property
    def _youngest_from(self) -> "list[_Youngest]":
        return _youngest_from(self.stated)

    @cached_property
    def _highest_order(self) -> list[int]:
        """The highest ledger order among the first statements, by how many they are."""
        return list(accumulate((each.order for each in self.stated), max, initial=0))


def ages_stated(events: Iterable[ConsentEvent], at: datetime) -> Ages:
    """Return the ages stated of a person by an instant, since the account was last closed."""
    ordered = sorted((event for event in events if event.collected_at <= at), key=BY_RANK)
    closures = (index for index, event in enumerate(ordered) if event.kind is EventKind.CLOSED and not event.processing)
    live = ordered[max(closures, default=-1) + 1 :]
    return Ages([event for event in live if event.collection.age_band is not None])


def age_known(events: Iterable[ConsentEvent], at: datetime) -> AgeBand | None:
    """Return the age band known of a person at an instant; None when none was stated."""
    return ages_stated(events, at).known(at)


def makes_younger(statement: Collection, events: Iterable[ConsentEvent], at: datetime) -> bool:
    """Return whether an age stated at an instant makes a person younger than was known, unknown counting as adult.

    Consents given before may then no longer count (rule 14).
    """
    ages = ages_stated(events, at)
    before, after = ages.known(at) or AgeBand.ADULT, ages.with_another(statement, at) or AgeBand.ADULT
    return _OLDNESS[after] < _OLDNESS[before]


def makes_older(statement: Collection, events: Iterable[ConsentEvent], at: datetime) -> bool:
    """Return whether a stated age makes a person older than was known, or is the first statement and not a child's.

    Grants given from then on may count that would not have counted before (rule 14).
    """
    ages = ages_stated(events, at)
    before, after = ages.known(at), ages.with_another(statement, at)
    if before is None:
        return after not in {None, AgeBand.UNDER_15}
    return after is not None and _OLDNESS[after] > _OLDNESS[before]


def _in_time(events: Iterable[ConsentEvent]) -> list[tuple[Collection, datetime]]:
    return [(event.collection, event.collected_at) for event in events]


def _known_after(statements: Iterable[tuple[Collection, datetime]]) -> list[Collection | None]:
    """Return the statement that counts before the first, after it, after the second, and so on; the oldest comes first.

    Each has the time at which it was made, and is compared with a few: of all statements of a band and weight, those of
    the first and the last day tell what any of them says.
    """
    current: Collection | None = None
    heard: dict[object, Collection] = {}
    after = [current]
    for statement, when in statements:
        if statement.age_band is not None:
            if current is None or _counts(statement, current, heard.values(), when):
                current = statement
            for choose in (min, max):
                key = (statement.age_band, statement.age_weight, choose)
                heard[key] = choose(heard.get(key, statement), statement, key=_turns_15)
        after.append(current)
    return after


@dataclass(frozen=True, slots=True)
class _Youngest:
    """What makes a person youngest among statements: the one of a child that turns 15 last, and whether any is a minor.

    A child who has turned 15 is such a minor.
    """

    child: Collection | None = None
    minor: bool = False

    def and_also(self, event: ConsentEvent) -> "_Youngest":
        """Return the same of one statement more."""
        statement = event.collection
        if statement.age_band is not AgeBand.UNDER_15:
            return _Youngest(self.child, self.minor or statement.age_band is AgeBand.MINOR_15_PLUS)
        return _Youngest(statement if self.child is None else max(self.child, statement, key=_turns_15), self.minor)

    def reading(self, at: datetime) -> AgeBand:
        """Return the youngest band that any of the statements means at an instant; adult without any."""
        if self.child is not None:
            return _reading(self.child, at) or AgeBand.ADULT
        return AgeBand.MINOR_15_PLUS if self.minor else AgeBand.ADULT


def _youngest_from(stated: Sequence[ConsentEvent]) -> list[_Youngest]:
    """Return what makes a person youngest among all statements, all but the first, all but two, and so on to none."""
    return list(accumulate(reversed(stated), _Youngest.and_also, initial=_Youngest()))[::-1]


def _reading(statement: Collection | None, at: datetime) -> AgeBand | None:
    """Return the band that a statement means at an instant."""
    if statement is None:
        return None
    until = statement.under_15_until
    if statement.age_band is AgeBand.UNDER_15 and until is not None and at >= paris_midnight(until):
        return AgeBand.MINOR_15_PLUS
    return statement.age_band


def _counts(statement: Collection, current: Collection, heard: Iterable[Collection], when: datetime) -> bool:
    """Return whether a statement takes the place of the current one when it is made, after those heard before."""
    before = _reading(current, when)
    repeats = statement.under_15_until is None and statement.age_weight <= current.age_weight
    says_the_same = repeats and _reading(statement, when) is before
    is_younger = _age(statement, when) < _age(current, when)
    heaviest = max(other.age_weight for other in heard if _reading(other, when) is before)
    return not says_the_same and (is_younger or statement.age_weight >= heaviest)


def _age(statement: Collection, at: datetime) -> tuple[int, float]:
    """Return how old a statement makes a person: by its band, then by how soon a child turns 15."""
    return _OLDNESS[_reading(statement, at)], -_turns_15(statement)


def _turns_15(statement: Collection) -> float:
    """Return the day from which on a statement calls the person 15 or more, as a number; infinite if it names none."""
    until = statement.under_15_until
    return math.inf if until is None else until.toordinal()
