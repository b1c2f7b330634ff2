"""Worlds for the property tests: a register entry, a ledger, an instant and a request that are likely to collide.

Times are laid around the instant asked about, at distances where a rule may tip: a microsecond, a day, a month less
one, half a year, the year and its neighbours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import combinations, product
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from app.core.article import Channel, Element, ProviderKind, Purpose
from app.core.consent import AgeBand, Collection, ConsentEvent, DefaultState, EventKind, GivenBy, PositiveAct
from app.core.decision import Decision, DecisionRequest, Participant
from app.core.evaluate import evaluate
from app.core.period import ConsentPeriod, Counting, PeriodPolicy
from app.core.processing import PartyMode, Processing, ProcessingVersion, Status, StatusChange
from tests.core.builders import ADS, ALICE, BOB, CAROL, utc

IV = (Purpose.ADVERTISING, Purpose.STATISTICS, Purpose.SERVICE_IMPROVEMENT)
PERIODS = st.sampled_from(
    [ConsentPeriod.parse(text) for text in ["P1Y", "P1Y", "P1Y", "P6M", "P1M", "P90D", "P12W", "P365D"]]
)
TURNING_POINTS = [
    "2016-10-08T22:00:00",
    "2017-03-30T22:00:00",
    "2017-05-15T09:30:00",
    "2017-09-30T22:00:00",
    "2025-07-01T22:00:00",
    "2026-03-29T01:00:00",
    "2026-06-15T12:00:00",
    "2026-10-25T00:30:00",
    "2028-02-29T11:00:00",
    "2029-02-27T23:00:00",
]
TICK = timedelta(microseconds=1)
DAYS = (1, 2, 29, 31, 60, 89, 90, 91, 150, 181, 184, 300, 363, 364, 365, 366, 367, 400)
DISTANCES = st.sampled_from([timedelta(0), TICK, timedelta(seconds=1)] * 2 + [timedelta(days=days) for days in DAYS])
INSTANTS = st.sampled_from([utc(base) + ticks * TICK for base in TURNING_POINTS for ticks in (0, -1, 1)])
ANY_INSTANT = st.datetimes(datetime(2016, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
ELEMENTS = st.sampled_from([frozenset(some) for size in range(1, 5) for some in combinations(Element, size)])
# One draw for each: a world of many draws costs more to make than to judge.
ONE_DEFECT: tuple[dict[str, Any], ...] = (
    *[{}] * 5,
    {"positive_act": PositiveAct.NONE},
    {"positive_act": PositiveAct.SIGNED},
    {"default_state": DefaultState.SELECTED},
    {"separate_from_terms": False},
    {"conditional": True},
    {"text_known": False},
)
AGES = (None, None, None, *AgeBand)
GIVERS = (GivenBy.SELF, GivenBy.SELF, GivenBy.SELF, *GivenBy)
COLLECTIONS = st.just(Collection()) | st.sampled_from(
    [Collection(**how, age_band=age, given_by=giver) for how, age, giver in product(ONE_DEFECT, AGES, GIVERS)]
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

    def decide(self, at: datetime | None = None) -> Decision:
        """What the core answers, now or at another instant."""
        return evaluate(self.request, self.processing, self.ledger, at or self.at, self.policy)

    def with_event(self, subject: bytes, added: ConsentEvent) -> "World":
        """The same world with one more event."""
        return replace(self, ledger={**self.ledger, subject: [*self.ledger.get(subject, ()), added]})

    def asked(self, **changes) -> "World":
        """The same world asked otherwise."""
        return replace(self, request=replace(self.request, **changes))


@st.composite
def versions(draw, at):
    """One to three versions in ascending number and time."""
    starts = draw(
        st.lists(DISTANCES.flatmap(lambda far: st.sampled_from([at - far, at + far])), max_size=2).map(sorted)
    )
    first = draw(st.sampled_from([None] * 6 + [at - timedelta(days=500), at, at + TICK]))
    modes = draw(st.sampled_from([[PartyMode.USER_ONLY], list(PartyMode)]))
    return tuple(
        ProcessingVersion(
            number=number,
            effective_from=start,
            provider_kind=draw(st.sampled_from(ProviderKind)),
            elements=draw(ELEMENTS),
            automated=draw(st.sampled_from([True] * 9 + [False])),
            party_mode=draw(st.sampled_from(modes)),
            started_on=draw(st.sampled_from([date(2014, 5, 1), date(2017, 3, 30), date(2017, 3, 31)])),
            consent_validity=draw(PERIODS),
            material=draw(st.sampled_from([False, False, True])),
        )
        for number, start in enumerate([first, *(each for each in starts if first is None or each >= first)], start=1)
    )


@st.composite
def processings(draw, at):
    """A register entry, mostly of IV and mostly active."""
    changes = draw(st.sampled_from([0, 0, 0, 1, 2]))
    times = sorted(draw(DISTANCES) * draw(st.sampled_from([-1, 1])) for _ in range(changes))
    return Processing(
        ADS,
        draw(st.sampled_from(IV * 4 + tuple(Purpose))),
        draw(versions(at)),
        tuple(StatusChange(at + far, draw(st.sampled_from([Status.ACTIVE, Status.SUSPENDED]))) for far in times),
    )


@st.composite
def events(draw, at, order, kinds=tuple(EventKind), collections=COLLECTIONS):
    """One event at a distance before, at or after the instant asked about."""
    kind = draw(st.sampled_from((EventKind.GRANTED,) * len(kinds) + kinds if EventKind.GRANTED in kinds else kinds))
    # A decision is specific to one processing; what ends it may be about all.
    about = draw(st.sampled_from([ADS] * 5 + ["other"] + ([] if kind in {"granted", "refused"} else [None])))
    after = draw(st.sampled_from([False] * 5 + [True]))
    far = draw(DISTANCES)
    collected_at = at + far if after else at - far
    return ConsentEvent(
        id=UUID(int=order),
        kind=kind,
        processing=about,
        collected_at=collected_at,
        order=order,
        version=draw(st.sampled_from([1, 1, 1, 2, 3])) if about else None,
        elements=draw(st.sampled_from([None, None, draw(ELEMENTS)])),
        collection=draw(collections),
        expires_at=draw(st.sampled_from([None] * 4 + [collected_at + timedelta(days=200)])),
    )


@st.composite
def ledgers(draw, at):
    """The events of alice, bob and carol, in one ledger order."""
    subjects = draw(st.lists(st.sampled_from([ALICE, ALICE, ALICE, BOB, BOB, CAROL]), max_size=6))
    ledger: dict[bytes, list[ConsentEvent]] = {}
    for order, subject in enumerate(subjects, start=1):
        ledger.setdefault(subject, []).append(draw(events(at, order)))
    return ledger


PARTICIPANTS = st.lists(
    st.builds(Participant, st.sampled_from([ALICE, BOB, BOB, CAROL]), st.sampled_from([True, True, False])), max_size=3
).map(tuple)


@st.composite
def requests(draw, usual=3):
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
    return World(draw(requests()), draw(processings(at)), draw(ledgers(at)), at, draw(POLICIES))


@st.composite
def permitting_worlds(draw):
    """A world in which alice consented last, to the first version of a processing of IV: most of these permit."""
    world = draw(worlds())
    register = world.processing
    automated = tuple(replace(each, automated=True) for each in register.versions)
    begun = (replace(automated[0], effective_from=None), *automated[1:])
    entry = replace(
        register,
        purpose=draw(st.sampled_from(IV)),
        versions=begun,
        status_changes=tuple(each for each in register.status_changes if each.at > world.at),
    )
    collected_at = world.at - draw(
        st.sampled_from([timedelta(0), TICK, *(timedelta(days=days) for days in (1, 20, 80, 180, 363))])
    )
    grant = ConsentEvent(
        UUID(int=99), EventKind.GRANTED, ADS, collected_at, 99, 1, draw(st.none() | st.none() | ELEMENTS)
    )
    earlier = [
        each for each in world.ledger.get(ALICE, ()) if each.collected_at < collected_at or each.collected_at > world.at
    ]
    request = replace(draw(requests(usual=20)), automated=True, private=True, territory="FR")
    if draw(st.booleans()):
        request = replace(request, elements=None)
    return replace(world, processing=entry, request=request, ledger={**world.ledger, ALICE: [*earlier, grant]})
