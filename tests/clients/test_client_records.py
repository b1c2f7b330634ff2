"""The Python client records, withdraws, makes links and verifies webhooks, against the real service."""

import logging
from datetime import UTC, datetime

import pytest

from app.events.endpoints import SigningKeys, public_text, secret_text, signature_headers
from sceau_client import AsyncRecorder, Client, Recorder, RefusedRecordError, UnknownRecordError
from sceau_client.webhooks import InvalidWebhookError, WebhookVerifier
from tests.clients.scenes import about
from tests.faults.service import free_port
from tests.support.api import BOOTSTRAP
from tests.support.consents import EVIDENCE

SECRET = b"s" * 32


@pytest.fixture(scope="module")
def service(serving):
    """A service with advertising."""
    return serving()


def url_of(service):
    """Where a service is."""
    return f"http://127.0.0.1:{service.port}"


def proof(service):
    """The evidence of a grant that permits: the version's notice was shown."""
    version = service.ok("GET", "/v1/processings/ads-mail")["version"]
    return {**EVIDENCE, "notice_version": 1, "presented_text_sha256": version["notice_sha256"]["fr"]}


def permits(service, name):
    """Whether advertising is permitted for somebody."""
    with Client(url_of(service), BOOTSTRAP, deadline=60) as client:
        return bool(client.evaluate(about(name)))


def granted(recorder, service, name):
    """Record a grant of now."""
    return recorder.grant(name, "ads-mail", proof(service), collected_at=datetime.now(UTC))


def test_what_is_granted_permits_until_it_is_withdrawn(service):
    """A grant, a refusal by another, a withdrawal: decisions follow at once."""
    with Recorder(url_of(service), BOOTSTRAP) as recorder:
        made = granted(recorder, service, "alice")
        assert (made.state, made.defects, made.expires_at is not None) == ("in_force", (), True)
        assert permits(service, "alice")
        assert recorder.refuse("bob", "ads-mail", EVIDENCE).state == "refused"
        ended = recorder.withdraw("alice", "ads-mail")
        assert (ended.consents, ended.matched) == ((made.id,), True)
        assert not permits(service, "alice")
        assert not recorder.withdraw("never-seen").matched


async def test_the_awaited_one_does_the_same(service):
    """`AsyncRecorder`: a grant, and a withdrawal from everything."""
    async with AsyncRecorder(url_of(service), BOOTSTRAP) as recorder:
        made = await recorder.grant("carol", "ads-mail", proof(service), collected_at=datetime.now(UTC))
        assert (await recorder.withdraw("carol")).consents == (made.id,)


def test_a_link_is_made_and_hides_its_address(service):
    """The link names what it asks; its address, which is a secret, is not in its repr."""
    with Recorder(url_of(service), BOOTSTRAP) as recorder:
        made = recorder.link("dave", ["ads-mail"], authentication="mailbox")
    assert (made.processings, made.left_out) == (("ads-mail",), {})
    assert "/consent/" in made.url
    assert made.url not in repr(made)


def test_a_scope_that_is_missing_is_named(service, caplog):
    """A key that may only read is told which scope it lacks: by the error, and by the log of who asks."""
    key = service.ok("POST", "/v1/keys", {"name": "reader", "scopes": ["register:read"]})["key"]
    with Recorder(url_of(service), key) as recorder, pytest.raises(RefusedRecordError) as refused:
        recorder.withdraw("alice")
    assert (refused.value.status, refused.value.missing_scope) == (403, "consents:write")
    with caplog.at_level(logging.WARNING), Client(url_of(service), key, deadline=60) as client:
        assert not client.evaluate(about("alice"))
    assert "decisions:evaluate" in caplog.text


def test_a_refusal_names_the_fields_and_nobody(service):
    """A grant without proof says which field is missing; the id of the person is not in the message."""
    with Recorder(url_of(service), BOOTSTRAP) as recorder, pytest.raises(RefusedRecordError) as refused:
        recorder.grant("secret-id", "ads-mail", EVIDENCE, collected_at=datetime.now(UTC))
    assert any("presented_text_sha256" in name for name in refused.value.fields)
    assert "secret-id" not in str(refused.value)


def test_what_had_no_answer_is_recorded_once_when_it_is_sent_again(service):
    """Nothing listens: the error tells the key under which the record is made once, however often it is sent."""
    with Recorder(f"http://127.0.0.1:{free_port()}", BOOTSTRAP) as recorder, pytest.raises(UnknownRecordError) as none:
        granted(recorder, service, "erin")
    with Recorder(url_of(service), BOOTSTRAP) as recorder:
        at, key = datetime.now(UTC), none.value.idempotency_key
        members = {"evidence": proof(service), "collected_at": at}
        first, second = (recorder.grant("erin", "ads-mail", **members, idempotency_key=key) for _ in range(2))
        other = recorder.grant("erin", "ads-mail", **members)
    assert first == second
    assert other.id != first.id  # a key of its own: another record


def signed(body=b'{"id": "one"}', at=1_000, **keys):
    """The headers of a message of Sceau's."""
    ring = SigningKeys(keys.get("private", (b"k" * 32,)), keys.get("secrets", (SECRET,)))
    return signature_headers(ring, "one", at, body)


def public_of(private):
    """The public half of a key, as a receiver has it."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return public_text(Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw())


@pytest.mark.parametrize("key", [secret_text(SECRET), public_of(b"k" * 32)], ids=["secret", "public"])
def test_a_message_of_sceau_s_is_believed(key):
    """By a shared secret alone, and by a public key alone; header names may be in any case."""
    headers = {name.title(): value for name, value in signed().items()}
    assert WebhookVerifier([key]).verify(headers, b'{"id": "one"}', now=1_100) == {"id": "one"}
    with pytest.raises(InvalidWebhookError, match="another receiver"):
        WebhookVerifier([key], receiver="mine").verify(headers, b'{"id": "one"}', now=1_100)


@pytest.mark.parametrize(
    ("headers", "body", "now"),
    [
        (signed(), b'{"id": "two"}', 1_000),
        (signed(private=(b"x" * 32,), secrets=(b"x" * 32,)), b'{"id": "one"}', 1_000),
        (signed(), b'{"id": "one"}', 1_301),
        (signed(), b'{"id": "one"}', 699),
        ({}, b'{"id": "one"}', 1_000),
        ({**signed(), "webhook-timestamp": "soon"}, b'{"id": "one"}', 1_000),
        ({**signed(), "webhook-signature": "v1,!!! v9,AAAA"}, b'{"id": "one"}', 1_000),
        (signed(b'{"id": "two"}'), b'{"id": "two"}', 1_000),
    ],
    ids=["altered", "other keys", "old", "early", "unsigned", "no time", "no signature", "another id"],
)
def test_anything_else_is_not(headers, body, now):
    """An altered body, other keys, another time, no signature, another event's id: refused."""
    verifier = WebhookVerifier([secret_text(SECRET), public_of(b"k" * 32)])
    with pytest.raises(InvalidWebhookError):
        verifier.verify(headers, body, now=now)


@pytest.mark.parametrize("keys", [[], "whsec_x", ["whsec_AAAA"], ["whsec_!"], ["something"]])
def test_a_key_that_is_none_is_refused(keys):
    """No key, a text, one that is too short, no base64, another prefix."""
    with pytest.raises(ValueError, match="key"):
        WebhookVerifier(keys)
