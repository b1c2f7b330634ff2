"""What an issuer may answer, where, and how long it may take."""

import pytest

from app.auth.issuer_trust import is_safe
from tests.auth.reading import RHYTHM, reading, why_of


async def test_who_waits_does_not_wait_for_ever(provider):
    """An issuer that takes connections and says nothing costs those who need it the deadline, then a 503."""
    provider.mode = "slow"
    async with reading(provider, seconds=0.1) as (issuer, _):
        assert await why_of(issuer.keys_for("k", "ES256")) == "timeout"
        assert await why_of(issuer.keys_for("k", "ES256")) == "waiting"
        assert issuer.failures == 1
    provider.held.set()


@pytest.mark.parametrize(
    ("mode", "why"),
    [
        ("error", "status"),
        ("redirect", "status"),
        ("compressed", "status"),
        ("garbage", "discovery"),
        ("another", "discovery"),
        ("unsafe", "address"),
        ("oversized", "too_large"),
        ("no set", "keys"),
    ],
)
async def test_what_an_issuer_must_not_answer(provider, mode, why):
    """Errors, redirects, another issuer's document, plain HTTP elsewhere, too much and no key set are each refused."""
    provider.mode = mode
    async with reading(provider) as (issuer, clock):
        assert await why_of(issuer.keys_for(provider.key.kid, "ES256")) == why
        provider.mode = "good"
        assert await why_of(issuer.keys_for(provider.key.kid, "ES256")) == "waiting"
        clock.at += RHYTHM.interval
        assert await issuer.keys_for(provider.key.kid, "ES256")
        assert issuer.failures == 0
    assert "/elsewhere" not in provider.asked


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://login.example.fr/realms/staff", True),
        ("https://login.example.fr:8443", True),
        ("http://127.0.0.1:8080/x", True),
        ("http://localhost/x", True),
        ("http://[::1]:8080/x", True),
        ("http://login.example.fr", False),
        ("http://127.0.0.1.example.fr", False),
        ("ftp://login.example.fr", False),
        ("https://", False),
        ("https://user:password@login.example.fr", False),
        ("https://login.example.fr:port", False),
        ("https://login.example.fr/#x", False),
        ("https://login.exämple.fr", False),
        ("login.example.fr", False),
        ("", False),
    ],
)
def test_keys_are_read_over_tls_or_from_this_machine(url, safe):
    """Nobody between may put keys of their own into a key set."""
    assert is_safe(url) is safe
