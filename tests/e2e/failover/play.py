"""Scenes of the reference deployment: services, load, faults one after the other, and what came of it."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from tests.e2e.failover.calls import Records, Services
from tests.e2e.failover.cluster import Cluster, until
from tests.e2e.failover.faults import Promotion, fail_over, let_go_on, stop_receiving, undo
from tests.e2e.failover.findings import Findings, judge, measure
from tests.e2e.failover.load import loaded
from tests.e2e.failover.worlds import World
from tests.faults.service import Service, children, eventually

_CALM: Final = 2.0
"""Seconds of load before a fault, and after the promotion before it is undone."""
_LOSES: Final = 4.0
"""Seconds for which an asynchronous standby takes nothing."""
_SETTINGS: Final = {
    "SCEAU_POOL_SIZE": "4",
    "SCEAU_RATE_LIMITS": "off",
}


def say(line: str) -> None:
    """Tell how far it has come."""
    print(f"failover: {line}", flush=True)


@contextmanager
def serving(cluster: Cluster, durability: str, addresses: Sequence[str]) -> Iterator[list[Service]]:
    """Two services, each with two workers, on DSNs of the cluster."""
    started: list[Service] = []
    try:
        for number, address in enumerate(addresses):
            settings = {**_SETTINGS, "SCEAU_DATABASE_URL": address, "SCEAU_DURABILITY": durability}
            output = cluster.place / f"service-{durability}-{number}.log"
            started.append(Service(output, settings, workers=2).wait_until_it_listens())
        for service in started:
            eventually(partial(_is_leased, service))
        yield started
    finally:
        for service in started:
            service.end()


def fail_over_again_and_again(cluster: Cluster, kinds: Sequence[str], addresses: Sequence[str], seed: int) -> Findings:
    """Break the primary in each of those ways, one after the other, under load; judge everything at the end."""
    records, promotions = Records(), list[Promotion]()
    with serving(cluster, "synchronous", addresses) as started:
        before = [family(service) for service in started]
        services = Services([address(service) for service in started], records)
        worlds = asyncio.run(_under_load(cluster, services, kinds, promotions, seed))
        after = [family(service) for service in started]
    findings = judge(records, worlds, cluster.wait_until_whole().sql, promotions)
    findings.failovers = [measure(each, records, len(addresses)) for each in promotions]
    for number, (first, last) in enumerate(zip(before, after, strict=True)):
        findings.restarted += [f"service {number}: {pid} {name}" for pid, name in first.items() if pid not in last]
    return findings


async def _under_load(
    cluster: Cluster, services: Services, kinds: Sequence[str], promotions: list[Promotion], seed: int
) -> list[World]:
    async with services, loaded(services, seed) as load:
        for kind in kinds:
            await asyncio.sleep(_CALM)
            promotion = await asyncio.to_thread(fail_over, cluster, kind)
            promotions.append(promotion)
            say(f"{kind}: {promotion.new} follows {promotion.old} after {promotion.promoted - promotion.began:.1f} s")
            await _until_answered(services, promotion)
            await asyncio.sleep(_CALM)
            await asyncio.to_thread(undo, cluster, promotion)
            say(f"{kind}: whole again {promotion.whole - promotion.undone:.1f} s after it was undone")
        await asyncio.sleep(_CALM)
    return load.worlds


async def _until_answered(services: Services, promotion: Promotion) -> None:
    """Wait until every service has answered under IV again."""

    def answered() -> bool:
        after = {each.service for each in services.records.decided if each.start >= promotion.promoted}
        return len(after) == len(services)

    await asyncio.to_thread(eventually, answered)


def lose_an_asynchronous_standby(cluster: Cluster, addresses: Sequence[str], seed: int) -> Findings:
    """Control: nobody waits for standbys, which lag; the primary is killed, and what it alone had is gone.

    Sceau notices it, and answers nothing of IV until somebody says what is lost.
    """
    cluster.set_synchronous(wanted=False)
    records = Records()
    with serving(cluster, "local", addresses) as started:
        services = Services([address(service) for service in started], records)
        worlds = asyncio.run(_lagging(cluster, services, started, seed))
    return judge(records, worlds, cluster.wait_until_whole().sql)


async def _lagging(cluster: Cluster, services: Services, started: Sequence[Service], seed: int) -> list[World]:
    async with services, loaded(services, seed) as load:
        await asyncio.sleep(_CALM)
        primary = await asyncio.to_thread(cluster.wait_until_whole)
        others = [node for node in cluster.nodes if node is not primary]
        stop_receiving(others)
        await asyncio.sleep(_LOSES)
        primary.kill()
        let_go_on(others)
        began = time.monotonic()
        new = await asyncio.to_thread(lambda: until(lambda: cluster.primary(others)))
        promotion = Promotion("control", primary.name, new.name, began, time.monotonic())
        await asyncio.to_thread(_accept_what_is_lost, started)
        await _until_answered(services, promotion)
        await asyncio.sleep(_CALM)
        primary.start()
    return load.worlds


def _accept_what_is_lost(started: Sequence[Service]) -> None:
    """Wait until every service says that its database was set back, and accept it as it is."""
    for service in started:
        eventually(partial(_is_set_back, service))
    started[0].ok(
        "POST", "/v1/proposals", {"kind": "restore", "lost": "What was written while the standbys received nothing."}
    )


def _is_set_back(service: Service) -> bool:
    ready = service.call("GET", "/readyz?need=IV").json()
    return bool(ready.get("type", "").endswith("restored-behind"))


def _is_leased(service: Service) -> bool:
    return service.call("GET", "/readyz").json().get("leased") is True


def address(service: Service) -> str:
    """Where a service listens."""
    return f"http://127.0.0.1:{service.port}"


def family(service: Service) -> dict[int, str]:
    """A service's processes, by pid: all that it started, with what they are."""
    parents, new = {}, [service.process.pid]
    while new:
        pid = new.pop()
        parents[pid] = Path(f"/proc/{pid}/comm").read_text().strip()
        new += children(pid)
    return parents
