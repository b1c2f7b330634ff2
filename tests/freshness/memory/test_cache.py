"""The record cache: bounded, single flight, and nothing kept that a change has overtaken."""

from weakref import WeakSet

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.snapshot.leases import RecordCache

steps = st.lists(st.tuples(st.sampled_from(["put", "get", "drop"]), st.integers(0, 9)), max_size=60)


@given(steps, st.integers(2, 8))
def test_it_holds_what_was_put_last_or_nothing(taken, capacity):
    """It never holds more than its capacity, nor anything but what was put last and not dropped since."""
    cache: RecordCache[int, int] = RecordCache(capacity)
    model: dict[int, int] = {}
    for number, (step, key) in enumerate(taken):
        if step == "put":
            cache.put(key, number)
            model[key] = number
        elif step == "drop":
            cache.drop(key)
            model.pop(key, None)
        assert cache.get(key) in {model.get(key), None}
        assert len(cache) <= capacity


def test_what_is_used_stays():
    """A record that is looked up between others outlives them."""
    cache: RecordCache[object, int] = RecordCache(10)
    cache.put("used", 1)
    for number in range(100):
        cache.put(number, number)
        assert cache.get("used") == 1


class Alive:
    """A record whose end is seen."""


def test_what_is_forgotten_is_freed():
    """However many records come, no more are alive than the cache may hold; none that was dropped is."""
    cache: RecordCache[int, Alive] = RecordCache(10)
    alive: WeakSet[Alive] = WeakSet()
    most = 0
    for number in range(1_000):
        alive.add(record := Alive())
        cache.put(number, record)
        del record
        most = max(most, len(alive))
    assert most == 10
    for number in range(1_000):
        cache.drop(number)
    assert len(alive) == 0


@pytest.fixture
async def cache() -> RecordCache[str, str]:
    """A cache with room for ten."""
    return RecordCache(10)


@pytest.fixture
async def flight(cache):
    """A flight of that cache under way."""
    return cache.lead(["key"])["key"]


def test_records_that_match_are_dropped():
    """Dropping by a property of the records leaves all others where they are, young or old."""
    cache: RecordCache[int, int] = RecordCache(8)
    for number in range(6):
        cache.put(number, number)
    cache.drop_where(lambda value: value % 2 == 0)
    assert [cache.get(number) for number in range(6)] == [None, 1, None, 3, None, 5]


@pytest.mark.parametrize(
    "change",
    [lambda cache: cache.drop("key"), lambda cache: cache.drop_where(lambda _: False), lambda cache: cache.drop_all()],
)
async def test_a_change_overtakes_a_flight(cache, flight, change):
    """What lands after a change is given to those who waited, and is neither kept nor joined by others."""
    change(cache)
    assert cache.flight("key") is None
    cache.land("key", flight, "old")
    assert cache.get("key") is None
    assert await flight.result == "old"


async def test_a_stale_flight_leaves_the_next_one_alone(cache, flight):
    """The landing of a flight that was overtaken does not end the one that was led after it."""
    cache.drop("key")
    second = cache.lead(["key"])["key"]
    cache.land("key", flight, "old")
    assert cache.flight("key") is second
    cache.land("key", second, "new")
    assert cache.get("key") == "new"
    cache.fail("key", flight, ValueError())


async def test_a_failure_is_everybody_s_and_is_not_kept(cache, flight):
    """Those who joined get the error; the next may try again."""
    cache.fail("key", flight, ValueError("no"))
    assert cache.flight("key") is None
    with pytest.raises(ValueError, match="no"):
        await flight.result
