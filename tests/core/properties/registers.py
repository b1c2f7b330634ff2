"""Register entries for the property tests: versions that differ by a thing or two, around the instant asked about."""

from dataclasses import replace
from datetime import date, timedelta
from itertools import combinations, product
from typing import Any

from hypothesis import strategies as st

from app.core.article import Element, ProviderKind, Purpose
from app.core.period import ConsentPeriod, Retention
from app.core.processing import (
    Invalidation,
    PartyMode,
    Processing,
    ProcessingVersion,
    Recipient,
    Status,
    StatusChange,
    Transfer,
)
from tests.core.builders import ADS, utc

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
DAYS = (1, 2, 29, 30, 31, 60, 89, 90, 91, 150, 181, 184, 300, 363, 364, 365, 366, 367, 400)
DISTANCES = st.sampled_from([timedelta(0), TICK, timedelta(seconds=1)] * 2 + [timedelta(days=days) for days in DAYS])
INSTANTS = st.sampled_from([utc(base) + ticks * TICK for base in TURNING_POINTS for ticks in (0, -1, 1)])
EVERY_SET = [frozenset(some) for size in range(1, 5) for some in combinations(Element, size)]
ELEMENTS = st.sampled_from(EVERY_SET)

# What a version may change of the one before it; most of this is material whatever the version says of itself.
CHANGES: list[dict[str, Any]] = [
    *[{}] * 4,
    *[{"material": True}] * 4,
    *[{"elements": some} for some in EVERY_SET[::2]],
    *[{"party_mode": mode} for mode in (PartyMode.USER_ONLY, *PartyMode)] * 2,
    *[{"provider_kind": kind} for kind in ProviderKind] * 2,
    *[{"recipients": frozenset(map(Recipient, some))} for some in ("", "A", "AB")],
    {"recipients": frozenset({Recipient("A", country="US")})},
    *[{"transfers": frozenset(map(Transfer, some))} for some in ([], ["US"], ["US", "SG"])],
    *[{"controllers": frozenset(some)} for some in ("x", "xy", "z")],
    *[{"derived_data_erased_within": Retention.parse(text)} for text in ("P1D", "P30D", "P10Y")],
    *[{"conditional": dependent} for dependent in (None, False, True)],
    {"storage_location": "Singapour"},
    {"automated_decisions": "Une note."},
    {"categories_of_persons": ("abonnés",)},
    *[{"retention": Retention.parse(text)} for text in ("P1M", "P30D", "P6M", "P3Y")],
    *[{"consent_validity": ConsentPeriod.parse(text)} for text in ("P1Y", "P6M", "P90D")],
    *[{"age_statement_required": required} for required in (True, True, False, False)],
    {"retention": None},
    {"service": "chat"},
    {"automated": False},
    {"started_on": date(2014, 5, 1)},
]
TEXTS = ("aa" * 32, "bb" * 32)
"""Hashes of two texts that people may have been shown."""
STRUCK: list[dict[str, Any]] = [
    {"version": 1},
    {"version": 1},
    {"version": 2},
    {"version": 3},
    *[{"text": text} for text in TEXTS],
]
FIRST = [
    {
        "recipients": frozenset(map(Recipient, some)),
        "retention": kept,
        "age_statement_required": required,
        "automated": automated,
        "conditional": dependent,
    }
    for some, kept, required, automated, dependent in product(
        ("", "A"), (None, Retention.parse("P30D")), [False] * 6 + [True], [True] * 9 + [False], [None] * 5 + [True]
    )
]


@st.composite
def versions(draw, at):
    """One to three versions in ascending number and time: each is the one before it but for a thing or two."""
    starts = draw(
        st.lists(DISTANCES.flatmap(lambda far: st.sampled_from([at - far, at + far])), max_size=2).map(sorted)
    )
    first = ProcessingVersion(
        number=1,
        effective_from=draw(st.sampled_from([None] * 6 + [at - timedelta(days=500), at, at + TICK])),
        provider_kind=draw(st.sampled_from(ProviderKind)),
        elements=draw(ELEMENTS),
        party_mode=draw(st.sampled_from([PartyMode.USER_ONLY] * 3 + list(PartyMode))),
        started_on=draw(st.sampled_from([date(2014, 5, 1), date(2017, 3, 30), date(2017, 3, 31)])),
        consent_validity=draw(PERIODS),
        material=draw(st.booleans()),
        service="mail",
        **draw(st.sampled_from(FIRST)),
    )
    made = [first]
    for start in starts:
        if first.effective_from is None or start >= first.effective_from:
            changes = {"material": False, **draw(st.sampled_from(CHANGES)), **draw(st.sampled_from(CHANGES))}
            made.append(replace(made[-1], number=len(made) + 1, effective_from=start, **changes))
    return tuple(made)


@st.composite
def invalidations(draw, at):
    """What was invalidated, or will be: mostly nothing."""
    number = draw(st.sampled_from([0, 0, 0, 1, 1, 2]))
    times = sorted(draw(DISTANCES) * draw(st.sampled_from([-1, -1, 1])) for _ in range(number))
    return tuple(Invalidation(at + far, **draw(st.sampled_from(STRUCK))) for far in times)


@st.composite
def processings(draw, at):
    """A register entry, mostly of IV and mostly active."""
    changes = draw(st.sampled_from([0, 0, 0, 1, 2]))
    times = sorted(draw(DISTANCES) * draw(st.sampled_from([-1, 1])) for _ in range(changes))
    return Processing(
        ADS,
        draw(st.sampled_from(IV * 3 + tuple(Purpose))),
        draw(versions(at)),
        tuple(StatusChange(at + far, draw(st.sampled_from(Status))) for far in times),
        draw(invalidations(at)),
    )


def running(register, at, purpose):
    """The same entry, made to run ever since for that purpose, its first version valid; what is scheduled stays."""
    first, *later = (replace(each, automated=True) for each in register.versions)
    due = tuple(each for each in register.status_changes if each.at > at)
    ahead = tuple(each for each in register.invalidations if each.at > at or each.version != 1)
    versions = (replace(first, effective_from=None), *later)
    return replace(register, purpose=purpose, versions=versions, status_changes=due, invalidations=ahead)
