"""What a decision takes in the log once its hour is merged: bytes, for three kinds of hours, and what one person costs.

The decisions are made up by a seeded chance; what makes segments of them is the service's own.
"""

import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from app.audit.segments import NOBODY, Collector, LogFacts, Shape, directory_of, microseconds_of, one_of_each
from app.db.session import numbered_id
from bench.figures import Spread
from bench.results import Row, bounded
from bench.world import World

_ROWS: Final = 1_000_000
_HOUR: Final = microseconds_of(datetime(2026, 11, 24, 12, tzinfo=UTC))
_MICROSECONDS: Final = 3_600_000_000
_WORKERS: Final = 4
_MOST_BYTES: Final = 60
_PERMIT: Final = (True, "consent_in_force", "19", "2025-07-02")
_DENIED: Final = (False, "no_consent", "11", "2025-07-02")
_EXEMPT: Final = (True, "exempt", "5", "2025-07-02")
_Drawn = Iterator[tuple[bytes, LogFacts]]


def measure(_: World) -> list[Row]:
    """A million decisions of each kind of hour."""
    chance = random.Random(7)
    kinds = {
        "200,000 people, five questions each, 3 of 10 with a consent": _mail(chance),
        "a million people, each asked about once, with a consent": _each_once(chance),
        "exempt purposes": _exempt(),
    }
    return [_measured(name, drawn, chance) for name, drawn in kinds.items()]


def _measured(name: str, drawn: _Drawn, chance: random.Random) -> Row:
    collector, caller = Collector(), 0
    workers = [chance.getrandbits(34) for _ in range(_WORKERS)]
    times = sorted(chance.randrange(_MICROSECONDS) for _ in range(_ROWS))
    chance.shuffle(order := list(range(_ROWS)))
    for (ref, facts), place in zip(drawn, order, strict=True):
        at = _HOUR + times[place]
        numbered = UUID(numbered_id(0, workers[place % _WORKERS], place // _WORKERS).decode())
        identifier = (at // 1_000).to_bytes(6) + numbered.bytes[6:]
        about = NOBODY if ref == NOBODY else chance.randbytes(16)
        collector.add(at, identifier, ref, about, collector.case(caller, facts))
    began = time.monotonic()
    segment = collector.sealed(UUID(int=1))
    took = time.monotonic() - began
    size = len(segment.directory) + len(segment.data)
    directory = directory_of(segment.directory)
    _, one = directory.span(directory.blocks[len(directory.blocks) // 2].first)
    read = sum(block.size for block in one) + len(segment.directory)
    return bounded(
        f"log, bytes a decision: {name}",
        Spread.of([size / segment.rows]),
        _MOST_BYTES,
        "bytes",
        detail=f"{segment.rows:,} decisions, {size / 2**20:.1f} MiB, made in {took:.1f} s; one person: {read:,} bytes",
    )


def _facts(answer: tuple[bool, str, str, str], consent: UUID | None, known: int, chance: random.Random) -> LogFacts:
    permitted, reason, rule, law_version = answer
    shape = Shape(
        processing=chance.choice(("ads-mail", "statistics", "smart-reply")),
        elements=None,
        channel="online",
        territory="FR",
        permitted=permitted,
        reason=reason,
        rule=rule,
        law_version=law_version,
        automated=True,
        private=True,
        version=2,
        versions=2,
        changes=1,
        party_mode="user_only",
        policy="P1Y/start_of_day",
        rules="0123456789abcdef",
        build="0.1.0",
    )
    until = None if consent is None else datetime(2027, chance.randint(1, 11), chance.randint(1, 28), tzinfo=UTC)
    return LogFacts(one_of_each(shape), consent, until, known, None, None)


def _mail(chance: random.Random) -> _Drawn:
    for _ in range(200_000):
        lot = chance.random()
        ref = NOBODY if lot < 0.2 else chance.randbytes(16)  # noqa: PLR2004 - two of ten
        consent = UUID(bytes=chance.randbytes(16)) if lot >= 0.7 else None  # noqa: PLR2004 - three of ten
        facts = _facts(_DENIED if consent is None else _PERMIT, consent, chance.randint(0, 3), chance)
        for _ in range(5):
            yield ref, facts


def _each_once(chance: random.Random) -> _Drawn:
    for _ in range(_ROWS):
        yield chance.randbytes(16), _facts(_PERMIT, UUID(bytes=chance.randbytes(16)), chance.randint(1, 3), chance)


def _exempt() -> _Drawn:
    chance = random.Random(1)
    facts = [_facts(_EXEMPT, None, 0, chance) for _ in range(3)]
    for place in range(_ROWS):
        yield NOBODY, facts[place % 3]
