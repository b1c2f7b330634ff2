"""The benchmark's own arithmetic, on numbers whose answers are known."""

import pytest

from bench.figures import Spread, percentile, ratios
from bench.generator import due_times, is_complete
from bench.results import bounded, compared, left_out, table


def test_a_spread_is_least_middle_and_greatest():
    """The middle of an even number of values lies between the two in the middle."""
    assert Spread.of([4, 1, 3, 2]) == Spread(1, 2.5, 4)


def test_ratios_pair_rounds():
    """A round is compared with the one beside it, not with the average of all."""
    assert ratios([10, 30], [20, 20]) == [0.5, 1.5]


@pytest.mark.parametrize(("ours", "theirs"), [([1], [1, 2]), ([1, 2], [1, 0])])
def test_rounds_that_do_not_pair_up_have_no_ratio(ours, theirs):
    """A missing round, or one that answered nothing, is an error and no number."""
    with pytest.raises(ValueError, match="round"):
        ratios(ours, theirs)


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50), (0.99, 99), (1, 100), (0.001, 1)])
def test_percentiles_are_nearest_ranks(share, expected):
    """The percentile of 1 to 100 is that rank itself, in whatever order they come."""
    assert percentile(list(range(100, 0, -1)), share) == expected


def test_a_percentile_of_nothing_is_an_error():
    """Without numbers there is no percentile."""
    with pytest.raises(ValueError, match="numbers"):
        percentile([], 0.5)


def test_an_open_loop_is_due_at_constant_intervals_whatever_was_sent():
    """After a stall every request that was due meanwhile is, at the instant it was due."""
    assert due_times(10, 100.0, 0, 100.0) == [100.0]
    assert due_times(10, 100.0, 1, 100.35) == [100.1, 100.2, 100.3]
    assert due_times(10, 100.0, 4, 100.35) == []
    assert due_times(10, 100.0, 0, 99.9) == []


def test_an_answer_is_complete_when_its_body_is():
    """Head and body may come apart; a closed connection is an error."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
    assert [is_complete(each) for each in (head, head + b"\r\n", head + b"\r\n{", head + b"\r\n{}")] == [
        False,
        False,
        False,
        True,
    ]
    with pytest.raises(ConnectionError):
        is_complete(b"")


def test_a_row_is_met_by_its_median():
    """The median decides whether a budget is met; the extremes are shown beside it."""
    row = compared("x", [60, 80, 90], [100, 100, 100], 0.7, other="y")
    assert (row.met, row.figure, row.budget) == (True, "0.80 × (0.60–0.90)", "≥ 0.7 ×")
    assert bounded("x", Spread(1, 5, 9), 3, "ms").met is False


def test_what_was_not_measured_is_said():
    """A row without a measurement says so and why, and is neither met nor missed."""
    rows = table([left_out("Cerbos", "npm is missing")])
    assert "not measured" in rows
    assert "npm is missing" in rows
    assert "met " not in rows.replace("not measured", "")
