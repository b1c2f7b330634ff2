"""An edge answers from memory what a worker would answer, for as long as it may."""

import dataclasses
import math
import socket
import struct
import sys
import threading
from array import array
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.stale.fleet import KEY
from sceau_client import Channel, Client, Decision, Edge, Element, Outcome, Parties
from sceau_client.held import HeldDecisions
from sceau_client.plan import Plan
from sceau_client.register import Register
from tests.edge.questions import asked
from tests.edge.waiting import wait_until
from tests.support.api import subject
from tests.support.consents import grant
from tests.support.properties import examples

APART = {"id": None, "request_id": None, "status": None, "local": False}
"""What differs between two answers to one question."""


def said(decision):
    """A decision, without what belongs to one answer of it."""
    return dataclasses.replace(decision, **APART)


def held(edge, question):
    """The answer from memory, once the edge has one; at first, notice of what was just recorded may drop it again."""
    answers: list[Any] = []

    def both():
        answers[:] = [edge.ask(question).result(10), edge.recall(question)]
        return answers[1] is not None

    wait_until(both)
    first, again = answers
    assert again.local
    assert said(again) == said(first)
    return again


def test_what_was_answered_is_answered_again_from_memory(service, edge, consented):
    """Memory repeats a permit, a deny without consent, an exempt permit and an unknown processing word for word."""
    spam = f"spam-{uuid4().hex[:8]}"
    service.api[0].register(spam, purpose="unsolicited_content_detection")
    assert held(edge, asked("alice", consented)).outcome is Outcome.PERMIT
    assert held(edge, asked("bob", consented)).reason == "no_consent"
    assert held(edge, asked("bob", spam)).reason == "exempt"
    assert held(edge, asked("bob", f"none-{uuid4().hex}")).reason == "unknown_processing"


@pytest.mark.parametrize(
    "how",
    [
        {"elements": [Element.CONTENT]},
        {"elements": [Element.ATTACHMENTS]},
        {"automated": False},
        {"channel": Channel.TEXT_MESSAGE},
        {"private": False},
        {"territory": "RE"},
        {"territory": "DE"},
    ],
    ids=str,
)
def test_each_circumstance_is_a_question_of_its_own(service, edge, consented, how):
    """Memory of the usual question does not answer one with another circumstance, whose answer is the worker's."""
    held(edge, asked("alice", consented))
    assert edge.recall(asked("alice", consented, **how)) is None
    with Client(service.url(), KEY, refresh=None) as client:
        answered = client.evaluate(asked("alice", consented, **how))
    assert said(held(edge, asked("alice", consented, **how))) == said(answered)


def test_some_questions_are_asked_each_time(service, edge):
    """An edge does not hold answers about a processing that needs other parties, or answers with a token."""
    joint = service.register(party_mode="all_parties")
    name = service.consented()
    for question in (
        asked("alice", joint),
        asked("alice", joint, parties=Parties(local=["bob"])),
        asked("alice", name, token=True),
    ):
        assert edge.ask(question).result(10) is not None
        assert edge.recall(question) is None


ACTS = st.lists(
    st.tuples(st.sampled_from(["granted", "refused", "withdrawn", "closed", "suspended", "active"]), st.integers(0, 1)),
    min_size=1,
    max_size=8,
)


@settings(max_examples=examples(10, deep=200))
@given(ACTS)
def test_no_act_that_was_answered_leaves_the_edge_with_a_permit(service, edge_of_all, acts):
    """After any acts at either worker, memory permits nothing that the worker denies, and soon agrees with it."""
    name, user = service.register(), f"user-{uuid4().hex[:8]}"
    for act, worker in acts:
        do(service.api[worker], act, user, name)
        recalled = edge_of_all.permits(user, name, "handle")
        permitted = service.api[worker].evaluate(user, name)["decision"]
        assert permitted or not recalled
        wait_until(partial(answers, edge_of_all, asked(user, name), permitted))


def answers(edge, question, permitted):
    """Whether the socket's answer is a permit exactly if `permitted`."""
    return bool(edge.ask(question).result(10)) == permitted


@pytest.fixture(scope="module")
def edge_of_all(service):
    """One edge for all examples of a property."""
    with Edge(service.socket, KEY) as made:
        yield made


def do(api, act, user, name):
    """One act, of a person or of the register."""
    if act in {"granted", "refused"}:
        api.call("POST", "/v1/consents", consent(user, name, act))  # a grant is refused while no user may be asked
    elif act == "withdrawn":
        api.withdraw(user, name)
    elif act == "closed":
        api.call("POST", "/v1/subjects/closures", {"subject": subject(user)})
    else:
        api.ok("PATCH", f"/v1/processings/{name}", {"status": act})


def consent(user, name, decision):
    """The body of a grant or a refusal."""
    return {**grant(user, name), "decision": decision}


def test_what_memory_answers_is_not_refused_for_a_limit(service, edge, consented):
    """After a 429, a question that memory answers is a permit, and another is unknown without being asked."""
    kept = held(edge, asked("alice", consented))

    def recall(question):
        return kept if question.subject.id == "alice" else None

    plan = Plan([asked("alice", consented), asked("bob", consented)], Register({}), 5.0, recall)
    assert [each.outcome for each in plan.decisions()] == [Outcome.PERMIT, Outcome.UNKNOWN]


@pytest.fixture
def at_every_step():
    """Threads that take turns as often as the interpreter lets them."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("at_every_step")
def test_what_threads_decide_at_once_is_reported_row_by_row():
    """Each decision of four threads is reported once, with its own person's answer, while reports are being made."""
    memory, edge, threads, each = HeldDecisions(), Edge("/none", "key"), 4, 3_000
    memory.lease[0], memory.most = math.inf, threads
    for number in range(threads):
        about = asked(f"user-{number}", "ads-mail")
        memory.hold(about, Decision(outcome=Outcome.PERMIT), {"number": number, "until": None, "on": [9, number]})
    edge.use(memory)
    made: list[bytes] = []

    def decide(number):
        for place in range(each):
            edge.permits(f"user-{number}", "ads-mail", f"{number} {place}")

    deciding = [threading.Thread(target=decide, args=[number]) for number in range(threads)]
    for thread in deciding:
        thread.start()
    while any(thread.is_alive() for thread in deciding) or edge.unreported:
        made += [message for message, _ in memory.reports(may_send=True)[0]]
    rows = [row for message in made for row in rows_of(message)]
    assert sorted(rows) == sorted((number, f"{number} {place}") for number in range(threads) for place in range(each))


def rows_of(report):
    """The number of the answer and the message's id in each row of a report."""
    length, lost = struct.unpack_from("<II", report, 1)
    assert lost == 0
    ids = report[9 + 24 * length :].decode().split("\n")
    return list(zip(array("Q", report[9 : 9 + 8 * length]), ids, strict=True))


def test_what_a_thread_decides_as_the_connection_is_lost_is_counted(service, edge, consented):
    """Decisions that are noted when their connection has been given up already count as dropped on the next one."""
    held(edge, asked("alice", consented))
    before = edge._memory
    edge._link._sock.shutdown(socket.SHUT_RDWR)
    wait_until(lambda: edge._memory is not before and edge.leased)
    lost = service.rows("dropped")
    before.decided.extend((1, "late", 0.0, 0) * 1_000)
    wait_until(lambda: service.rows("dropped") >= lost + 1_000)


def test_decisions_beside_a_handle_that_is_no_text_are_counted(service, edge, consented):
    """What waits with the row of a program's error cannot be reported: it counts as dropped, and the edge goes on."""
    held(edge, asked("alice", consented))
    before, lost = edge._memory, service.rows("dropped")
    before.decided.extend((1, "a message", 0.0, 0) * 100 + (1, b"none", 0.0, 0))
    wait_until(lambda: service.rows("dropped") >= lost + 101)
    wait_until(lambda: edge._memory is not before and edge.leased)
