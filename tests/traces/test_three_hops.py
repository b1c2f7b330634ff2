"""One trace from a client through Sceau and its database to the receiver of a webhook, as an OTLP receiver gets it."""

import pytest

from app.telemetry.exporting import ALLOWED
from tests.faults.service import eventually
from tests.support.api import question, subject
from tests.support.consents import grant

SPAN = "00f067aa0ba902b7"
"""The client's own span: the parent of what Sceau does for it."""


def trace_of(number):
    """A trace's id, and the header that a client sends of it: recorded, by the last digits."""
    trace = f"4bf92f3577b34da6a3ce929d0e0e{number:04x}"
    return trace, {"traceparent": f"00-{trace}-{SPAN}-01", "tracestate": "vendor=alice", "baggage": "who=alice"}


def send(hops, path, body, headers):
    """One request in a trace; its JSON."""
    headers_sent = {"Authorization": hops.service.authorization, **headers}
    answer = hops.service.client.post(path, json=body, headers=headers_sent)
    assert answer.is_success, answer.text
    return answer.json()


def whole(hops, trace, *names):
    """The spans of a trace, once each of these names is there."""
    return eventually(lambda: (spans := hops.traces.of(trace)) and set(names) <= set(spans) and spans)


def test_a_decision_belongs_to_the_trace_of_its_caller(hops):
    """A question's span is a child of the caller's, and says what was decided about a registered processing."""
    send(hops, "/v1/consents", grant("alice", "ads"), {})
    trace, headers = trace_of(1)
    assert send(hops, "/access/v1/evaluation", question("alice", "ads"), headers)["decision"]
    spans = whole(hops, trace, "POST /access/v1/evaluation")
    (span,) = spans["POST /access/v1/evaluation"]
    assert (span.service, span.parent, span.state) == ("sceau", SPAN, "")
    assert span.attributes == {
        "http.request.method": "POST",
        "http.route": "/access/v1/evaluation",
        "http.response.status_code": 200,
        "sceau.decision.permitted": True,
        "sceau.decision.reason": "consent_in_force",
        "sceau.decision.processing": "ads",
    }


def test_what_memory_lacks_is_a_span_of_the_database(hops):
    """A question about somebody who is not in memory waits for PostgreSQL: that is a span below its own."""
    trace, headers = trace_of(2)
    send(hops, "/access/v1/evaluation", question("somebody new", "ads"), headers)
    spans = whole(hops, trace, "POST /access/v1/evaluation", "database")
    assert spans["database"][0].parent == spans["POST /access/v1/evaluation"][0].id


def test_a_withdrawal_is_followed_to_the_webhook(hops):
    """Client, withdrawal, commit, confirmation and delivery are one trace; the receiver is told which."""
    send(hops, "/v1/consents", grant("bob", "ads"), {})
    trace, headers = trace_of(3)
    send(hops, "/v1/withdrawals", {"subject": subject("bob"), "processing": "ads"}, headers)
    posts = eventually(lambda: [each for each in hops.webhook.came if trace in each.headers.get("traceparent", "")])
    spans = whole(hops, trace, "POST /v1/withdrawals", "database", "confirmation", "webhook")
    (withdrawal,), (delivery,) = spans["POST /v1/withdrawals"], spans["webhook"]
    assert withdrawal.parent == SPAN
    assert posts[0].headers["traceparent"] == f"00-{trace}-{delivery.id}-01"
    assert delivery.attributes == {
        "sceau.event.type": "fr.sceau.consent.withdrawn",
        "sceau.webhook.attempt": 1,
        "sceau.webhook.outcome": "delivered",
    }
    assert {"read", "write"} >= {each.attributes["sceau.database.access"] for each in spans["database"]}
    assert "write" in {each.attributes["sceau.database.access"] for each in spans["database"]}


def test_the_log_names_the_trace(hops):
    """The line about an answer says its trace, whichever way it was answered."""
    trace, headers = trace_of(4)
    send(hops, "/v1/consents/search", {"subject": subject("alice")}, headers)
    eventually(lambda: [line for line in hops.log_of(trace) if "/v1/consents/search" in line])


def test_a_request_that_is_not_recorded_leaves_nothing(hops):
    """The caller says whether its trace is recorded: of one that is not, no span is sent and no delivery is told."""
    trace, headers = trace_of(5)
    headers["traceparent"] = headers["traceparent"][:-1] + "0"
    send(hops, "/v1/consents", grant("carol", "ads"), headers)
    before = len(hops.webhook.came)
    last, recorded = trace_of(6)
    send(hops, "/v1/consents", grant("dora", "ads"), recorded)
    whole(hops, last, "webhook")
    assert hops.traces.of(trace) == {}
    assert len(hops.webhook.came) >= before
    assert not [each for each in hops.webhook.came if trace in each.headers.get("traceparent", "")]


@pytest.mark.parametrize("processing", ["alice@example.fr", "not registered"])
def test_a_processing_that_is_not_registered_is_not_named(hops, processing):
    """What a caller wrote where a processing stands is in no attribute."""
    number = 7 if "@" in processing else 8
    trace, headers = trace_of(number)
    send(hops, "/access/v1/evaluation", question("alice", processing), headers)
    (span,) = whole(hops, trace, "POST /access/v1/evaluation")["POST /access/v1/evaluation"]
    assert span.attributes["sceau.decision.reason"] == "unknown_processing"
    assert "sceau.decision.processing" not in span.attributes


def test_a_batch_is_one_span(hops):
    """Of a batch its size and its permits are told."""
    trace, headers = trace_of(9)
    body = {"evaluations": [question("alice", "ads"), question("nobody", "ads")]}
    send(hops, "/access/v1/evaluations", body, headers)
    (span,) = whole(hops, trace, "POST /access/v1/evaluations")["POST /access/v1/evaluations"]
    assert (span.attributes["sceau.decision.questions"], span.attributes["sceau.decision.permits"]) == (2, 1)


def test_nothing_else_is_sent(hops):
    """Every span has attributes of the list alone, no event, no link, and nothing of `tracestate`."""
    spans = hops.traces.spans()
    assert spans
    assert {name for span in spans for name in span.attributes} <= ALLOWED
    assert {(span.more, span.state) for span in spans} == {(0, "")}
