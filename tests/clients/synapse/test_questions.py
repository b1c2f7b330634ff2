"""The batch that the module sends, and what it makes of the answer."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sceau_synapse.answers import Answer, Unusable, Verdict, combine, read_answers
from sceau_synapse.configuration import Configuration, Gate
from sceau_synapse.message import Element, Message, Parties
from sceau_synapse.questions import batch, handle

NOW = datetime(2026, 11, 25, tzinfo=UTC)
SECRET = b"s" * 32
GATES = (
    Gate("ads-chat", frozenset({Element.CONTENT}), print),
    Gate("stats-chat", frozenset({Element.CORRESPONDENT_IDENTITY, Element.CONTENT}), print),
)
CONFIGURATION = Configuration("https://sceau.example.fr/access/v1/evaluations", "key", SECRET, GATES)
MESSAGE = Message("!room:a.example", "$event", "@eve:b.example", 1, {"body": "words"}, {}, encrypted=False)
IDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
ALICE, BOB = "@alice:a.example", "@bob:a.example"
BOTH = Parties((ALICE, BOB), remote=True)
PERMIT = {"decision": True, "context": {"id": "1", "reason": "consent_in_force", "valid_until": "2027-03-09T23:00:00Z"}}


def items(parties=BOTH, **changes):
    """The batch's items."""
    return json.loads(batch(Configuration(**{**fields(), **changes}), GATES, MESSAGE, parties))["evaluations"]


def fields():
    """The configuration's values."""
    return {name: getattr(CONFIGURATION, name) for name in Configuration.__slots__}


def test_a_question_for_each_processing_and_user_in_order():
    """The first processing for every user, then the next, so that answers can be taken apart again."""
    pairs = [(each["action"]["name"], each["subject"]["id"]) for each in items()]
    assert pairs == [("ads-chat", ALICE), ("ads-chat", BOB), ("stats-chat", ALICE), ("stats-chat", BOB)]
    assert items()[2]["action"]["properties"]["elements"] == ["content", "correspondent_identity"]


def test_other_local_users_are_named_and_remote_ones_are_not():
    """Each user's question names the others of this server, and says that there is somebody elsewhere."""
    participants = items()[0]["resource"]["properties"]["participants"]
    assert participants == [{"id": BOB, "local": True}, {"id": "elsewhere", "local": False}]
    assert items(Parties((ALICE,), remote=False))[0]["resource"]["properties"]["participants"] == []


def test_participants_can_be_left_out():
    """Where the party mode needs none, none is sent: the member is absent, which is not the same as an empty list."""
    assert "participants" not in items(participants=False)[0]["resource"]["properties"]


def test_a_batch_holds_nothing_of_the_message():
    """No words, room, event, and no remote user."""
    sent = batch(CONFIGURATION, GATES, MESSAGE, BOTH).decode()
    assert [each for each in ("words", "room", "event", "eve:", "b.example", "key") if each in sent] == []
    assert ALICE in sent


@given(st.lists(st.tuples(IDS, IDS, IDS), min_size=2, max_size=2, unique=True))
def test_handles_differ_where_the_message_or_the_user_does(made_for):
    """One handle belongs to one event and one user; ids hold no NUL, so no two triples read the same."""
    one, other = made_for
    assert handle(SECRET, *one) != handle(SECRET, *other)


def test_a_handle_is_128_bits_that_another_secret_makes_otherwise():
    """It is hexadecimal, can be made again, and only with the secret."""
    made = handle(SECRET, "!r", "$e", ALICE)
    assert made == handle(SECRET, "!r", "$e", ALICE)
    assert made != handle(b"t" * 32, "!r", "$e", ALICE)
    assert len(bytes.fromhex(made)) == 16


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b"{}"),
        (204, b""),
        (401, b'{"evaluations":[]}'),
        (200, b""),
        (200, b"<html>"),
        (200, b"[" * 100_000),
        (200, b"[]"),
        (200, b'{"decision":true}'),
        (200, b'{"evaluations":[]}'),
        (200, b'{"evaluations":{"0":{"decision":true}}}'),
        (200, json.dumps({"evaluations": [PERMIT] * 3}).encode()),
    ],
)
def test_what_does_not_answer_the_question_is_unusable(status, body):
    """Another status, something else than JSON, or another number of decisions; the error quotes nothing."""
    with pytest.raises(Unusable) as raised:
        read_answers(status, body, 2)
    assert "html" not in str(raised.value)


@pytest.mark.parametrize(
    "decision",
    [
        {"decision": False},
        {"decision": 1, "context": PERMIT["context"]},
        {"decision": "true", "context": PERMIT["context"]},
        {"context": PERMIT["context"]},
        {"decision": True},
        {"decision": True, "context": {"reason": "consent_in_force"}},
        {"decision": True, "context": {"reason": "consent_in_force", "valid_until": "soon"}},
        {"decision": True, "context": {"reason": "consent_in_force", "valid_until": "2027-03-09T23:00:00"}},
        {"decision": True, "context": {"reason": "exempt", "valid_until": None}},
        {"decision": True, "context": {"reason": ["exempt"]}},
        {"decision": False, "context": {"error": {"status": 400, "message": "no"}}},
        None,
        [],
    ],
)
def test_only_a_clear_permit_is_one(decision):
    """A permit that should say until when and does not is none."""
    (answer,) = read_answers(200, json.dumps({"evaluations": [decision]}).encode(), 1)
    assert not answer.permitted


@pytest.mark.parametrize("reason", ["exempt", "not_governed"])
def test_a_permit_is_read_with_its_end_and_its_id(reason):
    """The control of the cases above; one that rests on no consent has no end."""
    exempt = {"decision": True, "context": {"id": "2", "reason": reason}}
    one, other = read_answers(200, json.dumps({"evaluations": [PERMIT, exempt]}).encode(), 2)
    assert one == Answer(permitted=True, decision="1", valid_until=datetime(2027, 3, 9, 23, tzinfo=UTC))
    assert other == Answer(permitted=True, decision="2")


def test_nobody_asked_means_nobody_permitted():
    """An empty list of members is a deny."""
    assert not combine([]).permitted


@given(st.lists(st.booleans(), min_size=1))
def test_deny_overrides(permitted):
    """A message may be analysed exactly when every answer is a permit."""
    assert combine([Answer(permitted=each) for each in permitted]).permitted is all(permitted)


@given(st.lists(st.integers(0, 1_000), min_size=1))
def test_the_earliest_end_counts(seconds):
    """The permit of several users ends with the first of theirs; from that instant on it is none."""
    ends = [NOW + timedelta(seconds=each) for each in seconds]
    verdict = combine([Answer(permitted=True, valid_until=each) for each in ends])
    assert verdict.holds(min(ends) - timedelta(microseconds=1))
    assert not verdict.holds(min(ends))


def test_a_deny_does_not_hold():
    """Whatever the time."""
    assert not Verdict(permitted=False).holds(NOW)
    assert Verdict(permitted=True).holds(NOW)
