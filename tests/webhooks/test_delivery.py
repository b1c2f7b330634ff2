from functools import partial

import pytest

from app.events.sender import Patience, Sender, SendOutcome
from app.operations.webhooks.deliver_webhooks import AT_ONCE, JITTER, SCHEDULE, wait_after
from tests.clients.scenes import dripping_headers, endless_body, no_http, silent
from tests.faults.service import eventually
from tests.webhooks.courier import LOOPBACK
from tests.webhooks.receivers import always_early, answering, closing, consent_of, endless_headers, refusing

# How each receiver at fault behaves, and the word for how a request to it ends.
ANSWERING = {
    "500": answering(500),
    "301": answering(301, Location="http://127.0.0.1:9/elsewhere"),
    "404": answering(404),
    "protocol": no_http,
    "protocol, closing": closing,
    "protocol, endless headers": endless_headers,
}
# A courier of little patience ends these: whatever delays an answer ends in the same word.
UNENDING = {"timeout": silent, "timeout, dripping": dripping_headers, "timeout, always early": always_early}
IMPATIENT = Patience(connect=0.5, read=0.5, total=1.0)


def _ended(delivery):
    """How a delivery's last attempt ended, in a word."""
    return str(delivery.get("last_answer", delivery.get("last_error", "")))


def _tried(post, endpoint):
    """The deliveries of an endpoint that were attempted."""
    return [each for each in post.deliveries(endpoint) if _ended(each)]


@pytest.mark.parametrize(("faults", "patience"), [(ANSWERING, Patience()), (UNENDING, IMPATIENT)])
def test_receivers_at_fault_lose_nothing_and_stop_nobody(post, faults, patience):
    """While some receivers fail, another gets everything at once; they get it all when they are well again."""
    good, bad = post.receiver(answering(204)), {fault: post.receiver(behave) for fault, behave in faults.items()}
    well, failing = post.endpoint(good.url), {fault: post.endpoint(each.url) for fault, each in bad.items()}
    with post.working(sender=Sender(LOOPBACK, patience=patience)):
        for name in ("alice", "bob", "carol"):
            post.api.decide(name, "ads")
        assert len(post.delivered(well, 3)) == 3
        for fault, endpoint in failing.items():
            tried = eventually(partial(_tried, post, endpoint))
            assert {each["status"] for each in tried} == {"pending"}, fault
            assert {_ended(each) for each in tried} == {fault.partition(",")[0]}, fault
        for each in bad.values():
            each.behave = answering(200)
        eventually(
            lambda: post.make_due() or all(len(post.deliveries(each, "delivered")) == 3 for each in failing.values())
        )
    assert {fault: set(each.ids) for fault, each in bad.items()} == {key: set(good.ids) for key in faults}


def test_a_receiver_that_is_down_gets_everything_once_it_is_up(post):
    """Events wait for a receiver that nobody listens for, and arrive when it listens."""
    receiver = post.receiver(answering(204))
    endpoint = post.endpoint("http://127.0.0.1:1/hook")
    with post.working():
        post.api.decide("alice", "ads")
        eventually(lambda: [each for each in post.deliveries(endpoint) if each.get("last_error") == "connect"])
        post.api.ok("PATCH", f"/v1/webhooks/{endpoint}", {"url": receiver.url})
        eventually(lambda: post.make_due() or post.deliveries(endpoint, "delivered"))
    assert len(receiver.came) >= 1


def test_an_answer_without_end_is_an_answer(post):
    """A 200 counts when its head is there: the body that never ends is not read."""
    _, endpoint = post.registered(endless_body)
    with post.working():
        post.api.decide("alice", "ads")
        assert post.delivered(endpoint, 1)[0]["last_answer"] == 200


def test_gone_disables_and_keeps(post):
    """A 410 disables the endpoint, says why, and stops sending; made active again, it gets what waited, in order."""
    receiver, endpoint = post.registered(answering(410))
    with post.working():
        consent = post.api.decide("alice", "ads")["id"]
        eventually(lambda: post.told(endpoint)["status"] == "disabled")
        assert post.told(endpoint)["status_reason"] == "gone"
        post.api.withdraw("alice", "ads")
        post.api.decide("bob", "ads")
        eventually(lambda: len(post.deliveries(endpoint, "pending")) == 3)
        post.make_due()
        post.api.decide("carol", "ads")
        eventually(lambda: len(post.deliveries(endpoint, "pending")) == 4)
        assert len(receiver.came) == 1
        receiver.behave = answering(204)
        post.api.ok("PATCH", f"/v1/webhooks/{endpoint}", {"status": "active"})
        post.delivered(endpoint, 4)
    of_alice = [each.json["type"].rpartition(".")[2] for each in receiver.came[1:] if consent_of(each) == consent]
    assert of_alice == ["granted", "withdrawn"]


def test_ten_failures_are_a_dead_letter(post):
    """The tenth failed attempt ends a delivery as dead, with every attempt in its log; the next event then goes."""
    receiver, endpoint = post.registered(answering(503))
    with post.working():
        post.api.decide("alice", "ads")
        post.api.withdraw("alice", "ads")
        dead = eventually(lambda: post.make_due() or post.deliveries(endpoint, "dead"))
        assert dead[0]["attempts"] == len(SCHEDULE) == 10
        log = post.deliveries(endpoint, f"dead&event={dead[0]['event']}")[0]["log"]
        assert [each["answer"] for each in log] == [503] * 10
        receiver.behave = answering(204)
        eventually(lambda: post.make_due() or post.deliveries(endpoint, "delivered"))
    assert [each["status"] for each in post.deliveries(endpoint)] == ["dead", "delivered"]
    assert len(set(receiver.ids[:10])) == 1


def test_a_slow_receiver_has_few_requests_and_delays_nobody(post):
    """A receiver that never answers has a few requests under way, as many as an endpoint may, and others go on."""
    slow, quick = post.receiver(silent), post.receiver(answering(204))
    post.endpoint(slow.url)
    endpoint = post.endpoint(quick.url)
    with post.working(sender=Sender(LOOPBACK, patience=Patience(connect=5, read=60, total=60))):
        for number in range(12):
            post.api.decide(f"user{number}", "ads")
        post.delivered(endpoint, 12)
        eventually(lambda: slow.most_under_way == AT_ONCE)
    assert slow.most_under_way == AT_ONCE


def test_events_of_one_subject_come_in_order(post):
    """What one subject decided arrives in that order, one request at a time, and with it nothing of it twice."""
    receiver, endpoint = post.registered(answering(204))
    expected = []
    with post.working():
        for _ in range(5):
            expected.append(("granted", post.api.decide("alice", "ads")["id"]))
            post.api.withdraw("alice", "ads")
            expected.append(("withdrawn", expected[-1][1]))
        post.delivered(endpoint, 10)
    assert [(each.json["type"].rpartition(".")[2], consent_of(each)) for each in receiver.came] == expected


def test_a_failing_event_holds_back_its_subject_only(post):
    """While a subject's event is refused, later ones of that subject wait and those of others go on."""
    receiver, endpoint = post.registered(answering(500))
    refused = post.api.decide("alice", "ads")["id"]
    receiver.behave = refusing({refused})
    with post.working():
        post.api.withdraw("alice", "ads")
        again = post.api.decide("alice", "ads")["id"]
        for name in ("bob", "carol", "dave"):
            post.api.decide(name, "ads")
        post.delivered(endpoint, 3)
        pending = post.deliveries(endpoint, "pending")
        assert [("next_at" in each) for each in pending] == [True, False, False]
        receiver.behave = answering(204)
        eventually(lambda: post.make_due() or len(post.deliveries(endpoint, "delivered")) == 6)
    taken = [(each.json["type"].rpartition(".")[2], consent_of(each)) for each in receiver.came]
    of_alice = [each for each in taken if each[1] in {refused, again}]
    assert list(dict.fromkeys(of_alice)) == [("granted", refused), ("withdrawn", refused), ("granted", again)]


def test_only_wanted_types_and_processings_are_sent(post):
    """An endpoint is sent the types and the processings that it wants, and no others."""
    post.api.register("stats", purpose="statistics")
    receiver, every = post.receiver(answering(204)), post.receiver(answering(204))
    endpoint = post.endpoint(receiver.url, types=["fr.sceau.consent.withdrawn"], processings=["stats"])
    all_of_them = post.endpoint(every.url)
    with post.working():
        for name in ("ads", "stats"):
            post.api.decide("alice", name)
            post.api.withdraw("alice", name)
        post.delivered(all_of_them, 4)
        post.delivered(endpoint, 1)
    assert [(each.json["type"], each.json["data"]["processing"]) for each in receiver.came] == [
        ("fr.sceau.consent.withdrawn", "stats")
    ]


def test_waits_follow_the_standards_table():
    """The waits are those of Standard Webhooks, a little longer by chance, and longer still when the receiver asks."""
    failed = SendOutcome(status=500)
    assert [wait_after(number, failed, 0.0) for number in range(1, 10)] == [
        5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400
    ]  # fmt: skip
    assert wait_after(2, failed, 0.5) == 300 * (1 + JITTER / 2)
    assert wait_after(1, SendOutcome(status=429, retry_after=120), 0.0) == 120
    assert wait_after(3, SendOutcome(status=429, retry_after=120), 0.0) == 1_800
    assert wait_after(1, SendOutcome(status=503, retry_after=99_999), 0.0) == 86_400


def test_attempts_are_counted_by_endpoint(post):
    """The metrics count attempts under the endpoint's id by how they ended, and what waits; no address is there."""
    receiver, endpoint = post.registered(answering(500))
    with post.working():
        post.api.decide("alice", "ads")
        eventually(lambda: _ended(post.deliveries(endpoint)[0]) if post.deliveries(endpoint) else None)
        metrics = post.api.call("GET", "/metrics").text
        assert f'sceau_webhook_attempts_total{{endpoint="{endpoint}",outcome="500"}} 1.0' in metrics
        assert f'sceau_webhook_deliveries{{endpoint="{endpoint}",status="pending"}} 1.0' in metrics
        receiver.behave = answering(204)
        eventually(lambda: post.make_due() or post.deliveries(endpoint, "delivered"))
    metrics = post.api.call("GET", "/metrics").text
    assert f'sceau_webhook_attempts_total{{endpoint="{endpoint}",outcome="delivered"}} 1.0' in metrics
    assert "sceau_webhook_deliveries{" not in metrics
    assert "sceau_outbox_undispatched 0.0" in metrics
    assert f":{receiver.port}" not in metrics
