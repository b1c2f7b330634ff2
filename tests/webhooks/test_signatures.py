import base64
import re
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tests.faults.service import ROOT, eventually
from tests.webhooks.receivers import answering
from tests.webhooks.verifying import signed_by

HOOK = {"url": "https://receiver.example/hook"}


def _secret(post, endpoint):
    """A new secret of an endpoint."""
    wanted = {"use": "webhook_secret", "webhook": endpoint}
    return post.api.ok("POST", "/v1/signing-keys", wanted)["secret"]


def _keys(post):
    """The public keys as anybody reads them, the newest first."""
    return [each["public_key"] for each in post.api.with_key(None).ok("GET", "/.well-known/webhook-keys")["keys"]]


def _sent(post, receiver, endpoint, name):
    """The request that a new event makes."""
    before = len(receiver.came)
    post.api.decide(name, "ads")
    eventually(lambda: len(receiver.came) > before and not post.deliveries(endpoint, "pending"))
    return receiver.came[-1]


def test_the_published_key_verifies_every_request(post):
    """`v1a` verifies under the published Ed25519 key; a body or a timestamp that was altered does not."""
    receiver, endpoint = post.registered(answering(204))
    with post.working():
        request = _sent(post, receiver, endpoint, "alice")
    (key,) = _keys(post)
    assert re.fullmatch(r"whpk_[A-Za-z0-9+/]{43}=", key)
    assert request.headers["content-type"] == "application/cloudevents+json; charset=UTF-8"
    assert signed_by(key, request)
    assert not signed_by(key, request, request.body + b" ")
    request.headers["webhook-timestamp"] = "1700000000"
    assert not signed_by(key, request)


def test_rotation_signs_with_both_keys_for_a_while(post):
    """After a rotation both keys sign and are published; once the overlap is over, only the new one."""
    receiver, endpoint = post.registered(answering(204))
    with post.working():
        (old,) = _keys(post)
        new = post.api.ok("POST", "/v1/signing-keys", {"use": "webhooks"})["public_key"]
        assert _keys(post) == [new, old]
        both = _sent(post, receiver, endpoint, "alice")
        assert signed_by(old, both)
        assert signed_by(new, both)
        with post.owner() as connection:
            connection.execute("UPDATE webhook_key SET retires_at = now() WHERE retires_at IS NOT NULL")
        alone = _sent(post, receiver, endpoint, "bob")
        assert not signed_by(old, alone)
        assert signed_by(new, alone)
        assert _keys(post) == [new]


def test_a_secret_verifies_with_the_standards_own_library(post):
    """With a symmetric secret, `standardwebhooks` accepts what is sent, and refuses it altered or under another one."""
    receiver, endpoint = post.registered(answering(204))
    first = _secret(post, endpoint)
    with post.working():
        request = _sent(post, receiver, endpoint, "alice")
        assert Webhook(first).verify(request.body, request.headers) == request.json
        second = _secret(post, endpoint)
        both = _sent(post, receiver, endpoint, "bob")
    for secret in (first, second):
        assert Webhook(secret).verify(both.body, both.headers) == both.json
    for wrong in (lambda: Webhook(second).verify(request.body, request.headers),
                  lambda: Webhook(first).verify(request.body + b" ", request.headers)):  # fmt: skip
        with pytest.raises(WebhookVerificationError):
            wrong()


def test_a_secret_is_not_kept_to_be_answered_again(office):
    """Under one Idempotency-Key two requests make two secrets."""
    wanted, once = {"use": "webhook_secret", "webhook": office.ok("POST", "/v1/webhooks", HOOK)["id"]}, "same"
    made = {office.ok("POST", "/v1/signing-keys", wanted, {"Idempotency-Key": once})["secret"] for _ in range(2)}
    assert len(made) == 2


def test_what_signs_is_not_stored_in_clear(post):
    """Neither a secret nor a private key can be read from the database."""
    endpoint = post.endpoint(HOOK["url"])
    secret = _secret(post, endpoint)
    raw = base64.b64decode(secret.removeprefix("whsec_"))
    with post.owner() as connection:
        stored = [bytes(row[0]) for row in connection.execute("SELECT wrapped_secret FROM webhook_secret")]
        keys = [bytes(row[0]) for row in connection.execute("SELECT wrapped_key FROM webhook_key")]
    assert len(stored) == len(keys) == 1
    assert raw not in stored[0]
    assert len(keys[0]) == 12 + 32 + 16  # nonce, wrapped key, tag


def test_the_subject_is_told_only_where_asked_for_and_never_once_erased(post):
    """An endpoint that asks is told the subject's id, another is not; after the erasure the id is null everywhere."""
    asking, other = post.receiver(answering(500)), post.receiver(answering(204))
    with_subject, plain = post.endpoint(asking.url, include_subject=True), post.endpoint(other.url)
    with post.working():
        post.api.decide("alice@example.fr", "ads")
        post.delivered(plain, 1)
        eventually(lambda: asking.came)
        assert asking.came[0].json["data"]["subject"] == {"type": "user", "id": "alice@example.fr"}
        assert "subject" not in other.came[0].json["data"]
        post.api.ok("POST", "/v1/subjects/erasures", {"subject": {"type": "user", "id": "alice@example.fr"}})
        before = len(asking.came)
        eventually(lambda: post.make_due() or len(asking.came) > before)
        asking.behave = answering(204)
        eventually(lambda: post.make_due() or not post.deliveries(with_subject, "pending"))
    after = asking.came[before + 4 :]
    assert all(each.json["data"]["subject"] == {"type": "user", "id": None} for each in after)
    assert b"alice" not in b"".join(each.body for each in (*asking.came[-2:], *other.came))


def test_a_name_that_is_taken_away_is_told(post):
    """An endpoint is told, once for each consent that goes on, the name alone that was taken away."""
    receiver, removed = post.receiver(answering(204)), "fr.sceau.consent.name_removed"
    endpoint = post.endpoint(receiver.url, include_subject=True, types=[removed])
    names = {"from": {"type": "user", "id": "ali"}, "to": {"type": "user", "id": "alice"}}
    with post.working():
        post.api.decide("alice", "ads")
        post.api.decide("ali", "ads", "refused")
        post.api.ok("POST", "/v1/subjects/links", {**names, "basis": "user_proved"})
        consent = post.api.decide("alice", "ads")["id"]
        for _ in range(2):
            post.api.ok("POST", "/v1/subjects/links", {**names, "linked": False})
        post.delivered(endpoint, 1)
    (event,) = [each.json for each in receiver.came]
    assert (event["type"], event["data"]) == (
        removed,
        {"consent": consent, "processing": "ads", "subject": {"type": "user", "id": "ali"}},
    )


def test_the_lines_that_receivers_are_shown_verify(post):
    """The code of docs/webhooks.md, run as it stands, accepts what is sent and refuses it altered."""
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/webhooks.md").read_text(), re.DOTALL)
    shown: dict[str, Any] = {}
    exec(code, shown)
    receiver, endpoint = post.registered(answering(204))
    with post.working():
        request = _sent(post, receiver, endpoint, "alice")
    shown["verify"](request.body, request.headers, _keys(post))
    with pytest.raises(ValueError, match="no signature"):
        shown["verify"](request.body + b" ", request.headers, _keys(post))
