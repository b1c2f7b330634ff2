"""Questions, decisions and handles as values: what is true, what raises, and what is never printed."""

import stat
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core import article
from sceau_client import (
    Answer,
    Channel,
    Client,
    Connections,
    Decision,
    Decisions,
    Element,
    ExemptPurpose,
    HandleMaker,
    Outcome,
    Parties,
    Question,
    Subject,
    wire,
)
from sceau_client.decisions import combined
from sceau_client.register import TERRITORIES
from tests.clients.scenes import HANDLES, LETTER, about, sent

NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)
PERMIT = Decision(outcome=Outcome.PERMIT)
DENY = Decision(outcome=Outcome.DENY)
UNKNOWN = Decision(outcome=Outcome.UNKNOWN)
ANYTHING: Any = {"number": 7, "text": "content", "texts": ["everything"], "purposes": {"ads": "advertising"}}
KEY = "sceau_" + "k" * 43


# --- decisions -------------------------------------------------------------------------------------------------------


def test_only_a_permit_is_true():
    """Neither a deny nor the unknown is, in the decision or in its outcome."""
    assert [bool(each) for each in (PERMIT, DENY, UNKNOWN)] == [True, False, False]
    assert [bool(each) for each in Outcome] == [True, False, False]


@pytest.mark.parametrize(("after", "permitted"), [(-1, True), (0, False), (1, False)])
def test_a_permit_ends_at_its_instant(after, permitted):
    """From `valid_until` on there is no permit, whatever time zone says so."""
    decision = Decision(outcome=Outcome.PERMIT, valid_until=NOON)
    for zone in (UTC, timezone(timedelta(hours=2))):
        assert decision.permitted_at((NOON + timedelta(microseconds=after)).astimezone(zone)) is permitted


def test_the_truth_of_a_permit_ends_with_it():
    """A permit that was kept is false once it is over."""
    now = datetime.now(UTC)
    assert Decision(outcome=Outcome.PERMIT, valid_until=now + timedelta(days=1))
    assert not Decision(outcome=Outcome.PERMIT, valid_until=now - timedelta(seconds=1))


def test_an_instant_without_a_time_zone_is_an_error():
    """It could be two hours off, and so could the permit."""
    with pytest.raises(ValueError, match="time zone"):
        PERMIT.permitted_at(NOON.replace(tzinfo=None))


def test_several_decisions_have_no_truth():
    """`if client.evaluate_many(…):` is an error, not a permit for having been answered."""
    with pytest.raises(TypeError, match="all_permit"):
        bool(Decisions([DENY]))


def test_an_answer_that_is_not_awaited_has_no_truth():
    """`if client.evaluate(…):` without `await` is an error, not a permit."""

    async def asked():
        return PERMIT

    answer = Answer(asked())
    with pytest.raises(TypeError, match="await"):
        bool(answer)
    answer.close()


@pytest.mark.parametrize(
    ("decisions", "permit"), [([], False), ([PERMIT], True), ([PERMIT, DENY], False), ([PERMIT, UNKNOWN], False)]
)
def test_all_permit_is_false_of_nothing(decisions, permit):
    """No answer is no permit, and one that is missing spoils all."""
    assert Decisions(decisions).all_permit is permit


@given(st.lists(st.sampled_from([PERMIT, DENY, UNKNOWN])))
def test_all_together_permit_only_when_each_does(decisions):
    """Combined: a permit exactly when there is one and all are; a deny exactly when one is, or nobody was asked."""
    outcome = combined(decisions).outcome
    assert (outcome is Outcome.PERMIT) == (len(decisions) > 0 and all(decisions))
    assert (outcome is Outcome.DENY) == (DENY in decisions or not decisions)


# --- questions -------------------------------------------------------------------------------------------------------


def test_a_question_says_what_it_was_told_and_nothing_else():
    """Defaults are left to the service; a handle stands for the message."""
    assert sent(about("alice")) == {
        "subject": {"type": "user", "id": "alice"},
        "action": {"name": "ads-mail"},
        "resource": {
            "type": "correspondence",
            "id": LETTER.handle(Subject("alice")),
            "properties": {"territory": "FR"},
        },
    }


def test_a_question_says_all_that_it_was_told():
    """Elements, human access, channel, publicity, territory, parties and the wish for a token are sent."""
    letter = HANDLES.correspondence(
        b"m",
        channel=Channel.TEXT_MESSAGE,
        private=False,
        territory="WF",
        parties=Parties([Subject("@bob:here", "mxid"), Subject("@alice:here", "mxid")], outsiders=2),
    )
    elements = [Element.SUBJECT_LINE, Element.CONTENT]
    body = sent(Question(Subject("@alice:here", "mxid"), "p", letter, elements=elements, automated=False, token=True))
    assert body["context"] == {"decision_token": True}
    assert body["subject"] == {"type": "mxid", "id": "@alice:here"}
    assert body["action"]["properties"] == {"elements": ["content", "subject_line"], "automated": False}
    assert body["resource"]["properties"] == {
        "channel": "text_message",
        "private": False,
        "territory": "WF",
        "participants": [
            {"id": "@bob:here", "local": True},
            {"id": "outsider-1", "local": False},
            {"id": "outsider-2", "local": False},
        ],
    }


def test_parties_that_are_not_said_are_not_said_to_be_none():
    """Nobody else and not told are two things: only the first is an empty list."""
    assert "participants" not in sent(about("alice"))["resource"]["properties"]
    alone = HANDLES.correspondence("m", parties=Parties())
    assert sent(Question("alice", "p", alone))["resource"]["properties"]["participants"] == []


@pytest.mark.parametrize(
    ("mistake", "error"),
    [
        (lambda: Question(ANYTHING["number"], "ads", LETTER), TypeError),
        (lambda: Question("alice", "", LETTER), TypeError),
        (lambda: Question("alice", "ads", ANYTHING["text"]), TypeError),
        (lambda: Question("alice", "ads", LETTER, elements=ANYTHING["text"]), TypeError),
        (lambda: Question("alice", "ads", LETTER, elements=ANYTHING["texts"]), ValueError),
        (
            lambda: Question("@a:b", "ads", HANDLES.correspondence("m", parties=Parties([Subject("c", "t")]))),
            ValueError,
        ),
        (lambda: HANDLES.correspondence("m", territory="France"), ValueError),
        (lambda: HANDLES.correspondence("m", channel=ANYTHING["text"]), ValueError),
        (lambda: HANDLES.correspondence("m", private=ANYTHING["text"]), TypeError),
        (lambda: Parties("alice"), TypeError),
        (lambda: Parties(outsiders=-1), ValueError),
        (lambda: Client("sceau.example", KEY), ValueError),
        (lambda: Client("http://sceau.example", KEY), ValueError),
        (lambda: Client("https://u:p@sceau.example", KEY), ValueError),
        (lambda: Client("https://sceau.example/?tenant=1", KEY), ValueError),
        (lambda: Client("https://sceau.example", ""), ValueError),
        (lambda: Client("https://sceau.example", KEY + "\r\nX: y"), ValueError),
        (lambda: Client("https://sceau.example", KEY, deadline=0), ValueError),
        (lambda: Client("https://sceau.example", KEY, deadline=3_600), ValueError),
        (lambda: Client("https://sceau.example", KEY, refresh=0), ValueError),
        (lambda: Client("https://sceau.example", KEY, exempt=ANYTHING["purposes"]), TypeError),
        (lambda: Client("https://sceau.example", KEY).require_all("alice", "ads", LETTER), TypeError),
        (lambda: Client("https://sceau.example", KEY).evaluate(about("alice"), deadline=-1), ValueError),
        (lambda: HandleMaker(b"short"), ValueError),
        (lambda: HandleMaker(ANYTHING["text"]), TypeError),
    ],
)
def test_a_mistake_in_the_program_raises_and_names_no_value(mistake, error):
    """What the network does never raises; what cannot be meant does, and its message quotes nothing."""
    with pytest.raises(error) as raised:
        mistake()
    for secret in ("alice", "<1@mail.example>", "u:p", KEY):
        assert secret not in str(raised.value)


def test_http_in_clear_must_be_meant():
    """Beyond this machine http is refused unless it is said; on this machine it is not."""
    for elsewhere in ("http://sceau.internal:8080", "http://192.0.2.1", "http://127.0.0.1.example.org", "http://[::]"):
        with pytest.raises(ValueError, match="in clear"):
            Client(elsewhere, KEY)
    Client("http://sceau.internal:8080", KEY, connections=Connections(plain_http=True))
    Client("http://127.0.0.1:8080", KEY)
    Client("http://[::1]:8080", KEY)


def test_nothing_that_is_printed_names_anybody():
    """Users, parties, messages, keys and secrets are in no `repr`."""
    letter = HANDLES.correspondence("<secret-id@mail>", parties=Parties(["secret-bob"], outsiders=1))
    shown = [
        Subject("secret-alice"),
        Question("secret-alice", "ads", letter),
        letter,
        HANDLES,
        Client("https://sceau.example", "secret-key"),
        Client("https://sceau.example", "secret-key")._service,
        Decision(outcome=Outcome.PERMIT, consent="secret-consent", token="secret-token"),
        wire.Reply(200, "application/json", None, "r", b"secret-body"),
    ]
    assert "secret" not in repr(shown)
    assert "ads" in repr(shown)


def test_the_words_are_those_of_the_service():
    """The closed lists of this package are those of the core, which it does not import."""
    assert {each.value for each in Element} == {each.value for each in article.Element}
    assert {each.value for each in Channel} == {each.value for each in article.Channel}
    assert {each.value for each in ExemptPurpose} == {each.value for each in article.EXEMPT_PURPOSES}
    assert TERRITORIES == article.TERRITORIES


# --- handles ---------------------------------------------------------------------------------------------------------

TEXTS = st.text("ab\0", max_size=3)


def handle(message, user, maker=HANDLES):
    """The handle of a message for a user."""
    return maker.correspondence(message).handle(user if isinstance(user, Subject) else Subject(user))


def test_a_handle_is_128_bits_that_do_not_change():
    """Another version of this package makes the same handles, or decisions about one message come apart."""
    assert handle("<1@mail.example>", "alice") == "3216ce032848fe3e28044d65c5c69a36"


@given(TEXTS, TEXTS, TEXTS, TEXTS)
def test_handles_differ_by_message_and_by_user(message, user, other_message, other_user):
    """One message of one user has one handle; any other has another, however the texts are cut."""
    same = (message, user) == (other_message, other_user)
    assert (handle(message, user) == handle(other_message, other_user)) is same


def test_handles_differ_by_type_and_by_secret():
    """The namespace of the user counts, and so does the secret."""
    made = {
        handle("m", "alice"),
        handle("m", Subject("alice", "mxid")),
        handle("m", "alice", HandleMaker(b"\x08" * 32)),
    }
    assert len(made) == 3


def test_a_message_that_is_no_text_has_a_handle():
    """Bytes, and what SMTP brought as lone surrogates, are no reason to fail."""
    assert handle(b"\xff", "alice") != handle("\udcff", "alice")
    assert handle("é", "alice") == handle("é".encode(), "alice")


def test_the_secret_of_a_file_is_made_once(tmp_path):
    """The first to come makes it, for its owner's eyes only; everybody makes the same handles from it."""
    file = tmp_path / "handles"
    first, second = HandleMaker.from_file(file), HandleMaker.from_file(str(file))
    assert handle("m", "alice", first) == handle("m", "alice", second) != handle("m", "alice")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [*tmp_path.iterdir()] == [file]


def test_a_secret_that_another_process_made_meanwhile_stays(tmp_path):
    """Whoever was slower uses what is there."""
    from sceau_client.handles import _make_secret

    file = tmp_path / "handles"
    _make_secret(file)
    before = file.read_text()
    _make_secret(file)
    assert file.read_text() == before
