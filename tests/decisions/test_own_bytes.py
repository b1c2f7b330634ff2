"""A request is judged by its own bytes and its own key, and not by what any caller sent before it."""

import json

import pytest

from tests.support.api import question


def ordered(question, *names):
    """A question with its top-level members in this order."""
    return json.dumps({name: question[name] for name in names}).encode()


SUBJECT_FIRST = ("subject", "action", "resource")
RESOURCE_FIRST = ("resource", "action", "subject")


def exchanged(who, handle):
    """A question with subject and resource of one form: only their names tell the two ids apart."""
    return {**question(who, "ads-mail"), "resource": {"type": "user", "id": handle}}


def warmed(api):
    """An application where alice consented and mallory never did, and whose memory has answered both."""
    api.agreed("ads-mail", "alice")
    for who in ("alice", "mallory"):
        api.evaluate(who, "ads-mail")
    return api


@pytest.fixture(scope="module")
def warm(shared):
    """A warmed application, which other tests ask too."""
    return warmed(shared)


@pytest.fixture
def untaught(api):
    """A warmed application that no other test asks."""
    return warmed(api)


@pytest.mark.parametrize("orders", [(SUBJECT_FIRST, RESOURCE_FIRST), (RESOURCE_FIRST, SUBJECT_FIRST)])
@pytest.mark.parametrize("key", ["nobody", None])
def test_a_stranger_cannot_teach_the_reader_to_exchange_ids(untaught, orders, key):
    """After a stranger's requests in two orders of members, no order makes a correspondence's id the subject."""
    stranger = untaught.with_key(key)
    for number in range(60):
        body = ordered(exchanged(f"someone{number % 7}", "handle"), *orders[number // 30])
        assert stranger.call("POST", "/access/v1/evaluation", body).status_code in {401, 429}
    for order in (SUBJECT_FIRST, RESOURCE_FIRST):
        for _ in range(8):
            answer = untaught.ok("POST", "/access/v1/evaluation", ordered(exchanged("mallory", "alice"), *order))
            assert (answer["decision"], answer["context"]["reason"]) == (False, "no_consent")
            answer = untaught.ok("POST", "/access/v1/evaluation", ordered(exchanged("alice", "mallory"), *order))
            assert answer["decision"] is True


def test_a_caller_cannot_teach_the_reader_to_exchange_ids(untaught):
    """The requests of a caller in force, single or batch, do not change how the next request is read."""
    for order in (SUBJECT_FIRST, RESOURCE_FIRST) * 20:
        untaught.ok("POST", "/access/v1/evaluation", ordered(exchanged("bob", "handle"), *order))
        item = ordered(exchanged("bob", "handle"), *order).decode()
        untaught.ok("POST", "/access/v1/evaluations", f'{{"evaluations":[{item},{item}]}}'.encode())
    for order in (SUBJECT_FIRST, RESOURCE_FIRST):
        body = ordered(exchanged("mallory", "alice"), *order)
        assert untaught.ok("POST", "/access/v1/evaluation", body)["decision"] is False
        batch = f'{{"evaluations":[{body.decode()},{body.decode()}]}}'.encode()
        answers = untaught.ok("POST", "/access/v1/evaluations", batch)["evaluations"]
        assert [each["decision"] for each in answers] == [False, False]


@pytest.mark.parametrize("wrong", [{"id": ""}, {"id": "x" * 513}, {"id": "a\tb"}, {"id": "bob", "local": 1}, {}])
def test_a_malformed_participant_is_400_however_warm_the_service(warm, wrong):
    """A malformed participant is refused, alone and in a batch, even if the processing asks no other party."""

    def asked(participant):
        return question("alice", "ads-mail", participants=[participant])

    good, bad = {"id": "bob", "local": True}, {"id": "bob", "local": True, **wrong} if wrong else wrong
    for _ in range(12):
        assert warm.call("POST", "/access/v1/evaluation", asked(good)).status_code == 200
        assert warm.call("POST", "/access/v1/evaluation", asked(bad)).status_code == 400
        answers = warm.ok("POST", "/access/v1/evaluations", {"evaluations": [asked(good), asked(bad)]})["evaluations"]
        assert answers[0]["decision"] is True
        assert answers[1]["context"]["error"]["status"] == 400
