"""Events that become too old before they are delivered: dropped, counted, and no longer in the way of younger ones."""

from collections import Counter
from datetime import timedelta

from structlog.testing import capture_logs

from app.events.deliveries import EVENTS_KEPT
from app.operations.webhooks.deliver_webhooks import JITTER, SCHEDULE, trim_events
from tests.faults.service import eventually
from tests.webhooks.receivers import answering

KEPT = timedelta(days=30)


def _aged(post, where="TRUE"):
    """Let events become too old."""
    with post.owner() as connection:
        connection.execute(f"UPDATE outbox SET written_at = now() - interval '40 days' WHERE {where}")


def _trim(post):
    """Trim until so much can be: the newest transaction's events stay; what was lost, by status, in all."""
    lost: Counter[str] = Counter()
    left = 1
    while left:
        lost += post.with_database(lambda database: trim_events(database, KEPT)).lost
        with post.owner() as connection:
            query = "SELECT count(*) FROM outbox WHERE written_at < now() - interval '30 days'"
            left = connection.execute(query).fetchone()[0]
    return lost


def test_what_is_dropped_undelivered_is_counted(post):
    """Pending and dead deliveries that go with their events are in metrics and a warning; delivered ones are not."""
    receiver, endpoint = post.registered(answering(204))
    with post.working():
        post.api.decide("alice", "ads")
        post.delivered(endpoint, 1)
        receiver.behave = answering(500)
        post.api.decide("bob", "ads")
        eventually(lambda: post.make_due() or post.deliveries(endpoint, "dead"))
    post.api.decide("carol", "ads")
    post.api.withdraw("carol", "ads")
    post.dispatch(2)
    _aged(post)
    post.api.decide("dave", "ads")
    post.dispatch(1)
    with capture_logs() as logs:
        assert _trim(post) == {"pending": 2, "dead": 1}
    assert {(each["log_level"], each.get("pending"), each.get("dead")) for each in logs} == {("warning", 2, 1)}
    metrics = post.api.call("GET", "/metrics").text
    assert f'sceau_webhook_lost_total{{endpoint="{endpoint}",status="pending"}} 2.0' in metrics
    assert f'sceau_webhook_lost_total{{endpoint="{endpoint}",status="dead"}} 1.0' in metrics
    assert 'outcome="lost' not in metrics
    assert _trim(post) == {}


def test_a_younger_delivery_is_no_longer_held_back(post):
    """When the one that it waited for is dropped, a user's next delivery goes: once the endpoint is well again."""
    receiver, endpoint = post.registered(answering(204))
    post.api.ok("PATCH", f"/v1/webhooks/{endpoint}", {"status": "disabled"})
    post.api.decide("alice", "ads")
    post.api.withdraw("alice", "ads")
    post.dispatch(2)
    _aged(post, "type ~ 'granted'")
    post.api.decide("bob", "ads")
    post.dispatch(1)
    assert _trim(post) == {"pending": 1}
    post.api.ok("PATCH", f"/v1/webhooks/{endpoint}", {"status": "active"})
    with post.working():
        post.delivered(endpoint, 2)
    assert sorted(each.json["type"].rpartition(".")[2] for each in receiver.came) == ["granted", "withdrawn"]


def test_two_schedules_fit_into_the_retention():
    """A user's second event, which waits for all attempts of the first, has all of its own before it is too old."""
    schedule = timedelta(seconds=sum(SCHEDULE) * (1 + JITTER))
    assert 2 * schedule < EVENTS_KEPT
