"""What may be answered about a user, a processing and a key, by the specification of failover tests."""

import pytest

from tests.linearizability.consent import (
    LEASE,
    NOTHING,
    Answer,
    Asked,
    Granted,
    MaterialVersion,
    Narrowed,
    Resumed,
    Revoked,
    Suspended,
)
from tests.linearizability.search import Call, linearize

GRANTED = Granted(1, 0, 1)
BEGUN = Call(GRANTED, 0, 1)


def asked(answer, start):
    """A question with a key that is not revoked, answered in no time."""
    return Call(Asked(answer, start), start, start + 0.1)


def _answers(*acts):
    """What may be answered after acts that came one by one, a lease later, with the key that may be revoked."""
    calls = [Call(act, 2 * place, 2 * place + 1) for place, act in enumerate(acts)]
    late = 2 * len(calls) + LEASE
    answers = {each: Call(Asked(each, late, revocable=True), late, late + 1) for each in Answer}
    return [each for each, call in answers.items() if linearize(NOTHING, [*calls, call]).linearizable]


@pytest.mark.parametrize(
    ("acts", "expected"),
    [
        ([], Answer.DENY),
        ([GRANTED], Answer.PERMIT),
        ([GRANTED, Narrowed(2, 3)], Answer.DENY),
        ([GRANTED, Narrowed(2, 3), Granted(1, 4, 5)], Answer.PERMIT),
        ([Narrowed(0, 1), Granted(1, -1, 3)], Answer.DENY),
        ([GRANTED, Suspended()], Answer.DENY),
        ([GRANTED, Suspended(), Resumed(5)], Answer.PERMIT),
        ([GRANTED, MaterialVersion(2)], Answer.DENY),
        ([GRANTED, MaterialVersion(2), Granted(2, 4, 5)], Answer.PERMIT),
        ([GRANTED, Revoked()], Answer.NOT_IN_FORCE),
    ],
)
def test_after_answered_writes_one_answer_is_right(acts, expected):
    """Whatever came before, one by one, leaves one answer, and the checker takes no other."""
    assert _answers(*acts) == [expected]


def test_a_lost_withdrawal_is_found():
    """A permit after an answered withdrawal has no order, also when another withdrawal was lost on the way."""
    calls = [BEGUN, Call(Narrowed(2, 3), 2, 3), Call(Narrowed(4), 4, None), asked(Answer.PERMIT, 5)]
    assert not linearize(NOTHING, calls).linearizable


def test_a_lost_grant_is_found():
    """A denial more than a lease after an answered grant has no order."""
    assert not linearize(NOTHING, [BEGUN, asked(Answer.DENY, 1.1 + LEASE)]).linearizable


def test_a_grant_may_be_seen_late():
    """Within a lease of an answered grant one worker permits and another one denies."""
    history = [asked(Answer.DENY, 1.1), asked(Answer.PERMIT, 1.3), asked(Answer.DENY, 1.5)]
    assert linearize(NOTHING, [BEGUN, *history]).linearizable


def test_a_withdrawal_is_never_seen_late():
    """However soon after an answered withdrawal, a permit has no order, though a grant was answered just before."""
    assert not linearize(NOTHING, [BEGUN, Call(Narrowed(1.1, 1.2), 1.1, 1.2), asked(Answer.PERMIT, 1.3)]).linearizable


def test_a_withdrawal_of_unknown_outcome_excuses_both_answers():
    """As long as nobody was told, the permit may go on or end, and does not come back."""
    begun = [BEGUN, Call(Narrowed(5), 5, None)]
    assert linearize(NOTHING, [*begun, asked(Answer.PERMIT, 6), asked(Answer.DENY, 8)]).linearizable
    assert not linearize(NOTHING, [*begun, asked(Answer.DENY, 6), asked(Answer.PERMIT, 8)]).linearizable


def test_a_grant_beside_a_withdrawal_of_unknown_outcome_may_fall():
    """A grant sent while a withdrawal is under way may count as the earlier one, whichever is recorded first."""
    begun = [Call(Narrowed(0), 0, None), Call(Granted(1, 2, 3), 2, 3)]
    for answer in (Answer.PERMIT, Answer.DENY):
        assert linearize(NOTHING, [*begun, asked(answer, 9)]).linearizable


def test_another_key_is_not_revoked():
    """The revocation of one key leaves what another one is told."""
    calls = [BEGUN, Call(Revoked(), 2, 3), asked(Answer.PERMIT, 4)]
    assert linearize(NOTHING, calls).linearizable
