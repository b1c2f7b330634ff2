"""Exempt analyses are answered from the register that was fetched, at once, and only where the core permits too."""

import json
import logging
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from app.api.register.views import processing_view
from app.core.article import EXEMPT_PURPOSES, Purpose
from app.core.article import Channel as CoreChannel
from app.core.article import Element as CoreElement
from app.core.decision import DecisionRequest
from app.core.evaluate import evaluate
from app.register.records import ProcessingRecord, Registered, VersionRecord, present
from sceau_client import Cause, Channel, Element, ExemptPurpose, Outcome, Question
from sceau_client.register import read_register
from sceau_client.wire import NotUnderstoodError
from tests.clients import scenes
from tests.clients.scenes import DENY, HANDLES, about, saying
from tests.core.properties.registers import processings
from tests.faults.service import eventually

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
FILTER = {
    "id": "filter",
    "purpose": "unsolicited_content_detection",
    "paragraph": "L32-3 III",
    "status": "active",
    "version": {"elements": ["content", "subject_line"], "automated": True},
}
ADS = {**FILTER, "id": "ads-mail", "purpose": "advertising", "paragraph": "L32-3 IV"}
DECLARED = {"filter": ExemptPurpose.UNSOLICITED_CONTENT_DETECTION}

DENYING = saying(DENY)


def letter(**more):
    """A letter of which more is known."""
    return HANDLES.correspondence("m", **more)


@pytest.fixture
def serves(server):
    """Serve a register, and deny whatever is asked; what came is kept."""

    def serve(*items, status=200, deciding=DENYING):
        register = saying({"items": list(items)}, status)

        async def behave(request, writer):
            return await (register if request.line.startswith("GET") else deciding)(request, writer)

        server.behave = behave
        server.came.clear()
        return server

    return serve


def fetches(server):
    """How often the register was fetched."""
    return len([request for request in server.came if request.line == "GET /v1/processings HTTP/1.1"])


def questions(server):
    """How often something was asked."""
    return len([request for request in server.came if request.line.startswith("POST")])


# --- what is answered here -------------------------------------------------------------------------------------------


def test_an_exempt_analysis_asks_nobody(asker_for, serves):
    """Once the register is there, spam filtering is permitted without a request; advertising is asked about."""
    server = serves(FILTER, ADS)
    asker = asker_for(server.url, refresh=60, opened=True)
    exempt, other = asker.evaluate(about("alice", "filter")), asker.evaluate(about("alice", "ads-mail"))
    assert (exempt.outcome, exempt.reason, exempt.article) == (Outcome.PERMIT, "exempt", "L32-3 III")
    assert exempt.local
    assert (other.outcome, other.local) == (Outcome.DENY, False)
    assert (fetches(server), questions(server)) == (1, 1)


def test_a_batch_sends_only_what_must_be_asked(asker_for, serves):
    """Exempt and other questions mixed come back in order, and only the others travel."""
    server = serves(FILTER, ADS, deciding=saying({"evaluations": [DENY, DENY]}))
    asker = asker_for(server.url, refresh=60, opened=True)
    names = ["ads-mail", "filter", "ads-mail"]
    decisions = asker.evaluate_many([about("alice", name) for name in names])
    assert [each.local for each in decisions] == [False, True, False]
    assert [item["action"]["name"] for item in server.came[-1].json["evaluations"]] == ["ads-mail", "ads-mail"]


@pytest.mark.parametrize(
    "question",
    [
        Question("alice", "filter", letter(), automated=False),
        Question("alice", "filter", letter(), elements=[Element.ATTACHMENTS]),
        Question("alice", "filter", letter(), token=True),
        Question("alice", "filter", letter(private=False)),
        Question("alice", "filter", letter(channel=Channel.TEXT_MESSAGE)),
        Question("alice", "filter", letter(territory="NC")),
        Question("alice", "ads-mail", letter()),
        Question("alice", "unheard-of", letter()),
    ],
    ids=["human", "undeclared", "token", "public", "text-message", "elsewhere", "consent", "unknown"],
)
def test_what_is_not_plain_is_not_answered_here(question):
    """Whatever the register alone does not settle is asked."""
    assert read_register({"items": [FILTER, ADS]}).answer(question) is None


@pytest.mark.parametrize(
    "change",
    [
        {"status": "suspended"},
        {"status": "retired"},
        {"purpose": "other", "paragraph": None},
        {"purpose": "advertising"},
        {"paragraph": "L32-3 IV"},
        {"version": None},
        {"version": {"elements": ["content"], "automated": False}},
    ],
)
def test_a_processing_that_is_not_exempt_now_is_not_answered_here(change):
    """Suspended, retired, read by humans, for another purpose or not in force yet: Sceau is asked."""
    assert read_register({"items": [FILTER]}).answer(about("alice", "filter")) is not None
    assert read_register({"items": [{**FILTER, **change}]}).answer(about("alice", "filter")) is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"items": None},
        {"items": [7]},
        {"items": [{"id": 7}]},
        {"items": [{**FILTER, "version": {"automated": True}}]},
        {"items": [{**FILTER, "version": {"elements": [[]], "automated": True}}]},
        {"items": [{**FILTER, "version": []}]},
    ],
)
def test_what_is_no_register_is_not_taken_for_one(body):
    """A strange answer changes nothing of what is known."""
    with pytest.raises(NotUnderstoodError):
        read_register(body)


@st.composite
def worlds(draw):
    """A processing as registered, and a question about it."""
    facts = replace(draw(processings(NOW)), id="p", purpose=draw(st.sampled_from([*EXEMPT_PURPOSES] * 4 + [*Purpose])))
    return (
        facts,
        draw(st.sampled_from([(), (), (Element.CONTENT,), (Element.SUBJECT_LINE,), tuple(Element)])),
        draw(st.sampled_from([True] * 5 + [False])),
        draw(st.sampled_from([True] * 5 + [False])),
        draw(st.sampled_from([Channel.ONLINE] * 5 + [Channel.TEXT_MESSAGE])),
        draw(st.sampled_from(["FR", "FR", "RE", "WF", "NC", "US"])),
    )


def recorded(facts):
    """Its record."""
    versions = tuple(
        VersionRecord(facts=each, name={"fr": "N"}, notice={"fr": "T"}, recorded_at=NOW, contact=None)
        for each in facts.versions
    )
    return ProcessingRecord("p", "C", facts.purpose, NOW, versions, facts.status_changes)


def registered(record):
    """What `GET /v1/processings` says of it."""
    return json.loads(processing_view(Registered(record), NOW).model_dump_json(exclude_none=True))


@given(worlds())
def test_what_is_permitted_here_is_permitted_there(world):
    """Whatever the register and the question, a permit of the client is a permit of the core, as exempt."""
    facts, elements, automated, private, channel, territory = world
    about_it = letter(private=private, channel=channel, territory=territory)
    question = Question("alice", "p", about_it, elements=elements, automated=automated)
    record = recorded(facts)
    permitted = read_register({"items": [registered(record)]}).answer(question)
    event(f"permitted here: {permitted is not None}")
    if permitted:
        core = {CoreElement(each.value) for each in elements}
        request = DecisionRequest(
            b"alice", "p", frozenset(core) or None, automated, CoreChannel(channel.value), private, territory
        )
        decision = evaluate(request, facts, {}, present(NOW, {}, record))  # what was recorded ahead of a clock counts
        assert (decision.permitted, decision.reason) == (True, "exempt")


# --- fetching --------------------------------------------------------------------------------------------------------


def test_before_a_register_is_there_what_was_declared_counts(asker_for, serves, caplog):
    """A program that declares its filter exempt filters while Sceau is away; nothing else is permitted."""
    server = serves(status=503, deciding=saying({}, 503))
    asker = asker_for(server.url, refresh=60, exempt=DECLARED, opened=True)
    assert asker.evaluate(about("alice", "filter")).local
    assert asker.evaluate(about("alice", "ads-mail")).cause is Cause.UNAVAILABLE
    assert questions(server) == 1
    assert "the register cannot be fetched: unavailable" in caplog.text


def test_what_was_not_declared_is_asked(asker_for, serves):
    """The control of the test above: without a register and a declaration, the filter is a question like another."""
    server = serves(status=503, deciding=saying({}, 503))
    asker = asker_for(server.url, refresh=60, opened=True)
    assert asker.evaluate(about("alice", "filter")).cause is Cause.UNAVAILABLE


@pytest.mark.parametrize("items", [[], [ADS], [{**FILTER, "status": "suspended"}]])
def test_the_register_overrules_what_was_declared(asker_for, serves, caplog, items):
    """Once the register is there, a declaration that it does not confirm is worth nothing, and that is said."""
    server = serves(*items)
    asker = asker_for(server.url, refresh=60, exempt=DECLARED, opened=True)
    assert asker.evaluate(about("alice", "filter")).outcome is Outcome.DENY
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert errors == ["declared exempt, but not by the register, which counts from now on: filter"]


def test_a_suspension_is_seen_at_the_next_fetch(asker_for, serves):
    """The register is fetched again and again; what it says last counts."""
    server = serves(FILTER)
    asker = asker_for(server.url, refresh=0.01, opened=True)
    assert asker.evaluate(about("alice", "filter"))
    serves({**FILTER, "status": "suspended"})
    eventually(lambda: not asker.evaluate(about("alice", "filter")))
    serves(FILTER)
    eventually(lambda: asker.evaluate(about("alice", "filter")))


@pytest.mark.parametrize("answer", [{"status": 503}, {"status": 403}, {"items": [{"id": 7}]}])
def test_a_register_that_cannot_be_fetched_again_stays(asker_for, serves, server, answer):
    """Mail goes on being filtered on the last register that came, however long Sceau is away."""
    serves(FILTER)
    asker = asker_for(server.url, refresh=0.01, opened=True)
    serves(*answer.get("items", ()), status=answer.get("status", 200))
    eventually(lambda: fetches(server) > 2)
    assert asker.evaluate(about("alice", "filter")).local


def test_no_register_is_fetched_when_none_is_wanted(asker_for, serves):
    """With `refresh=None` everything is asked, and the key needs no scope for the register."""
    server = serves(FILTER)
    asker = asker_for(server.url, refresh=None, opened=True)
    assert asker.evaluate(about("alice", "filter")).outcome is Outcome.DENY
    assert (fetches(server), questions(server)) == (0, 1)


def test_opening_waits_no_longer_than_a_question(asker_for, server):
    """A register that does not come keeps nobody from starting, and the filter from nothing."""
    server.behave = scenes.silent
    asker = asker_for(server.url, refresh=60, deadline=0.1, exempt=DECLARED, opened=True)
    assert asker.evaluate(about("alice", "filter")).local


@pytest.mark.parametrize(("seconds", "kept"), [(50, 50), (1_200, 60)])
def test_a_limit_is_kept_to(asker_for, serves, seconds, kept):
    """After 429 with Retry-After nothing that is counted is asked until that time, or for a minute: it is unknown."""
    server = serves(FILTER, ADS, deciding=saying({}, 429, retry_after=str(seconds)))
    asker = asker_for(server.url, refresh=60, opened=True)
    first, second = asker.evaluate(about("alice")), asker.evaluate(about("alice"))
    assert (first.status, first.retry_after) == (429, seconds)
    assert (second.cause, second.status, second.request_id) == (Cause.REFUSED, 429, None)
    assert 0 < second.retry_after <= kept
    assert questions(server) == 1


def test_a_limit_does_not_hold_exempt_questions_back(asker_for, serves):
    """Sceau counts none of them: those that are not answered here are asked, also beside others."""
    server = serves(FILTER, ADS, deciding=saying({}, 429, retry_after="50"))
    asker = asker_for(server.url, refresh=60, opened=True)
    asker.evaluate(about("alice"))
    server.came.clear()
    text_message = Question("alice", "filter", letter(channel=Channel.TEXT_MESSAGE))
    assert asker.evaluate_many([about("alice"), about("alice", "filter"), text_message])[1].local
    assert [request.json["action"]["name"] for request in server.came] == ["filter"]


def test_without_a_register_everything_is_asked_again(asker_for, serves):
    """Which questions are exempt is not known, so that none is held back; neither is any after a 503."""
    for status in (429, 503):
        server = serves(deciding=saying({}, status, retry_after="50"))
        asker = asker_for(server.url)
        assert [asker.evaluate(about("alice", "filter")).retry_after for _ in range(2)] == [50, 50]
        assert questions(server) == 2
