"""Worlds for the property tests: a register entry, a ledger, an instant and a request that are likely to collide.

Times are laid around the instant asked about, at distances where a rule may tip: a microsecond, a day, a month less
one, half a year, the year and its neighbours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from app.core.article import EXEMPT_PURPOSES, Channel
from app.core.consent import AgeBand, AgeWeight, Collection, ConsentEvent, EventKind, GivenBy
from app.core.decision import Decision, DecisionRequest, Participant
from app.core.evaluate import evaluate
from app.core.period import Counting, PeriodPolicy
from app.core.processing import PartyMode, Processing
from tests.core.builders import ADS, ALICE, BOB, CAROL
from tests.core.properties.evidence import COLLECTIONS, ONE_DEFECT, SHOWN, STATEMENTS
from tests.core.properties.registers import (
    DISTANCES,
    ELEMENTS,
    EVERY_SET,
    INSTANTS,
    IV,
    PERIODS,
    TICK,
    invalidations,
    processings,
    running,
    versions,
)

ANY_INSTANT = st.datetimes(datetime(2016, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
NAMED = st.sampled_from([None] * 30 + EVERY_SET)
# What a grant's record says of its expiry (days after collection) and of the territory where it was collected.
RECORDS = st.sampled_from(
    [(None, "FR")] * 5 + [(200, "FR"), (200, "GP")] + [(None, place) for place in ("GP", "RE", "PM", "WF", "YT", "NC")]
)
POLICIES = st.builds(PeriodPolicy, st.sampled_from(Counting), PERIODS)


@dataclass(frozen=True)
class World:
    """Everything that a decision is judged on."""

    request: DecisionRequest
    processing: Processing
    ledger: Mapping[bytes, Sequence[ConsentEvent]]
    at: datetime
    policy: PeriodPolicy
    shared: frozenset[bytes] = frozenset()

    def decide(self, at: datetime | None = None) -> Decision:
        """What the core answers, now or at another instant."""
        return evaluate(self.request, self.processing, self.ledger, at or self.at, self.policy, self.shared)

    def no_wider_than(self, other: "World") -> bool:
        """Whether this world permits nothing that the other does not, nor for longer."""
        now, then = self.decide(), other.decide()
        if not now.permitted:
            return True
        if now.valid_until is None or then.valid_until is None:
            return then.permitted and now.valid_until == then.valid_until
        return then.permitted and now.valid_until <= then.valid_until

    def with_event(self, subject: bytes, added: ConsentEvent) -> "World":
        """The same world with one more event."""
        return replace(self, ledger={**self.ledger, subject: [*self.ledger.get(subject, ()), added]})

    def asked(self, **changes) -> "World":
        """The same world asked otherwise."""
        return replace(self, request=replace(self.request, **changes))


@st.composite
def events(draw, at, order, kinds=tuple(EventKind), collections=COLLECTIONS):
    """One event at a distance before, at or after the instant asked about."""
    kind = draw(st.sampled_from((EventKind.GRANTED,) * len(kinds) + kinds if EventKind.GRANTED in kinds else kinds))
    # A decision is specific to one processing; what ends it, and an age, may be about all.
    general = [] if kind in {"granted", "refused"} else [None] * 3
    about = draw(st.sampled_from([ADS] * 5 + ["other"] + general))
    after = draw(st.sampled_from([False] * 5 + [True]))
    far = draw(DISTANCES)
    collected_at = at + far if after else at - far
    stored, territory = draw(RECORDS)
    return ConsentEvent(
        id=UUID(int=order),
        kind=kind,
        processing=about,
        collected_at=collected_at,
        order=order,
        version=draw(st.sampled_from([1, 1, 1, 2, 3])) if about else None,
        elements=draw(NAMED),
        collection=draw(STATEMENTS if kind == "age_stated" and collections is COLLECTIONS else collections),
        expires_at=stored and collected_at + timedelta(days=stored),
        territory=territory,
    )


CHILD, PARENT = GivenBy.SELF, GivenBy.PARENT
ACTORS = st.sampled_from(
    [(CHILD, PARENT), (PARENT, CHILD)] * 3 + [(CHILD, CHILD), (PARENT, PARENT), (CHILD, GivenBy.BOTH)]
)
GAPS = st.sampled_from([timedelta(days=30) + ticks * TICK for ticks in (0, -1, 1)] + [timedelta(0), timedelta(days=3)])
# What is stated of the age before the first act, by the first, by the second, and after it.
YOUNG, TEEN, GROWN = AgeBand.UNDER_15, AgeBand.MINOR_15_PLUS, AgeBand.ADULT
KNOWN_CHILD = [(None, YOUNG, YOUNG, None), (None, YOUNG, None, TEEN), (YOUNG, None, None, None)]
LIVES = [
    *KNOWN_CHILD * 3,
    (None, None, YOUNG, None),
    (None, None, None, YOUNG),
    (None, YOUNG, TEEN, None),
    (YOUNG, None, TEEN, None),
    (GROWN, None, None, YOUNG),
    *[(None, None, None, None)] * 4,
]
BETWEEN: list[dict[str, Any]] = [
    *[{}] * 5,
    *[{"kind": EventKind.CLOSED, "processing": None}] * 3,
    {"kind": EventKind.REFUSED},
    {"kind": EventKind.WITHDRAWN, "processing": None},
    *[{"kind": EventKind.CLOSED, "collection": Collection(age_band=age)} for age in (None, YOUNG)],
    {"kind": EventKind.RENEWAL_DECLINED},
    *[{"collection": Collection(given_by=actor)} for actor in (CHILD, PARENT)],
    {"kind": EventKind.EXPIRED},
    {"kind": EventKind.GRANTED, "processing": "other"},
    {"kind": EventKind.GRANTED, "version": 2},
    {"kind": EventKind.AGE_STATED, "collection": Collection(age_band=TEEN)},
]


@st.composite
def two_acts(draw, at, lives=tuple(LIVES), between=tuple(BETWEEN)):
    """A grant and another soon after it, as by a child and a parent, with what was said before, between and after."""
    gap, (one, other) = draw(GAPS), draw(ACTORS)
    second = at - draw(st.sampled_from([timedelta(days=days) for days in (1, 20, 80, 180, 333, 363, 0, 0, -1)]))
    before, first_says, second_says, after = draw(st.sampled_from(lives))
    weight = draw(st.sampled_from(AgeWeight))
    act = ConsentEvent(UUID(int=71), EventKind.GRANTED, ADS, second - gap, 71, draw(st.sampled_from([1, 1, 1, 2])))
    acts = [
        replace(act, collection=Collection(age_band=first_says, given_by=one)),
        replace(
            act,
            id=UUID(int=73),
            order=73,
            collected_at=second,
            collection=Collection(age_band=second_says, given_by=other, age_weight=draw(st.sampled_from(AgeWeight))),
        ),
    ]
    ages = [_stated(before, second - gap, 70, weight)] if before is not None else []
    middle = draw(st.sampled_from(between))
    if middle:
        ages.append(replace(act, id=UUID(int=72), order=72, collected_at=second - gap / 2, **middle))
    if after is not None:
        ages.append(_stated(after, second + timedelta(hours=1), 74, weight))
    # What is particular of one of the two, whichever it is.
    index, (stored, territory) = draw(st.sampled_from([0, 1])), draw(RECORDS)
    acts[index] = replace(
        acts[index],
        version=draw(st.sampled_from([act.version] * 5 + [1, 2])),
        elements=draw(NAMED),
        collection=replace(
            acts[index].collection, text=draw(st.sampled_from(SHOWN)), **draw(st.sampled_from(ONE_DEFECT))
        ),
        expires_at=stored and acts[index].collected_at + timedelta(days=stored),
        territory=territory,
    )
    return [*ages, *acts]


def _stated(age, at, order, weight):
    stated = Collection(age_band=age, age_weight=weight)
    return ConsentEvent(UUID(int=order), EventKind.AGE_STATED, None, at, order, collection=stated)


@st.composite
def ledgers(draw, at):
    """The events of alice, bob and carol, in one ledger order."""
    subjects = draw(st.lists(st.sampled_from([ALICE, ALICE, ALICE, BOB, BOB, CAROL]), max_size=5))
    ledger: dict[bytes, list[ConsentEvent]] = {}
    for order, subject in enumerate(subjects, start=1):
        ledger.setdefault(subject, []).append(draw(events(at, order)))
    pair_of = draw(st.sampled_from([None, None, None, ALICE, BOB]))
    if pair_of is not None:
        acts = draw(two_acts(at))
        given_by = draw(st.sampled_from([None, None, GivenBy.BOTH, CHILD]))
        if given_by is not None:  # what halves that follow must leave as it is
            earlier = min(each.collected_at for each in acts) - timedelta(days=40)
            how = Collection(age_band=YOUNG, given_by=given_by)
            acts.append(ConsentEvent(UUID(int=69), EventKind.GRANTED, ADS, earlier, 69, 1, collection=how))
        ledger.setdefault(pair_of, []).extend(acts)
    return ledger


PARTICIPANTS = st.lists(
    st.builds(Participant, st.sampled_from([ALICE, BOB, BOB, CAROL]), st.sampled_from([True, True, False])), max_size=3
).map(tuple)


# Which of the mailboxes of alice, bob and carol several people share: mostly none.
SHARED = st.sampled_from([frozenset()] * 6 + [frozenset({each}) for each in (ALICE, BOB, CAROL)])


@st.composite
def requests(draw, usual=6):
    """A request about alice; the usual values come up so many times as often as the rest."""

    def mostly(value, *others):
        return draw(st.sampled_from([value] * usual * len(others) + list(others)))

    return DecisionRequest(
        subject=ALICE,
        processing=ADS,
        elements=mostly(None, frozenset(), draw(ELEMENTS)),
        automated=mostly(True, False),
        channel=mostly(Channel.ONLINE, Channel.TEXT_MESSAGE),
        private=mostly(True, False),
        territory=mostly("FR", "WF", "NC", "RE"),
        participants=draw(st.none() | PARTICIPANTS | PARTICIPANTS),
    )


@st.composite
def worlds(draw, instants=INSTANTS):
    """A whole world."""
    at = draw(instants)
    return World(draw(requests()), draw(processings(at)), draw(ledgers(at)), at, draw(POLICIES), draw(SHARED))


@st.composite
def permitting_worlds(draw):
    """A world in which alice consented last, to the first version of a processing of IV: most of these permit."""
    world = draw(worlds())
    entry = running(world.processing, world.at, draw(st.sampled_from(IV)))
    if draw(st.sampled_from([True, True, False])):
        far = draw(st.sampled_from([timedelta(0), TICK, *(timedelta(days=days) for days in (1, 20, 80, 180, 363))]))
        grant = ConsentEvent(UUID(int=99), EventKind.GRANTED, ADS, world.at - far, 99, 1, draw(NAMED))
        shown = Collection(text=draw(st.sampled_from(SHOWN)))
        acts = [replace(grant, territory=draw(RECORDS)[1], collection=shown)]
    else:
        acts = [replace(each, version=1) for each in draw(two_acts(world.at, tuple(KNOWN_CHILD), ({},)))]
    begun = min(each.collected_at for each in acts)
    earlier = [
        each for each in world.ledger.get(ALICE, ()) if each.collected_at < begun or each.collected_at > world.at
    ]
    earlier = [each for each in earlier if each.order not in {act.order for act in acts}]
    request = replace(draw(requests(usual=20)), automated=True, private=True, territory="FR")
    if draw(st.booleans()):
        request = replace(request, elements=None)
    return replace(world, processing=entry, request=request, ledger={**world.ledger, ALICE: [*earlier, *acts]})


@st.composite
def transition_worlds(draw):
    """A world around the six months of 2017, most often with an old processing and a user who never decided."""
    world = draw(worlds(instants=INSTANTS.filter(lambda at: at.year == 2017)))
    entry = running(world.processing, world.at, draw(st.sampled_from(IV)))
    changes = {"started_on": date(2014, 5, 1), "party_mode": draw(st.sampled_from(PartyMode))}
    entry = replace(entry, versions=(replace(entry.versions[0], **changes), *entry.versions[1:]))
    request = replace(world.request, automated=True, private=True, channel=Channel.ONLINE, elements=None)
    request = replace(
        request, participants=draw(PARTICIPANTS), territory=draw(st.sampled_from(["FR", "FR", "WF", "RE"]))
    )
    ledger = world.ledger if draw(st.booleans()) else {**world.ledger, ALICE: ()}
    return replace(world, processing=entry, request=request, ledger=ledger)


@st.composite
def exempt_worlds(draw):
    """A world in which a processing of III runs, and may be due to stop."""
    at = draw(INSTANTS)
    entry = running(draw(processings(at)), at, draw(st.sampled_from(sorted(EXEMPT_PURPOSES))))
    return World(draw(requests(usual=2)), entry, {}, at, PeriodPolicy())


@st.composite
def consent_worlds(draw):
    """A world where nothing but alice's own consent is in question: mostly two acts, on a running processing of IV."""
    at = draw(INSTANTS)
    entry = running(Processing(ADS, IV[0], draw(versions(at))), at, IV[0])
    entry = replace(entry, invalidations=draw(invalidations(at)))
    entries = [*draw(st.lists(events(at, 60), max_size=1)), *draw(two_acts(at))]
    return World(DecisionRequest(ALICE, ADS, participants=()), entry, {ALICE: entries}, at, draw(POLICIES))


WORLDS = worlds() | permitting_worlds() | consent_worlds()
SUBJECTS = st.sampled_from([ALICE, ALICE, BOB, CAROL])
