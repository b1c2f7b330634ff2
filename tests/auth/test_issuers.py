"""An issuer's keys: fetched seldom, kept while it is away, and asked for again when a new one is needed."""

import asyncio
import time

import pytest

from app.auth.callers import key_digest
from app.auth.issuers import Rhythm
from tests.auth.reading import RHYTHM, check_of, reading, shown, why_of
from tests.freshness.gate import until
from tests.support.issuer import new_key, ref_of


async def test_keys_are_fetched_once_for_many_tokens(provider):
    """Many tokens of known keys cost one fetch, and each token one check of its signature."""
    async with reading(provider) as (issuer, _):
        check = check_of(issuer)
        texts = [provider.token(f"subject-{number}") for number in range(5)]
        for text in texts * 3:
            assert (await shown(check, text)).ref
        assert check.accepted == 5
    assert provider.fetches == 1


async def test_a_new_key_is_fetched_when_a_token_names_it(provider):
    """After a rotation the first token of the new key has the keys fetched again; tokens of the old key go on."""
    async with reading(provider) as (issuer, clock):
        check = check_of(issuer)
        old = provider.token("ada")
        await shown(check, old)
        provider.rotate()
        clock.at += RHYTHM.interval
        assert (await shown(check, provider.token("bob"))).ref == ref_of(provider.url, "bob")
        assert (await shown(check, old)).ref == ref_of(provider.url, "ada")
    assert provider.fetches == 2


async def test_a_flood_of_unknown_keys_costs_one_fetch_in_an_interval(provider):
    """However many tokens name keys that nobody has, the issuer is asked once in ten seconds; known keys go on."""
    async with reading(provider) as (issuer, clock):
        check = check_of(issuer)
        await shown(check, provider.token())
        strangers = [provider.token(key=new_key()) for _ in range(20)]
        for text in strangers:
            assert await why_of(shown(check, text)) == "key"
        assert provider.fetches == 1
        clock.at += RHYTHM.interval
        outcomes = await asyncio.gather(*(why_of(shown(check, text)) for text in strangers))
        assert set(outcomes) == {"key"}
        assert provider.fetches == 2
        await shown(check, provider.token("bob"))
    assert provider.fetches == 2


async def test_only_who_needs_a_new_key_waits(provider):
    """While a fetch is under way, tokens of known keys are checked at once, and those that wait do so together."""
    first = provider.key
    async with reading(provider) as (issuer, clock):
        check = check_of(issuer)
        await shown(check, provider.token("ada"))
        provider.rotate()
        provider.mode = "slow"
        clock.at += RHYTHM.interval
        waiting = [asyncio.create_task(shown(check, provider.token(f"new-{number}"))) for number in range(5)]
        await until(lambda: len(provider.asked) > 2)
        caller = await shown(check, provider.token("bob", key=first))
        assert caller.ref == ref_of(provider.url, "bob")
        assert not any(task.done() for task in waiting)
        provider.held.set()
        assert {(await task).ref for task in waiting} == {ref_of(provider.url, f"new-{number}") for number in range(5)}
    assert provider.fetches == 2


async def test_only_so_many_wait(provider):
    """More than a hundred that wait for one fetch are sent away at once, and the fetch goes on for the others."""
    provider.mode = "slow"
    async with reading(provider) as (issuer, _):
        waiting = [asyncio.create_task(issuer.keys_for(provider.key.kid, "ES256")) for _ in range(100)]
        await until(lambda: provider.asked)
        assert await why_of(issuer.keys_for(provider.key.kid, "ES256")) == "waiting"
        provider.held.set()
        assert all([await task for task in waiting])


async def test_a_fetch_goes_on_when_whoever_began_it_has_gone(provider):
    """A caller that hangs up takes nobody else's answer with it."""
    provider.mode = "slow"
    async with reading(provider) as (issuer, _):
        first = asyncio.create_task(issuer.keys_for(provider.key.kid, "ES256"))
        await until(lambda: provider.asked)
        second = asyncio.create_task(issuer.keys_for(provider.key.kid, "ES256"))
        await asyncio.sleep(0)
        first.cancel()
        provider.held.set()
        assert await second
    assert provider.fetches == 1


async def test_keys_are_kept_while_the_issuer_is_away_for_a_time(provider):
    """An issuer that is away costs nothing while its keys are kept; then none of its tokens is good, new or known."""
    withdrawn: list[frozenset[str]] = []
    async with reading(provider) as (issuer, clock):
        check = check_of(issuer)
        check.withdrawn = withdrawn.append
        await issuer.refresh()
        known = provider.token()
        await shown(check, known)
        provider.close()
        for _ in range(3):
            clock.at += RHYTHM.keep / 4
            await issuer.refresh()
            for text in (known, provider.token("bob")):
                assert (await shown(check, text)).signed_by
        assert issuer.failures == 3
        assert issuer.age == 3 * RHYTHM.keep / 4
        assert withdrawn == []
        clock.at += RHYTHM.keep / 4 + 1  # the machine slept: no fetch came by then
        assert await why_of(shown(check, provider.token("carol")))
        assert [len(keys) for keys in withdrawn] == [1]
        for text in (known, provider.token("bob")):
            assert await why_of(shown(check, text)) == "waiting"


async def test_a_known_token_ends_in_time(provider):
    """A token that was found good stays so without its issuer, until it expires."""
    async with reading(provider) as (issuer, _):
        check = check_of(issuer)
        now = float(int(time.time()))
        text = provider.token(exp=now + 100)
        await shown(check, text, now)
        provider.close()
        assert await shown(check, text, now + 99)
        assert await why_of(shown(check, text, now + 100)) == "expired"


async def test_a_withdrawn_key_takes_its_tokens_with_it(provider):
    """When an issuer no longer publishes a key, tokens that it signed are checked again, and found bad."""
    withdrawn: list[frozenset[str]] = []
    async with reading(provider) as (issuer, clock):
        check = check_of(issuer)
        check.withdrawn = withdrawn.append
        text = provider.token()
        await shown(check, text)
        assert check.remembered(key_digest(text))
        provider.rotate()
        clock.at += RHYTHM.refresh
        await issuer.refresh()
        assert withdrawn == []
        assert check.remembered(key_digest(text))
        provider.publish(provider.key)
        clock.at += RHYTHM.refresh
        await issuer.refresh()
        assert [len(keys) for keys in withdrawn] == [1]
        assert check.remembered(key_digest(text)) is None
        assert await why_of(shown(check, text)) == "key"


OTHERS = [new_key() for _ in range(101)]


@pytest.mark.parametrize(
    ("published", "good"),
    [
        ([], []),
        ([{**OTHERS[0].as_dict(private=False), "use": "enc"}], []),
        ([each.as_dict(private=False) for each in OTHERS], OTHERS[:100]),
    ],
    ids=["empty", "only a key for encryption", "too long"],
)
async def test_any_key_set_replaces_the_one_before(provider, published, good):
    """Keys end when the issuer answers a set without them: an empty one, one of other uses, or one that is too long."""
    async with reading(provider) as (issuer, clock):
        check = check_of(issuer)
        text = provider.token()
        await shown(check, text)
        provider.published = published
        clock.at += RHYTHM.refresh
        await issuer.refresh()
        assert issuer.failures == 0
        assert [each.key_id for each in issuer.keys.keys] == [each.kid for each in good]
        for seconds in (0, RHYTHM.interval):
            clock.at += seconds
            for withdrawn in (text, provider.token("another")):
                assert await why_of(shown(check, withdrawn)) == "key"
        for key in good[-1:]:
            await shown(check, provider.token(key=key))


async def test_fetching_goes_on_after_whatever_failed(provider):
    """A failure of a kind that nobody thought of ends one fetch, and not the keeping fresh of every issuer's keys."""
    async with reading(provider) as (issuer, clock):

        async def fails():
            clock.at += RHYTHM.interval
            raise ZeroDivisionError

        issuer._rhythm = Rhythm(refresh=0.01, retry=0.01, interval=RHYTHM.interval)
        vars(issuer).update(fetch=fails)
        keeping = asyncio.create_task(check_of(issuer).keep())
        await until(lambda: issuer.fetches > 2)
        del vars(issuer)["fetch"]
        clock.at += RHYTHM.interval
        await until(lambda: issuer.keys.keys)
        assert not keeping.done()
        keeping.cancel()


async def test_refreshing_keeps_its_distance(provider):
    """A refresh right after a fetch does nothing; keys are fetched again when their time has come."""
    async with reading(provider) as (issuer, clock):
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
