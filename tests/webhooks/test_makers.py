"""An endpoint ends with what its maker may do: being told who users are, and replays, need `consents:read`."""

import pytest

from tests.faults.service import eventually
from tests.webhooks.receivers import answering

HOOK = "https://receiver.example/hook"
SPAN = {"since": "2020-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"}


def _maker(api, *scopes):
    """A caller, and its id."""
    made = api.ok("POST", "/v1/keys", {"name": "maker", "scopes": list(scopes)})
    return api.with_key(made["key"]), made["id"]


def test_an_endpoint_is_told_who_users_are_only_by_one_who_may_read_it(post):
    """Managing webhooks alone neither makes nor changes an endpoint that names users."""
    weak, _ = _maker(post.api, "webhooks:manage")
    assert weak.call("POST", "/v1/webhooks", {"url": HOOK, "include_subject": True}).status_code == 403
    mine = weak.ok("POST", "/v1/webhooks", {"url": HOOK})
    assert weak.call("PATCH", f"/v1/webhooks/{mine['id']}", {"include_subject": True}).status_code == 403
    strong, _ = _maker(post.api, "webhooks:manage", "consents:read")
    assert strong.ok("PATCH", f"/v1/webhooks/{mine['id']}", {"include_subject": True})["include_subject"] is True


def test_the_past_is_sent_again_only_by_one_who_may_read_it(post):
    """A replay hands out what consents were: it needs the scope that reads them."""
    weak, _ = _maker(post.api, "webhooks:manage")
    mine = weak.ok("POST", "/v1/webhooks", {"url": HOOK})
    assert weak.call("POST", f"/v1/webhooks/{mine['id']}/replays", SPAN).status_code == 403
    assert post.api.call("POST", f"/v1/webhooks/{mine['id']}/replays", SPAN).status_code == 202


@pytest.mark.parametrize("loses", ["everything", "reading", "managing", "nothing"])
def test_an_endpoint_ends_with_its_maker_or_what_it_lost(post, loses):
    """Nothing more is sent for a maker that was revoked or narrowed; the endpoint says so, and another may take it."""
    receiver = post.receiver(answering(204))
    maker, identifier = _maker(post.api, "webhooks:manage", "consents:read")
    endpoint = maker.ok("POST", "/v1/webhooks", {"url": receiver.url, "include_subject": True})["id"]
    if loses == "everything":
        post.api.ok("DELETE", f"/v1/keys/{identifier}")
    elif loses != "nothing":
        kept = ["webhooks:manage"] if loses == "reading" else ["consents:read"]
        post.api.ok("PATCH", f"/v1/keys/{identifier}", {"scopes": kept})
    post.api.decide("alice", "ads")
    post.dispatch(1)
    with post.working():
        if loses == "nothing":
            post.delivered(endpoint, 1)
        else:
            eventually(lambda: post.api.ok("GET", f"/v1/webhooks/{endpoint}")["status"] == "disabled")
    told = post.api.ok("GET", f"/v1/webhooks/{endpoint}")
    assert len(receiver.received) == (1 if loses == "nothing" else 0)
    assert told.get("status_reason") == (None if loses == "nothing" else "maker_ended")
    if loses != "nothing":
        post.api.ok("PATCH", f"/v1/webhooks/{endpoint}", {"status": "active"})
        with post.working():
            post.delivered(endpoint, 1)
