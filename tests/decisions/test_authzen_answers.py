import pytest

from tests.faults.service import eventually
from tests.support.api import question

ONE, MANY = "/access/v1/evaluation", "/access/v1/evaluations"


@pytest.fixture(scope="module")
def pdp(shared):
    """An application with one processing of IV, to which alice consented, and one of III."""
    shared.register("ads")
    shared.register("spam", purpose="unsolicited_content_detection")
    shared.decide("alice", "ads")
    return shared


def test_each_decision_has_an_id_of_its_own(pdp):
    """The same question asked twice gets two decision ids."""
    first, second = (pdp.evaluate("alice", "ads")["context"]["id"] for _ in range(2))
    assert first != second


def test_nothing_but_the_required_members_is_needed(pdp):
    """`properties` and `context` may all be left out."""
    body = {
        "subject": {"type": "user", "id": "alice"},
        "action": {"name": "ads"},
        "resource": {"type": "mail", "id": "1"},
    }
    assert pdp.ok("POST", ONE, body)["decision"] is True


@pytest.mark.parametrize(("name", "word"), [("alice", "permit"), ("bob", "deny")])
def test_a_word_is_answered_from_memory_too(pdp, name, word):
    """A plain answer and the next JSON answer on one connection do not disturb each other."""
    memory, body = pdp.client.app.state.services.memory, question(name, "ads")

    def remembered(headers):
        before = memory.hits
        answer = pdp.call("POST", ONE, body, headers)
        return answer if memory.hits > before else None

    assert eventually(lambda: remembered({"Accept": "text/plain"})).text == word
    assert remembered({"Accept": "text/plain"}).headers["content-type"] == "text/plain; charset=utf-8"
    assert remembered({}).json()["decision"] is (word == "permit")
    assert pdp.ok("POST", MANY, {"evaluations": [body]}, {"Accept": "text/plain"})["evaluations"]


def test_a_refusal_to_answer_is_never_a_word(pdp):
    """An error is a problem document for a client that asked for a word: it cannot be taken for an answer."""
    answer = pdp.call("POST", ONE, b"{}", {"Accept": "text/plain"})
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", ONE, None, 405),
        ("GET", "/nowhere", None, 404),
        ("POST", "/v1/consents", {}, 422),
        ("GET", "/livez", None, 200),
    ],
)
def test_the_request_id_is_echoed(pdp, method, path, body, status):
    """X-Request-ID comes back as it was sent, of 128 characters at most, on errors too."""
    sent = "3f9c-1e0b ~!".ljust(128, "x")
    answer = pdp.call(method, path, body, {"X-Request-ID": sent})
    assert (answer.status_code, answer.headers["x-request-id"]) == (status, sent)


def test_the_request_id_is_echoed_without_a_key_and_past_the_limit(pdp):
    """X-Request-ID comes back with a 401 and with a 413."""
    sent = {"X-Request-ID": "abc"}
    assert pdp.with_key(None).call("POST", ONE, {}, sent).headers["x-request-id"] == "abc"
    assert pdp.call("POST", ONE, b"x" * 1_100_000, sent).headers["x-request-id"] == "abc"


def test_the_connection_is_said_to_be_kept(pdp):
    """An answer says keep-alive, which some mail servers need to reuse a connection, unless the client closes it."""
    assert pdp.call("POST", ONE, question("alice", "ads")).headers["connection"] == "keep-alive"
    closing = pdp.call("POST", ONE, question("alice", "ads"), {"Connection": "close"})
    assert closing.headers.get("connection") != "keep-alive"


@pytest.mark.parametrize("sent", ["x" * 129, "a\tb", b"caf\xe9", b"\xc3\xa9", ""])
def test_an_unfit_request_id_is_replaced(pdp, sent):
    """A request id that is too long, empty or not printable ASCII is replaced by a new one."""
    answer = pdp.call("POST", ONE, question("alice", "ads"), {"X-Request-ID": sent})
    answered = answer.headers["x-request-id"]
    assert answered.isalnum()
    assert 0 < len(answered) <= 128
