import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.core.consent import DECISIONS, NOTES, EventKind, parse_kind
from app.core.errors import UnknownEventKindError
from tests.core.builders import event


@pytest.mark.parametrize("kind", EventKind)
def test_a_known_kind_is_read(kind):
    """Each of the kinds is read from its word."""
    assert parse_kind(kind.value) is kind


@pytest.mark.parametrize("word", ["Granted", "granted ", "GRANTED", "grant", "", "revoked", "true"])
def test_a_word_close_to_a_kind_is_an_error(word):
    """A word that only resembles a kind is an error."""
    with pytest.raises(UnknownEventKindError):
        parse_kind(word)


@given(st.text())
def test_an_unknown_kind_is_an_error_and_never_a_grant(word):
    """Any text but the kinds' words is refused."""
    assume(word not in set(EventKind))
    with pytest.raises(UnknownEventKindError):
        parse_kind(word)


def test_three_kinds_decide():
    """Grants, refusals and withdrawals are the decisions, and no other kind is."""
    assert {"granted", "refused", "withdrawn"} == DECISIONS


@pytest.mark.parametrize(
    ("kind", "processing", "is_derived"),
    [
        (EventKind.EXPIRED, "ads", True),
        (EventKind.SUPERSEDED, "ads", True),
        (EventKind.CLOSED, "ads", True),
        (EventKind.CLOSED, None, False),
        (EventKind.RENEWAL_DECLINED, "ads", False),
        (EventKind.WITHDRAWN, "ads", False),
    ],
)
def test_what_the_sweep_records_is_no_act(kind, processing, is_derived):
    """The sweep derives an expiry, a supersession, and the closure of one processing; people do all else."""
    assert event(kind, "2026-01-01", processing=processing).is_derived is is_derived


def test_each_kind_is_a_decision_a_note_or_one_of_three_others():
    """Each kind is exactly one of these: a decision, a note, a closure, an erasure, a statement of age."""
    lists = [*DECISIONS, *NOTES, EventKind.CLOSED, EventKind.ERASED, EventKind.AGE_STATED]
    assert sorted(lists) == sorted(EventKind)
