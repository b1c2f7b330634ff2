"""Whatever the service or the network does, a client answers `unknown` with its cause, in time, and raises nothing."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from sceau_client import AsyncClient, Cause, Client, Connections, Outcome, Parties, Question
from tests.clients import scenes
from tests.clients.scenes import DENY, HANDLES, LETTER, PERMIT, about, saying
from tests.faults.service import free_port

TWICE = b'{"decision": false, "decision": true}'
DEEP = b'{"decision": true, "context": ' + b"[" * 20_000 + b"]" * 20_000 + b"}"


def test_a_server_that_behaves_is_believed(asker_for, server, came):
    """The control of all tests below: the same server permits when nothing is wrong with it."""
    server.behave = scenes.permitting
    decision = asker_for(server.url).evaluate(about("alice"))
    assert decision
    assert (decision.outcome, decision.status, decision.id) == (Outcome.PERMIT, 200, "d1")
    assert came[0].headers["user-agent"].startswith("sceau-client/")
    assert came[0].headers["x-request-id"] == decision.request_id


@pytest.mark.parametrize(
    ("behave", "cause"),
    [
        (scenes.hanging_up, Cause.UNAVAILABLE),
        (scenes.half_answering, Cause.UNAVAILABLE),
        (scenes.no_http, Cause.UNAVAILABLE),
        (saying({}, 500), Cause.UNAVAILABLE),
        (saying(PERMIT, 503, retry_after="7"), Cause.UNAVAILABLE),
        (saying(PERMIT, 502, x_request_id=""), Cause.UNAVAILABLE),
        (saying({}, 400), Cause.REFUSED),
        (saying({}, 401), Cause.REFUSED),
        (saying({}, 403), Cause.REFUSED),
        (saying({}, 413), Cause.REFUSED),
        (saying({}, 429), Cause.REFUSED),
        (saying(PERMIT, 404), Cause.MALFORMED),
        (saying(PERMIT, 201), Cause.MALFORMED),
        (saying(PERMIT, x_request_id=""), Cause.MALFORMED),
        (saying(PERMIT, x_request_id="0" * 32), Cause.MALFORMED),
        (saying(b"<html>permit</html>", content_type="text/html"), Cause.MALFORMED),
        (saying(PERMIT, content_type="text/html"), Cause.MALFORMED),
        (saying(PERMIT, content_type=""), Cause.MALFORMED),
        (saying(b"\x1f\x8b\x08", content_encoding="gzip"), Cause.MALFORMED),
        (saying(b""), Cause.MALFORMED),
        (saying(b"permit"), Cause.MALFORMED),
        (saying([PERMIT]), Cause.MALFORMED),
        (saying({}), Cause.MALFORMED),
        (saying({"decision": 1}), Cause.MALFORMED),
        (saying({"decision": "true"}), Cause.MALFORMED),
        (saying({"decision": None}), Cause.MALFORMED),
        (saying({"evaluations": [PERMIT]}), Cause.MALFORMED),
        (saying({"decision": True, "context": []}), Cause.MALFORMED),
        (saying({"decision": True, "context": {"valid_until": "tomorrow"}}), Cause.MALFORMED),
        (saying({"decision": True, "context": {"valid_until": "2099-01-01T00:00:00"}}), Cause.MALFORMED),
        (saying({"decision": True, "context": {"valid_until": 4_000_000_000}}), Cause.MALFORMED),
        (saying({"decision": True, "context": {"error": {"status": 503}}}), Cause.MALFORMED),
        (saying({"decision": True, "context": {"reason_user": {"fr": 1}}}), Cause.MALFORMED),
        (saying(TWICE), Cause.MALFORMED),
        (saying(DEEP), Cause.MALFORMED),
        (saying(b"\xff\xfe"), Cause.MALFORMED),
        (saying(json.dumps(PERMIT).encode() + b" " * 200_000), Cause.MALFORMED),
        (scenes.endless_body, Cause.MALFORMED),
    ],
)
def test_what_is_no_answer_is_unknown(asker_for, server, came, behave, cause):
    """Neither a refusal, a failure nor a strange answer is a permit; and none is taken for a deny."""
    server.behave = behave
    decision = asker_for(server.url).evaluate(about("alice"))
    assert not decision
    assert (decision.outcome, decision.cause) == (Outcome.UNKNOWN, cause)


def test_nobody_listens(asker_for):
    """A refused connection is `unavailable`, with no status."""
    decision = asker_for(f"http://127.0.0.1:{free_port()}").evaluate(about("alice"))
    assert (decision.outcome, decision.cause, decision.status) == (Outcome.UNKNOWN, Cause.UNAVAILABLE, None)


def test_a_redirect_is_not_followed(asker_for, server, came):
    """Key and ids go to no other place than the one that was named."""
    server.behave = saying(PERMIT, 307, location=f"{server.url}/elsewhere")
    assert asker_for(server.url).evaluate(about("alice")).cause is Cause.MALFORMED
    assert [request.line for request in came] == ["POST /access/v1/evaluation HTTP/1.1"]


@pytest.mark.parametrize("answers", [[PERMIT], [PERMIT] * 3, [PERMIT, DENY, {}], {"0": PERMIT, "1": PERMIT}, PERMIT])
def test_a_batch_of_another_length_or_kind_permits_nobody(asker_for, server, came, answers):
    """An answer that does not fit the questions is no answer to any of them."""
    server.behave = saying({"evaluations": answers})
    decisions = asker_for(server.url).evaluate_many([about("alice"), about("bob")])
    assert [each.cause for each in decisions] == [Cause.MALFORMED] * 2
    assert not decisions.all_permit


def test_an_item_that_could_not_be_judged_is_unknown(asker_for, server, came):
    """Deny and outage stay apart within a batch, too."""
    error = {"decision": False, "context": {"error": {"status": 503, "message": "away"}}}
    server.behave = saying({"evaluations": [PERMIT, error, DENY]})
    decisions = asker_for(server.url).evaluate_many([about(name) for name in ("alice", "bob", "carol")])
    assert [each.outcome for each in decisions] == [Outcome.PERMIT, Outcome.UNKNOWN, Outcome.DENY]
    assert (decisions[1].cause, decisions[1].status) == (Cause.UNAVAILABLE, 503)


def test_a_connection_is_reused(asker_for, server, came):
    """Questions one after the other share a connection."""
    server.behave = scenes.permitting
    asker = asker_for(server.url)
    assert [bool(asker.evaluate(about("alice"))) for _ in range(5)] == [True] * 5
    assert len({request.connection for request in came}) == 1


def test_a_connection_that_died_between_two_questions_costs_nothing(asker_for, server, came):
    """A server that hangs up on a kept connection is asked once more, on another one."""
    answered = []

    async def once_a_connection(request, writer):
        if request.connection in answered:
            return False
        answered.append(request.connection)
        return await scenes.permitting(request, writer)

    server.behave = once_a_connection
    asker = asker_for(server.url)
    assert [bool(asker.evaluate(about("alice"))) for _ in range(3)] == [True] * 3


def test_a_server_that_always_hangs_up_is_asked_twice(asker_for, server, came):
    """There is one retry, not more."""
    server.behave = scenes.hanging_up
    assert asker_for(server.url).evaluate(about("alice")).cause is Cause.UNAVAILABLE
    assert len(came) == 2


def test_a_permit_is_never_kept(asker_for, server, came):
    """The same question is asked anew each time, and the newest answer counts."""
    asker, question = asker_for(server.url), about("alice")
    server.behave = scenes.permitting
    assert asker.evaluate(question)
    server.behave = saying(DENY)
    assert asker.evaluate(question).outcome is Outcome.DENY
    server.behave = saying({}, 503)
    assert asker.evaluate(question).outcome is Outcome.UNKNOWN
    assert len(came) == 3


def test_questions_are_split_over_requests_and_stay_in_order(asker_for, server, came):
    """2,500 questions are three requests, and each answer is in its question's place."""

    async def by_number(request, writer):
        items = request.json["evaluations"]
        answers = [PERMIT if int(item["subject"]["id"]) % 7 == 0 else DENY for item in items]
        return await saying({"evaluations": answers})(request, writer)

    server.behave = by_number
    decisions = asker_for(server.url).evaluate_many([about(str(n)) for n in range(2_500)])
    assert [bool(each) for each in decisions] == [n % 7 == 0 for n in range(2_500)]
    assert [len(request.json["evaluations"]) for request in came] == [1_000, 1_000, 500]


def test_other_parties_are_counted_when_questions_are_split(asker_for, server, came):
    """A request names 10,000 other parties in all at most: more make more requests, and each answer finds its place."""
    server.behave = scenes.permitting
    letter = HANDLES.correspondence("m", parties=Parties(outsiders=4_000))
    decisions = asker_for(server.url).evaluate_many([Question(str(n), "stats", letter) for n in range(5)])
    assert decisions.all_permit
    assert [len(request.json.get("evaluations", [0])) for request in came] == [2, 2, 1]


def test_a_part_that_fails_leaves_the_others(asker_for, server, came):
    """When one of several requests fails, only its questions are unknown; all together there is no permit."""

    async def second_fails(request, writer):
        return await (scenes.permitting if len(server.came) != 2 else saying({}, 500))(request, writer)

    server.behave = second_fails
    decisions = asker_for(server.url).evaluate_many([about(str(n)) for n in range(2_500)])
    assert {each.outcome for each in decisions[:1_000]} == {Outcome.PERMIT}
    assert {each.cause for each in decisions[1_000:2_000]} == {Cause.UNAVAILABLE}
    assert {each.outcome for each in decisions[2_000:]} == {Outcome.PERMIT}
    assert not decisions.all_permit


def test_all_users_are_asked_once_in_one_request(asker_for, server, came):
    """`require_all` asks for each user once, in one batch."""
    server.behave = scenes.permitting
    assert asker_for(server.url).require_all(["alice", "bob", "alice"], "ads-mail", LETTER)
    assert [[item["subject"]["id"] for item in request.json["evaluations"]] for request in came] == [["alice", "bob"]]


def test_nobody_to_ask_is_a_deny(asker_for, server, came):
    """No user is no consent: nothing is asked, and nothing permitted."""
    decision = asker_for(server.url).require_all([], "ads-mail", LETTER)
    assert (bool(decision), decision.outcome, decision.reason) == (False, Outcome.DENY, "nobody_asked")
    assert came == []


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ([PERMIT, PERMIT], Outcome.PERMIT),
        ([PERMIT, DENY], Outcome.DENY),
        ([{"decision": False, "context": {"error": {"status": 503}}}, DENY], Outcome.DENY),
        ([PERMIT, {"decision": False, "context": {"error": {"status": 503}}}], Outcome.UNKNOWN),
    ],
)
def test_all_must_permit(asker_for, server, came, answers, outcome):
    """One deny, or one answer that is missing, is enough for no permit."""
    server.behave = saying({"evaluations": answers})
    assert asker_for(server.url).require_all(["alice", "bob"], "ads-mail", LETTER).outcome is outcome


def test_all_together_may_run_until_the_first_permit_ends(asker_for, server, came):
    """The permit of all is the one that ends first."""
    ends = ["2199-05-01T00:00:00Z", "2199-03-01T00:00:00Z", "2199-04-01T00:00:00Z"]
    answers = [{"decision": True, "context": {"valid_until": end}} for end in ends]
    server.behave = saying({"evaluations": answers})
    decision = asker_for(server.url).require_all(["alice", "bob", "carol"], "ads-mail", LETTER)
    assert decision.valid_until.isoformat() == "2199-03-01T00:00:00+00:00"


@pytest.mark.parametrize("strange", ["b\udcffb", "b\x00b", "b\nb"])
def test_an_id_that_is_no_text_is_not_sent_and_harms_nobody_else(asker_for, server, came, strange):
    """What SMTP may bring (bytes that are no UTF-8, control characters) makes that user's answer unknown, no other."""
    server.behave = scenes.permitting
    decisions = asker_for(server.url).evaluate_many([about("alice"), about(strange), about("carol")])
    assert [each.outcome for each in decisions] == [Outcome.PERMIT, Outcome.UNKNOWN, Outcome.PERMIT]
    assert decisions[1].cause is Cause.REFUSED
    assert [item["subject"]["id"] for item in came[-1].json["evaluations"]] == ["alice", "carol"]


def test_a_party_that_is_no_text_is_not_left_out(asker_for, server, came):
    """A question whose parties cannot all be named is not asked as if the others were all."""
    server.behave = scenes.permitting
    letter = HANDLES.correspondence("m", parties=Parties(["b\udcffb"]))
    assert asker_for(server.url).evaluate(Question("alice", "stats", letter)).cause is Cause.REFUSED
    assert asker_for(server.url).require_all(["alice", "c\x00c"], "stats", letter).cause is Cause.REFUSED
    assert came == []


def test_many_threads_or_tasks_share_the_connections(stage, server, came):
    """Both clients answer many at a time, over no more connections than they may have."""
    server.behave = scenes.permitting
    few = Connections(most=2)
    with (
        Client(server.url, "key", refresh=None, connections=few, deadline=60) as waiting,
        ThreadPoolExecutor(8) as pool,
    ):
        assert all(pool.map(lambda n: waiting.evaluate(about(str(n))), range(40)))
    assert len({request.connection for request in came}) <= 2
    came.clear()

    async def together():
        async with AsyncClient(server.url, "key", refresh=None, connections=few, deadline=60) as client:
            return await asyncio.gather(*(client.evaluate(about(str(n))) for n in range(40)))

    assert all(stage.run(together()))
    assert len({request.connection for request in came}) <= 2
