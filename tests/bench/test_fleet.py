"""The simulation of many workers: what it says grows with them, and a stream takes it from the primary."""

from random import Random

from bench.fleet import Fleet, course_of


def test_the_primary_is_kept_busy_by_workers_and_by_their_commits():
    """In proportion to both, as docs/sizing.md has it: N times (C + 4) statements of 0.13 ms on two cores."""
    for workers, commits in ((10, 5.0), (100, 5.0), (100, 20.0)):
        course = course_of(Fleet(workers, commits, stream=False), Random(2))
        assert abs(course.used / (workers * (commits + 4) * 0.00013 / 2) - 1) < 0.2


def test_a_stream_takes_it_from_the_primary():
    """The share of the primary does not grow with workers; who waits for all of them still waits for the slowest."""
    few, many = (course_of(Fleet(workers, 5.0, stream=True), Random(2)) for workers in (2, 500))
    assert few.used == many.used < 0.01
    assert few.middle < many.middle < many.last_of_hundred


def test_a_primary_that_is_asked_for_too_much_falls_behind():
    """Control: 500 workers and fifty commits a second are more than two cores can do, and waits grow without end."""
    assert course_of(Fleet(500, 50.0, stream=False), Random(2)).middle > 1.0
