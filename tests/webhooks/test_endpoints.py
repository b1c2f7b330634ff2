from tests.faults.service import eventually
from tests.webhooks.receivers import answering, consent_of

SPAN = {"since": "2020-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"}
HOOK = "https://receiver.example/hook"
UNKNOWN = "01990000-0000-7000-8000-000000000000"


def test_an_endpoint_is_made_read_changed_and_removed(post):
    """What was given is what is read; a change changes what it names; a removed one is gone with its deliveries."""
    made = post.api.ok("POST", "/v1/webhooks", {"url": HOOK, "types": ["fr.sceau.consent.expired"]})
    path = f"/v1/webhooks/{made['id']}"
    assert (made["status"], made["include_subject"], made["types"]) == ("active", False, ["fr.sceau.consent.expired"])
    assert post.api.ok("GET", "/v1/webhooks")["items"] == [made]
    changed = post.api.ok("PATCH", path, {"types": None, "include_subject": True, "status": "disabled"})
    assert "types" not in changed
    assert (changed["include_subject"], changed["status_reason"], changed["url"]) == (True, "by_request", HOOK)
    assert post.api.ok("GET", "/v1/webhooks")["items"] == [changed]
    assert "status_reason" not in post.api.ok("PATCH", path, {"status": "active"})
    post.api.decide("alice", "ads")
    post.dispatch(1)
    assert len(post.deliveries(made["id"])) == 1
    assert post.api.ok("PATCH", path, {"status": "removed"})["status"] == "removed"
    assert post.api.ok("GET", "/v1/webhooks")["items"] == []
    for again in ("removed", "active"):
        assert post.api.call("PATCH", path, {"status": again}).status_code == 404
    with post.owner() as connection:
        assert connection.execute("SELECT count(*) FROM webhook_delivery").fetchone() == (0,)


def _endpoint(office):
    """A new endpoint; its id."""
    return office.ok("POST", "/v1/webhooks", {"url": HOOK})["id"]


def test_what_cannot_be_an_endpoint_is_refused(office):
    """An address that may not be reached, unknown types and members, and numbers for booleans are 422, nothing kept."""
    before = office.ok("GET", "/v1/webhooks")
    for body in (
        {"url": "https://169.254.169.254/latest"}, {"url": "http://receiver.example@127.0.0.1/"}, {"url": "x"},
        {"url": HOOK, "types": []}, {"url": HOOK, "types": ["fr.sceau.consent.unknown"]}, {"url": HOOK, "more": 1},
        {"url": HOOK, "include_subject": 1}, {},
    ):  # fmt: skip
        answer = office.call("POST", "/v1/webhooks", body)
        assert answer.status_code == 422, body
        assert "169.254" not in answer.text
    assert office.ok("GET", "/v1/webhooks") == before


def test_a_repeated_write_makes_one_endpoint(office):
    """The same Idempotency-Key gives the same endpoint; with another body it is refused."""
    key = {"Idempotency-Key": "one"}
    before = office.ok("GET", "/v1/webhooks")["items"]
    first = office.ok("POST", "/v1/webhooks", {"url": HOOK}, key)
    assert office.ok("POST", "/v1/webhooks", {"url": HOOK}, key) == first
    assert office.call("POST", "/v1/webhooks", {"url": HOOK + "2"}, key).status_code == 422
    assert len(office.ok("GET", "/v1/webhooks")["items"]) == len(before) + 1


def test_a_restricted_caller_manages_its_processings_only(office):
    """A caller that may name some processings widens no endpoint beyond them, removes no other and signs for no other.

    The rest of what it may not: tests/callers/test_processing_lists.py.
    """
    endpoint = _endpoint(office)
    restricted = office.with_key(office.new_key("webhooks:manage", "consents:read", processings=["ads"]))
    mine = restricted.ok("POST", "/v1/webhooks", {"url": HOOK, "processings": ["ads"]})
    assert restricted.call("PATCH", f"/v1/webhooks/{mine['id']}", {"processings": None}).status_code == 403
    assert restricted.call("PATCH", f"/v1/webhooks/{endpoint}", {"status": "removed"}).status_code == 404
    secret = {"use": "webhook_secret", "webhook": endpoint}
    assert restricted.call("POST", "/v1/signing-keys", secret).status_code == 404
    assert restricted.ok("POST", "/v1/signing-keys", {**secret, "webhook": mine["id"]})["secret"]
    assert restricted.call("POST", f"/v1/webhooks/{endpoint}/replays", SPAN).status_code == 404


def test_there_are_only_so_many_endpoints(post, monkeypatch):
    """One more endpoint than there may be is 409."""
    monkeypatch.setattr("app.operations.webhooks.manage_webhooks.MOST_ENDPOINTS", 2)
    for _ in range(2):
        post.endpoint(HOOK)
    answer = post.api.call("POST", "/v1/webhooks", {"url": HOOK})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:sceau:problem:too-many-endpoints")


def test_one_delivery_is_replayed_under_the_same_id(post):
    """A replayed delivery is sent again with the same `webhook-id`, and its log keeps both attempts."""
    receiver, endpoint = post.registered(answering(204))
    with post.working():
        post.api.decide("alice", "ads")
        event = post.delivered(endpoint, 1)[0]["event"]
        path = f"/v1/webhooks/{endpoint}"
        again = post.api.call("POST", f"{path}/replays", {"event": event})
        assert (again.status_code, again.json()) == (202, {"queued": 1})
        eventually(lambda: len(receiver.came) == 2 and post.deliveries(endpoint, "delivered"))
    assert receiver.ids == [event, event]
    (delivery,) = post.api.ok("GET", f"{path}/deliveries?event={event}")["items"]
    assert [each["answer"] for each in delivery["log"]] == [204, 204]
    for unknown in (f"event={endpoint}", f"event={event}&status=dead"):
        assert post.api.ok("GET", f"{path}/deliveries?{unknown}") == {"items": []}
    assert post.api.call("POST", f"{path}/replays", {"event": endpoint}).status_code == 404


def test_either_an_event_or_a_span_is_sent_again(office):
    """Both, half a span and nothing are 422, told under the member that is at fault."""
    path = f"/v1/webhooks/{_endpoint(office)}/replays"
    for body, field in (
        ({}, "event"),
        ({"deliveries": "all"}, "event"),
        ({"since": SPAN["since"]}, "until"),
        ({"until": SPAN["until"]}, "since"),
        ({**SPAN, "event": UNKNOWN}, "event"),
        ({"event": UNKNOWN, "deliveries": "all"}, "event"),
    ):
        answer = office.call("POST", path, body)
        assert (answer.status_code, [each["field"] for each in answer.json()["errors"]]) == (422, [field]), body


def test_what_goes_is_not_changed(office):
    """A receiver is removed by a request that says nothing else; with more, nothing happens to it."""
    endpoint = _endpoint(office)
    answer = office.call("PATCH", f"/v1/webhooks/{endpoint}", {"status": "removed", "types": None})
    assert (answer.status_code, [each["field"] for each in answer.json()["errors"]]) == (422, ["status"])
    states = {each["id"]: each["status"] for each in office.ok("GET", "/v1/webhooks")["items"]}
    assert states[endpoint] == "active"


def test_a_span_replays_the_dead_in_order_and_leaves_the_delivered(post):
    """By default a span's dead letters are sent again, in each subject's order; what was delivered is not."""
    receiver, endpoint = post.registered(answering(204))
    with post.working():
        taken = post.api.decide("bob", "ads")["id"]
        post.delivered(endpoint, 1)
        receiver.behave = answering(500)
        consent = post.api.decide("alice", "ads")["id"]
        post.api.withdraw("alice", "ads")
        eventually(lambda: post.make_due() or len(post.deliveries(endpoint, "dead")) == 2)
        receiver.behave = answering(204)
        del receiver.came[:]
        replayed = post.api.call("POST", f"/v1/webhooks/{endpoint}/replays", SPAN)
        assert (replayed.status_code, replayed.json()) == (202, {"queued": 2})
        eventually(lambda: len(post.deliveries(endpoint, "delivered")) == 3)
    assert [each.json["type"].rpartition(".")[2] for each in receiver.came] == ["granted", "withdrawn"]
    assert {consent_of(each) for each in receiver.came} == {consent} != {taken}


def test_a_span_of_all_brings_what_came_before_the_endpoint(post):
    """With `all`, an endpoint is sent the events from before it was made, once each, and only what it wants."""
    post.api.decide("alice", "ads")
    post.api.withdraw("alice", "ads")
    post.dispatch(2)
    receiver, endpoint = post.registered(answering(204), types=["fr.sceau.consent.withdrawn"])
    assert post.deliveries(endpoint) == []
    with post.working():
        queued = post.api.call("POST", f"/v1/webhooks/{endpoint}/replays", {**SPAN, "deliveries": "all"})
        assert queued.json() == {"queued": 1}
        post.delivered(endpoint, 1)
    assert [each.json["type"] for each in receiver.came] == ["fr.sceau.consent.withdrawn"]


def test_deliveries_are_listed_in_pages(post):
    """The delivery log is paged by an opaque cursor, narrowed by status, and holds no body."""
    endpoint = post.endpoint(HOOK)
    for number in range(5):
        post.api.decide(f"user{number}", "ads")
    post.dispatch(5)
    path = f"/v1/webhooks/{endpoint}/deliveries?limit=2"
    page = post.api.ok("GET", path)
    deliveries = page["items"]
    while "next_cursor" in page:
        page = post.api.ok("GET", f"{path}&cursor={page['next_cursor']}")
        deliveries += page["items"]
    assert len({each["event"] for each in deliveries}) == 5
    assert post.deliveries(endpoint, "dead") == []
    assert {tuple(sorted(each)) for each in deliveries} == {
        ("attempts", "event", "next_at", "occurred_at", "queued_at", "status", "type")
    }
