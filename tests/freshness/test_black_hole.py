"""A feed whose network swallows everything without an error, at each step that waits for an answer."""

import asyncio
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from bench.stale.proxy import Proxy
from tests.freshness.gate import until
from tests.freshness.sites import SHORT, play
from tests.support.databases import APP_ROLE


async def proxied(world, work):
    """B's feed goes through a proxy."""
    host = unquote(parse_qs(urlsplit(world.database.app_url).query)["host"][0])
    proxy = Proxy(lambda: Path(host) / ".s.PGSQL.5432")
    await proxy.start()
    url = f"postgresql://{APP_ROLE}@127.0.0.1:{proxy.port}/{world.database.name}"
    world.b.feed._url = world.b.replica._notifier._url = url
    try:
        await world.begin()
        return await work(world, proxy)
    finally:
        await proxy.stop()


async def while_it_beats(world, proxy):
    """The hole opens between two beats; the connection that lost bytes stays dead."""
    await world.fill(world.b)
    proxy.hole(lost=True)
    await world.withdraw()
    permitted = await world.ask(world.b)
    proxy.clear()
    await until(world.b.lease.held)
    return permitted or await world.ask(world.b)


async def while_it_registers(world, proxy):
    """The hole opens when B has just connected again."""
    await world.fill(world.b)
    world.b.before_registration.close()
    world.cut_feed(world.b)
    await until(lambda: world.b.before_registration.waiting)
    proxy.hole(lost=True)
    world.b.before_registration.open()
    await until(lambda: proxy.swallowed)
    proxy.clear()
    await world.withdraw()
    permitted = await world.ask(world.b)
    await until(world.b.lease.held)
    return permitted or await world.ask(world.b)


async def late_delivery(world, proxy):
    """The hole keeps bytes back and delivers them when the withdrawal has been answered."""
    await world.fill(world.b)
    proxy.hole(lost=False)
    await world.withdraw()
    proxy.clear()
    permitted = [await world.ask(world.b) for _ in range(20)]
    await until(world.b.lease.held)
    return any(permitted) or await world.ask(world.b)


@pytest.mark.parametrize("when", [while_it_beats, while_it_registers, late_delivery])
def test_a_black_hole_ends_the_lease_and_not_the_feed(database, when):
    """A black hole leads to no stale permit, and B decides from memory again when the network is back."""
    assert not play(partial(proxied, work=when), database, SHORT)


async def stopping(world, proxy):
    """B is asked to stop while nothing answers."""
    proxy.hole(lost=True)
    await until(lambda: proxy.swallowed)
    await asyncio.wait_for(world.b.replica.stop(), timeout=10)
    return world.b.lease.held()


def test_a_black_hole_does_not_keep_a_process_from_stopping(database):
    """B stops within ten seconds while its network swallows everything, and holds no lease afterwards."""
    assert not play(partial(proxied, work=stopping), database, SHORT)
