"""An issuer's keys: fetched seldom, in bounds, kept while it is away, and asked for again when a new one is needed."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest

from app.auth.callers import key_digest
from app.auth.issuers import Issuer, Rhythm, keep_fresh
from app.auth.key_fetch import IssuerUnavailableError, KeyFetcher, Source, is_safe
from app.auth.key_sets import ALGORITHMS
from app.auth.token_check import TokenCheck
from app.auth.tokens import BadTokenError, TokenRules
from tests.freshness.gate import until
from tests.support.issuer import AUDIENCE, issuing, new_key, ref_of

RHYTHM = Rhythm(refresh=300, retry=30, interval=10, keep=3_600)
HANGS = 60.0


class Hands:
    """A clock that only a test moves."""

    def __init__(self):
        self.at = 1_000.0

    def __call__(self):
        """Where it stands."""
        return self.at


@pytest.fixture
def provider():
    """A provider of this test's own."""
    with issuing() as made:
        yield made


@asynccontextmanager
async def _reading(provider, *, seconds=HANGS, keys_url=None, url=None):
    """An issuer as this process knows it, and the clock it goes by."""
    clock = Hands()
    fetcher = KeyFetcher(ALGORITHMS, seconds=seconds)
    issuer = Issuer(Source(url or provider.url, keys_url), fetcher, RHYTHM, clock)
    try:
        yield issuer, clock
    finally:
        await issuer.close()


def _check(issuer):
    rules = TokenRules(
        frozenset({issuer.source.issuer}), ref_of, AUDIENCE, frozenset({"ES256"}), frozenset({"at+jwt"}), skew=0.0
    )
    return TokenCheck(rules, [issuer])


async def _shown(check, text, now=None):
    return await check.check(text, key_digest(text), time.time() if now is None else now)


async def _why(awaited):
    why = None
    try:
        await awaited
    except BadTokenError as error:
        why = error.why
    except IssuerUnavailableError as error:
        why = error.why
    assert why in {*BadTokenError.WORDS, *IssuerUnavailableError.WORDS}, "nothing was refused"
    return why


def test_keys_are_fetched_once_for_many_tokens(provider):
    """Many tokens of known keys cost one fetch, and each token one check of its signature."""

    async def work():
        async with _reading(provider) as (issuer, _):
            check = _check(issuer)
            texts = [provider.token(f"subject-{number}") for number in range(5)]
            for text in texts * 3:
                assert (await _shown(check, text)).ref
            return check.accepted

    assert asyncio.run(work()) == 5
    assert provider.fetches == 1


def test_keys_may_be_where_a_setting_says(provider):
    """With an address of its own the key set is read there, and no discovery is made."""

    async def work():
        async with _reading(provider, keys_url=f"{provider.url}/elsewhere") as (issuer, _):
            assert await issuer.keys_for(provider.key.kid, "ES256")

    asyncio.run(work())
    assert provider.asked == ["/elsewhere"]


def test_a_new_key_is_fetched_when_a_token_names_it(provider):
    """After a rotation the first token of the new key has the keys fetched again; tokens of the old key go on."""

    async def work():
        async with _reading(provider) as (issuer, clock):
            check = _check(issuer)
            old = provider.token("ada")
            await _shown(check, old)
            provider.rotate()
            clock.at += RHYTHM.interval
            assert (await _shown(check, provider.token("bob"))).ref == ref_of(provider.url, "bob")
            assert (await _shown(check, old)).ref == ref_of(provider.url, "ada")

    asyncio.run(work())
    assert provider.fetches == 2


def test_a_flood_of_unknown_keys_costs_one_fetch_in_an_interval(provider):
    """However many tokens name keys that nobody has, the issuer is asked once in ten seconds; known keys go on."""

    async def work():
        async with _reading(provider) as (issuer, clock):
            check = _check(issuer)
            await _shown(check, provider.token())
            strangers = [provider.token(key=new_key()) for _ in range(20)]
            for text in strangers:
                assert await _why(_shown(check, text)) == "key"
            assert provider.fetches == 1
            clock.at += RHYTHM.interval
            found = await asyncio.gather(*(_why(_shown(check, text)) for text in strangers))
            assert set(found) == {"key"}
            assert provider.fetches == 2
            await _shown(check, provider.token("bob"))

    asyncio.run(work())
    assert provider.fetches == 2


def test_only_who_needs_a_new_key_waits(provider):
    """While a fetch is under way, tokens of known keys are checked at once, and those that wait do so together."""

    async def work():
        async with _reading(provider) as (issuer, clock):
            check = _check(issuer)
            await _shown(check, provider.token("ada"))
            provider.rotate()
            provider.mode = "slow"
            clock.at += RHYTHM.interval
            waiting = [asyncio.create_task(_shown(check, provider.token(f"new-{number}"))) for number in range(5)]
            await until(lambda: len(provider.asked) > 2)
            known = await _shown(check, provider.token("bob", key=first))
            assert known.ref == ref_of(provider.url, "bob")
            assert not any(task.done() for task in waiting)
            provider.held.set()
            assert {(await task).ref for task in waiting} == {
                ref_of(provider.url, f"new-{number}") for number in range(5)
            }

    first = provider.key
    asyncio.run(work())
    assert provider.fetches == 2


def test_who_waits_does_not_wait_for_ever(provider):
    """An issuer that takes connections and says nothing costs those who need it the deadline, then a 503."""

    async def work():
        provider.mode = "slow"
        async with _reading(provider, seconds=0.1) as (issuer, _):
            assert await _why(issuer.keys_for("k", "ES256")) == "timeout"
            assert await _why(issuer.keys_for("k", "ES256")) == "waiting"
            assert issuer.failures == 1

    asyncio.run(work())
    provider.held.set()


def test_only_so_many_wait(provider):
    """More than a hundred that wait for one fetch are sent away at once, and the fetch goes on for the others."""

    async def work():
        provider.mode = "slow"
        async with _reading(provider) as (issuer, _):
            waiting = [asyncio.create_task(issuer.keys_for(provider.key.kid, "ES256")) for _ in range(100)]
            await until(lambda: provider.asked)
            assert await _why(issuer.keys_for(provider.key.kid, "ES256")) == "waiting"
            provider.held.set()
            assert all([await task for task in waiting])

    asyncio.run(work())


def test_a_fetch_goes_on_when_whoever_began_it_has_gone(provider):
    """A caller that hangs up takes nobody else's answer with it."""

    async def work():
        provider.mode = "slow"
        async with _reading(provider) as (issuer, _):
            first = asyncio.create_task(issuer.keys_for(provider.key.kid, "ES256"))
            await until(lambda: provider.asked)
            second = asyncio.create_task(issuer.keys_for(provider.key.kid, "ES256"))
            await asyncio.sleep(0)
            first.cancel()
            provider.held.set()
            assert await second

    asyncio.run(work())
    assert provider.fetches == 1


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
        ("empty", "keys"),
    ],
)
def test_what_an_issuer_must_not_answer(provider, mode, why):
    """Errors, redirects, another issuer's document, plain HTTP elsewhere, too much and no keys are each refused."""

    async def work():
        provider.mode = mode
        async with _reading(provider) as (issuer, clock):
            assert await _why(issuer.keys_for(provider.key.kid, "ES256")) == why
            provider.mode = "good"
            assert await _why(issuer.keys_for(provider.key.kid, "ES256")) == "waiting"
            clock.at += RHYTHM.interval
            assert await issuer.keys_for(provider.key.kid, "ES256")
            assert issuer.failures == 0

    asyncio.run(work())
    assert "/elsewhere" not in provider.asked


def test_keys_are_kept_while_the_issuer_is_away_for_a_time(provider):
    """An issuer that is away costs nothing for as long as its keys are kept; then its tokens cannot be judged."""

    async def work():
        async with _reading(provider) as (issuer, clock):
            check = _check(issuer)
            await issuer.refresh()
            provider.close()
            for _ in range(3):
                clock.at += RHYTHM.keep / 4
                await issuer.refresh()
                assert (await _shown(check, provider.token())).ref == ref_of(provider.url, "ada")
            assert issuer.failures == 3
            assert issuer.age == 3 * RHYTHM.keep / 4
            clock.at += RHYTHM.keep / 4 + 1
            assert await _why(_shown(check, provider.token())) == "connect"

    asyncio.run(work())


def test_a_known_token_needs_no_issuer(provider):
    """A token that was found good stays so until it expires, whatever became of its issuer's keys meanwhile."""

    async def work():
        async with _reading(provider) as (issuer, clock):
            check = _check(issuer)
            now = float(int(time.time()))
            text = provider.token(exp=now + 100)
            await _shown(check, text, now)
            provider.close()
            clock.at += 2 * RHYTHM.keep
            assert await _shown(check, text, now + 99)
            assert await _why(_shown(check, text, now + 100)) in {"connect", "waiting"}

    asyncio.run(work())


def test_a_withdrawn_key_takes_its_tokens_with_it(provider):
    """When an issuer no longer publishes a key, tokens that it signed are checked again, and found bad."""

    async def work():
        told: list[frozenset[str]] = []
        async with _reading(provider) as (issuer, clock):
            check = _check(issuer)
            check.withdrawn = told.append
            text = provider.token()
            await _shown(check, text)
            assert check.known(key_digest(text))
            provider.rotate()
            clock.at += RHYTHM.refresh
            await issuer.refresh()
            assert told == []
            assert check.known(key_digest(text))
            provider.publish(provider.key)
            clock.at += RHYTHM.refresh
            await issuer.refresh()
            assert [len(keys) for keys in told] == [1]
            assert check.known(key_digest(text)) is None
            assert await _why(_shown(check, text)) == "key"

    asyncio.run(work())


def test_fetching_goes_on_after_whatever_failed(provider):
    """A failure of a kind that nobody thought of ends one fetch, and not the keeping fresh of every issuer's keys."""

    async def work():
        async with _reading(provider) as (issuer, clock):

            async def fails():
                clock.at += RHYTHM.interval
                raise ZeroDivisionError

            issuer._rhythm = Rhythm(refresh=0.01, retry=0.01, interval=RHYTHM.interval)
            vars(issuer).update(fetch=fails)
            keeping = asyncio.create_task(keep_fresh([issuer]))
            await until(lambda: issuer.fetches > 2)
            del vars(issuer)["fetch"]
            clock.at += RHYTHM.interval
            await until(lambda: issuer.keys.keys)
            keeping.cancel()

    asyncio.run(work())


def test_refreshing_keeps_its_distance(provider):
    """A refresh right after a fetch does nothing; keys are fetched again when their time has come."""

    async def work():
        async with _reading(provider) as (issuer, clock):
            assert issuer.pause == RHYTHM.refresh
            for _ in range(3):
                await issuer.refresh()
            assert provider.fetches == 1
            clock.at += RHYTHM.interval
            await issuer.refresh()
            provider.mode = "error"
            clock.at += RHYTHM.interval
            await issuer.refresh()
            assert issuer.pause == RHYTHM.retry
            assert issuer.fetches == 3

    asyncio.run(work())


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
