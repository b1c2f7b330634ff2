"""An endpoint ends with what its maker may do: being told who users are, and replays, need `consents:read`."""

from app.operations.webhooks import deliver_webhooks
from tests.faults.service import eventually
from tests.webhooks.receivers import answering

HOOK = "https://receiver.example/hook"
ADS = {"processings": ["ads"]}
SPAN = {"since": "2020-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"}


def _maker(api, *scopes):
    """A caller, and its id."""
    made = api.ok("POST", "/v1/keys", {"name": "maker", "scopes": list(scopes)})
    return api.with_key(made["key"]), made["id"]


def test_an_endpoint_is_told_who_users_are_only_by_one_who_may_read_it(office):
    """Managing webhooks alone neither makes nor changes an endpoint that names users."""
    weak, _ = _maker(office, "webhooks:manage")
    assert weak.call("POST", "/v1/webhooks", {"url": HOOK, "include_subject": True}).status_code == 403
    mine = weak.ok("POST", "/v1/webhooks", {"url": HOOK})
    assert weak.call("PATCH", f"/v1/webhooks/{mine['id']}", {"include_subject": True}).status_code == 403
    strong, _ = _maker(office, "webhooks:manage", "consents:read")
    assert strong.ok("PATCH", f"/v1/webhooks/{mine['id']}", {"include_subject": True})["include_subject"] is True


def test_the_past_is_sent_again_only_by_one_who_may_read_it(post):
    """A replay, of a span or of one delivery, hands out what consents were: it needs the scope that reads them."""
    receiver = post.receiver(answering(204))
    weak, _ = _maker(post.api, "webhooks:manage")
    mine = weak.ok("POST", "/v1/webhooks", {"url": receiver.url})["id"]
    post.api.decide("alice", "ads")
    post.dispatch(1)
    with post.working():
        post.delivered(mine, 1)
    [delivery] = post.deliveries(mine)
    for body in (SPAN, {"event": delivery["event"]}):
        assert weak.call("POST", f"/v1/webhooks/{mine}/replays", body).status_code == 403
        assert post.api.call("POST", f"/v1/webhooks/{mine}/replays", body).status_code == 202


def test_who_may_not_read_takes_over_no_endpoint_that_names_users(office):
    """Neither sent elsewhere, nor made active again, nor narrowed: whoever changes it would answer for it."""
    strong, _ = _maker(office, "webhooks:manage", "consents:read")
    weak, _ = _maker(office, "webhooks:manage")
    for change in ({"url": "https://elsewhere.example/hook"}, {"status": "active"}, {"types": None}, ADS):
        theirs = strong.ok("POST", "/v1/webhooks", {"url": HOOK, "include_subject": True})
        path = f"/v1/webhooks/{theirs['id']}"
        assert weak.call("PATCH", path, change).status_code == 403, change
        assert theirs in weak.ok("GET", "/v1/webhooks")["items"]
        named = {**change, "include_subject": False}
        assert weak.call("PATCH", path, named).status_code == 200, change  # it names nobody then


LOST = {"everything": None, "reading": ["webhooks:manage"], "managing": ["consents:read"]}
"""What a maker loses, with the scopes that are left."""


def test_an_endpoint_ends_with_its_maker_or_what_it_lost(post):
    """Nothing more is sent for a maker that was revoked or narrowed; the endpoint says so, and another may take it."""
    receivers, endpoints = {}, {}
    for loses in (*LOST, "nothing"):
        receivers[loses] = post.receiver(answering(204))
        maker, identifier = _maker(post.api, "webhooks:manage", "consents:read")
        made = {"url": receivers[loses].url, "include_subject": True}
        endpoints[loses] = maker.ok("POST", "/v1/webhooks", made)["id"]
        if loses == "everything":
            post.api.ok("DELETE", f"/v1/keys/{identifier}")
        elif loses != "nothing":
            post.api.ok("PATCH", f"/v1/keys/{identifier}", {"scopes": LOST[loses]})
    post.api.decide("alice", "ads")
    post.dispatch(1)
    with post.working():
        post.delivered(endpoints["nothing"], 1)
        eventually(lambda: {post.told(endpoints[each])["status"] for each in LOST} == {"disabled"})
    assert {loses: len(each.came) for loses, each in receivers.items()} == {**dict.fromkeys(LOST, 0), "nothing": 1}
    reasons = {loses: post.told(each).get("status_reason") for loses, each in endpoints.items()}
    assert reasons == {**dict.fromkeys(LOST, "maker_ended"), "nothing": None}
    for loses in LOST:
        post.api.ok("PATCH", f"/v1/webhooks/{endpoints[loses]}", {"status": "active"})
    with post.working():
        for loses in LOST:
            post.delivered(endpoints[loses], 1)


def test_without_the_check_users_would_be_named_for_whoever_is_gone(post, monkeypatch):
    """The control: with deliveries that do not look at the maker, the same endpoint sends the user's id."""
    monkeypatch.setattr(deliver_webhooks, "answered_for", lambda *_: True)
    receiver = post.receiver(answering(204))
    maker, identifier = _maker(post.api, "webhooks:manage", "consents:read")
    endpoint = maker.ok("POST", "/v1/webhooks", {"url": receiver.url, "include_subject": True})["id"]
    post.api.ok("DELETE", f"/v1/keys/{identifier}")
    post.api.decide("alice", "ads")
    post.dispatch(1)
    with post.working():
        post.delivered(endpoint, 1)
    assert receiver.came[0].json["data"]["subject"]["id"] == "alice"
