"""Decisions that are remembered: fewer of those that name many other parties."""

from app.core.article import Channel
from app.core.decision import Decision, Participant, Reason
from app.operations.prepared import Prepared, PreparedDecisions, Shape
from app.snapshot.records import RegisterRecord

SHAPE = Shape("ads", None, automated=True, channel=Channel.ONLINE, private=True, territory="FR")
REGISTER = RegisterRecord(None, None)


def test_decisions_with_many_parties_are_remembered_in_smaller_numbers():
    """Of 1,100 with five other parties the first is forgotten; control: of as many with four, none is."""
    deny = Decision(permitted=False, reason=Reason.OTHER_PARTY, article=None, law_version=None, rule="18")
    held = PreparedDecisions()
    keys = {
        number: [
            (SHAPE, subject.to_bytes(32), tuple(Participant(bytes([each]), local=True) for each in range(number)))
            for subject in range(1_100)
        ]
        for number in (4, 5)
    }
    for number in (5, 4):
        for key in keys[number]:
            held.keep(key, Prepared(REGISTER, (), 1.0, deny))
    assert held.get(keys[5][0], REGISTER, (), 0.0) is None
    assert held.get(keys[5][-1], REGISTER, (), 0.0) is not None
    assert all(held.get(key, REGISTER, (), 0.0) is not None for key in keys[4])
