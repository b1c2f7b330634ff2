"""An acknowledgement made soon after another person rotated its author's key is marked."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from app.core.staff import KeyMade, rotated_by_other

NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)
ADA, BOB = UUID(int=1), UUID(int=2)
FIRST = KeyMade(NOON - timedelta(days=100), BOB)


@pytest.mark.parametrize("by", [BOB, None])
@pytest.mark.parametrize(
    ("after", "marked"),
    [
        (timedelta(0), True),
        (timedelta(days=7) - timedelta(microseconds=1), True),
        (timedelta(days=7), False),
        (-timedelta(microseconds=1), False),
    ],
)
def test_a_week_counts_from_a_rotation_by_another(by, after, marked):
    """Acknowledgements are marked for seven times 24 hours after a rotation by another caller or by a command."""
    assert rotated_by_other(ADA, [FIRST, KeyMade(NOON, by)], NOON + after) is marked


def test_one_s_own_rotation_marks_nothing():
    """A person's rotation of their own key marks no acknowledgement."""
    assert not rotated_by_other(ADA, [FIRST, KeyMade(NOON, ADA)], NOON)


def test_the_first_key_is_no_rotation():
    """A first key that another made, or no key at all, marks no acknowledgement."""
    assert not rotated_by_other(ADA, [KeyMade(NOON, BOB)], NOON)
    assert not rotated_by_other(ADA, [], NOON)


def test_an_own_rotation_does_not_undo_another_s():
    """A person's own later rotation does not undo the mark of a rotation by another."""
    assert rotated_by_other(ADA, [FIRST, KeyMade(NOON, BOB), KeyMade(NOON, ADA)], NOON)
