"""The parts of a run: the service as it may be deployed, from memory or not, with each kind of decision log."""

import hashlib
import random
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.fuzz.checking import Checker
from bench.fuzz.facts import Facts
from bench.fuzz.fuzzer import Finding, Fuzzer
from bench.fuzz.leaks import LogWatch
from bench.fuzz.shrinking import Reproduction, shortest
from bench.fuzz.tokens import Tokens, published
from bench.fuzz.world import World
from bench.processes import Server, call, sceau
from bench.progress import say

KEY: Final = "sceau_" + "b" * 43
UNLIMITED: Final = {
    "SCEAU_RATE_LIMITS": "off",
}
PARTS: Final[Mapping[str, Mapping[str, str]]] = {
    "leased, log buffered": {"SCEAU_DECISION_LOG": "buffered"},
    "leased, no log": {"SCEAU_DECISION_LOG": "off"},
    "leased, log durable": {"SCEAU_DECISION_LOG": "durable"},
    "leased, hardly any memory": {"SCEAU_DECISION_LOG": "buffered", "SCEAU_CACHE_SUBJECTS": "2"},
    "strict, log buffered": {"SCEAU_CACHE": "strict", "SCEAU_DECISION_LOG": "buffered"},
    "strict, log durable": {"SCEAU_CACHE": "strict", "SCEAU_DECISION_LOG": "durable"},
}


@dataclass(slots=True)
class Stage:
    """One part: what was seen, and what was found, each with the shortest requests that show it again."""

    name: str
    seed: str
    seen: Counter[str] = field(default_factory=Counter)
    decisions: int = 0
    permits: int = 0
    tokens: int = 0
    findings: list[tuple[Finding, Reproduction]] = field(default_factory=list)


def environment(url: str, **more: str) -> dict[str, str]:
    """What a service under test is told."""
    return {
        "SCEAU_DATABASE_URL": url,
        "SCEAU_PSEUDONYM_KEY": "11" * 32,
        "SCEAU_MASTER_KEY": "first:" + "22" * 32,
        "SCEAU_BOOTSTRAP_KEY": KEY,
        "SCEAU_LOG_LEVEL": "DEBUG",
        "SCEAU_REGISTER_APPROVAL": "one",
        "SCEAU_DURABILITY": "local",
        **UNLIMITED,
        **more,
    }


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is asked at most, by which seed, and what is left out.

    It ends after so many findings; the shortest requests for each are sought for so many seconds.
    """

    seed: str
    requests: int
    seconds: float
    without: Collection[str] = ()
    findings: int = 5
    shrinking: float = 20.0


async def play_part(name: str, url: str, directory: Path, extent: Extent) -> Stage:
    """One part on a service of its own."""
    settings = environment(url, **PARTS[name])
    server = sceau(name.replace(",", "").replace(" ", "-"), settings, directory)
    try:
        return await play_at(server, directory / f"{server.name}.log", name, extent)
    finally:
        server.stop()


async def play_at(server: Server, log: Path, name: str, extent: Extent) -> Stage:
    """Fuzz a service that runs, in a world of its own on whatever database it has."""
    world = await made_world(server, extent.seed)
    return await play_in(world, LogWatch(log), name, extent)


async def made_world(server: Server, seed: str) -> World:
    """A world of its own on a service's database; its names come from the seed."""
    facts = Facts()
    facts.jwks = published(call(server.port, "GET", "/.well-known/jwks.json")[1])
    tag = f"{hashlib.sha256(seed.encode()).hexdigest()[:6]}-"
    world = World(server.port, KEY, facts, random.Random(seed), tag)
    try:
        await world.make()
    finally:
        world.close()
    return world


async def play_in(world: World, watch: LogWatch, name: str, extent: Extent) -> Stage:
    """Fuzz the service of a world, and find the shortest requests that show each finding."""
    checker = Checker(world.facts, Tokens(world.facts))
    fuzzer = Fuzzer(world, checker, extent.seed, extent.without)
    stage = Stage(name, extent.seed, fuzzer.seen)
    say(f"{name}: seed {extent.seed}")
    try:
        await fuzzer.run(requests=extent.requests, seconds=extent.seconds, most=extent.findings, look=watch.look)
        for finding in fuzzer.findings:
            say(f"{name}: found: {finding.what[:600]}")
            stage.findings.append((finding, await shortest(fuzzer, finding, extent.shrinking)))
    finally:
        fuzzer.close()
        world.close()
    stage.decisions, stage.permits, stage.tokens = checker.decisions, checker.permits, checker.tokens.checked
    return stage
