"""Packed events: what a replica holds is what was read, to the microsecond."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from app.core.consent import Collection, ConsentEvent, EventKind, GivenBy
from app.ledger.store import Person
from app.snapshot.records import pack, subject_record, unpack
from tests.core.properties.strategies import ANY_INSTANT, ledgers

GRANT = ConsentEvent(UUID(int=2**127 + 1), EventKind.GRANTED, "ads", datetime(2026, 3, 10, 9, tzinfo=UTC), 2**40, 3)
REF = bytes(32)


@given(ANY_INSTANT.flatmap(ledgers))
def test_events_are_unpacked_as_they_were_packed(ledger):
    """Packing and unpacking changes nothing of any event, and keeps their order."""
    for events in ledger.values():
        assert unpack(pack(events)) == tuple(events)


@given(ANY_INSTANT, st.integers(-1, 1))
def test_an_instant_keeps_its_microseconds(at, ticks):
    """Times of any precision come back equal, and none is rounded to another."""
    event = replace(GRANT, collected_at=at, expires_at=at + timedelta(microseconds=ticks))
    (unpacked,) = unpack(pack([event]))
    assert (unpacked.collected_at, unpacked.expires_at) == (event.collected_at, event.expires_at)


def test_a_time_of_another_zone_is_the_same_instant():
    """What the database tells in the time of Paris is held as the instant that it is."""
    paris = GRANT.collected_at.astimezone(ZoneInfo("Europe/Paris"))
    assert unpack(pack([replace(GRANT, collected_at=paris)])) == (GRANT,)


def test_events_that_differ_are_packed_differently():
    """Control: a change of any one member shows in what is packed."""
    others = [
        replace(GRANT, id=UUID(int=1)),
        replace(GRANT, kind=EventKind.REFUSED),
        replace(GRANT, processing=None),
        replace(GRANT, collected_at=GRANT.collected_at + timedelta(microseconds=1)),
        replace(GRANT, order=1),
        replace(GRANT, version=None),
        replace(GRANT, elements=frozenset()),
        replace(GRANT, collection=Collection(given_by=GivenBy.PARENT)),
        replace(GRANT, expires_at=GRANT.collected_at),
        replace(GRANT, territory="GP"),
    ]
    assert len({pack([each]) for each in [GRANT, *others]}) == 1 + len(others)


def test_records_of_equal_events_are_not_equal():
    """A record is equal to itself only: what was decided on one that a change has replaced is not used again."""
    assert subject_record(Person(REF, [GRANT])) != subject_record(Person(REF, [GRANT]))
    assert subject_record(Person(REF, [GRANT])).events() == (GRANT,)
    assert subject_record(None).events() == ()
