"""An endpoint whose types or processings were narrowed: what it lost neither waits, nor goes out, nor comes back."""

import pytest

from tests.faults.service import eventually
from tests.webhooks.receivers import answering

SPAN = {"since": "2020-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z", "deliveries": "all"}


@pytest.fixture
def two(post):
    """The application with a second processing, `stats`."""
    post.api.register("stats")
    return post


def _told(receiver):
    return [each.json["data"]["processing"] for each in receiver.came]


def test_what_waited_of_others_is_dropped(two):
    """Narrowed, an endpoint is sent nothing more about the rest, and what was held behind that goes at once."""
    receiver, endpoint = two.registered(answering(500))
    two.api.decide("alice", "stats")
    two.api.decide("alice", "ads")
    two.api.decide("bob", "stats")
    two.dispatch(3)
    with two.working():
        eventually(lambda: set(_told(receiver)) == {"stats"} and all(map(_tried, two.deliveries(endpoint))))
        two.api.ok("PATCH", f"/v1/webhooks/{endpoint}", {"processings": ["ads"]})
        del receiver.came[:]
        receiver.behave = answering(204)
        two.delivered(endpoint, 1)
    assert _told(receiver) == ["ads"]
    assert two.deliveries(endpoint, "pending") == []
    assert _count(two, "webhook_delivery") == 1
    change = {"acts": ["webhook.changed"]}
    assert two.api.ok("POST", "/v1/audit-trail/search", change)["items"][0]["detail"]["dropped"] == 2


def _tried(delivery):
    return delivery["attempts"] > 0 or "next_at" not in delivery


def _count(post, table):
    with post.owner() as connection:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def test_what_a_change_left_in_the_queue_is_not_sent(two):
    """Deliveries that a change did not take out are dropped when they come due, and release those behind them."""
    receiver, endpoint = two.registered(answering(204))
    for name in ("alice", "bob", "carol", "dave", "erin"):
        two.api.decide(name, "stats")
        two.api.decide(name, "ads")
    two.dispatch(10)
    with two.owner() as connection:  # as an older version of Sceau changes it
        connection.execute("UPDATE webhook_endpoint SET processings = '{ads}'")
    with two.working():
        two.delivered(endpoint, 5)
    assert _told(receiver) == ["ads"] * 5
    assert _count(two, "webhook_delivery") == 5


def test_types_that_are_wanted_no_more_are_not_sent(two):
    """The same holds of types: what waited of another type is dropped, and its subject's next event goes."""
    receiver, endpoint = two.registered(answering(204))
    two.api.decide("alice", "ads")
    two.api.withdraw("alice", "ads")
    two.dispatch(2)
    two.api.ok("PATCH", f"/v1/webhooks/{endpoint}", {"types": ["fr.sceau.consent.withdrawn"]})
    with two.working():
        two.delivered(endpoint, 1)
    assert [each.json["type"] for each in receiver.came] == ["fr.sceau.consent.withdrawn"]


def test_what_it_had_is_neither_seen_nor_replayed_by_whoever_may_not(two):
    """A caller who may now manage the endpoint sees and replays nothing of what it had about others."""
    receiver, endpoint = two.registered(answering(204))
    with two.working():
        two.api.decide("alice", "stats")
        hidden = two.delivered(endpoint, 1)[0]["event"]
        two.api.decide("alice", "ads")
        two.delivered(endpoint, 2)
        two.api.ok("PATCH", f"/v1/webhooks/{endpoint}", {"processings": ["ads"]})
        restricted = two.api.with_key(two.api.new_key("webhooks:manage", "consents:read", processings=["ads"]))
        path = f"/v1/webhooks/{endpoint}"
        restricted.ok("PATCH", path, {"include_subject": True})
        seen = restricted.ok("GET", f"{path}/deliveries")["items"]
        assert [each["event"] for each in seen] == [receiver.ids[1]]
        assert restricted.ok("GET", f"{path}/deliveries?event={hidden}") == {"items": []}
        assert restricted.call("POST", f"{path}/replays", {"event": hidden}).status_code == 404
        del receiver.came[:]
        assert restricted.call("POST", f"{path}/replays", SPAN).json() == {"queued": 1}
        eventually(lambda: receiver.came and len(two.deliveries(endpoint, "delivered")) == 1)
    assert _told(receiver) == ["ads"]


def test_widened_again_it_may_have_all_of_it(two):
    """Control: once it may be told of everything again, its log shows what it had, and a replay brings what it lost."""
    receiver, endpoint = two.registered(answering(204))
    for name in ("stats", "ads"):
        two.api.decide("alice", name)
    two.dispatch(2)
    path = f"/v1/webhooks/{endpoint}"
    two.api.ok("PATCH", path, {"processings": ["ads"]})
    two.api.ok("PATCH", path, {"processings": None})
    assert len(two.deliveries(endpoint)) == 1
    two.api.call("POST", f"{path}/replays", SPAN)
    with two.working():
        two.delivered(endpoint, 2)
    assert _told(receiver) == ["stats", "ads"]
