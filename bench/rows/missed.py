"""What memory lacks: a subject never asked about before, and how the number of consents in the database tells."""

from bench.processes import Server
from bench.questions import single
from bench.results import Row, compared
from bench.rows.warm import SINGLE, SUBJECTS, checked
from bench.world import MILLION, MILLION_CONSENTS, SMALL, SMALL_CONSENTS, World
from bench.wrk import Burst, Subjects, Target, interleaved, wrk


def against_select(world: World) -> list[Row]:
    """Another subject in each request, against one indexed SELECT over HTTP."""
    rounds, seconds = world.plan.rounds, world.plan.seconds
    cold = world.sceau("cold")
    checked(cold)
    ours = _cold(world, cold, world.plan.consents)
    theirs = _cold(world, world.application("raw"), world.plan.consents)
    found: dict[str, list[float]] = {"cold": [], "raw": []}
    for target in (ours, theirs):
        wrk(target, min(2, seconds))
    for _ in range(rounds):
        for target in (ours, theirs):
            found[target.name].append(wrk(target, seconds).rate)
    world.stop("cold")
    world.stop("raw")
    return [
        compared(
            "a miss (cold subject), against one raw psycopg SELECT",
            found["cold"],
            found["raw"],
            0.85,
            other="bench/apps/raw.py",
        )
    ]


def by_size(world: World) -> list[Row]:
    """The same load on ten thousand consents, a million, and all there are: from memory, and when all is missed."""
    world.hold_a_million()
    return [*_from_memory(world), *_from_the_database(world)]


def _from_memory(world: World) -> list[Row]:
    """Eight thousand subjects, spread evenly over all: no statement is sent, whatever the database holds."""
    sizes = _sizes(world)
    found = interleaved(
        [_spread(world, server, consents) for server, consents in sizes.values()], world.plan.rounds, world.plan.seconds
    )
    rows = _by_size("throughput from memory", sizes, found, "8,000 warm subjects, spread over all")
    for name in ("small", "million"):
        world.stop(name)
    return rows


def _from_the_database(world: World) -> list[Row]:
    """Every subject in turn, in scattered order, in a memory of two: each request reads another part of the tables."""
    sizes = _sizes(world, ", all missed", held=2)
    targets = []
    for server, consents in sizes.values():
        target = _cold(world, server, consents)
        assert target.subjects is not None
        target.subjects.scattered = True
        targets.append(target)
    found = interleaved(targets, world.plan.rounds, world.plan.seconds)
    rows = _by_size("throughput when every subject is missed", sizes, found, "all subjects in turn, scattered")
    for server, _ in sizes.values():
        world.stop(server.name)
    return rows


_Sizes = dict[str, tuple[Server, int]]


def _sizes(world: World, how: str = "", *, held: int = 200_000) -> _Sizes:
    """A server on each database, and how many consents that holds; each server holds so many subjects in memory."""
    sizes = {
        "small": (world.sceau(f"small{how}", database=SMALL, SCEAU_CACHE_SUBJECTS=str(held)), SMALL_CONSENTS),
        "million": (world.sceau(f"million{how}", database=MILLION, SCEAU_CACHE_SUBJECTS=str(held)), MILLION_CONSENTS),
    }
    if world.plan.consents != MILLION_CONSENTS:
        sizes["all"] = (world.sceau(f"sceau{how}", SCEAU_CACHE_SUBJECTS=str(held)), world.plan.consents)
    return sizes


def _by_size(what: str, sizes: _Sizes, found: dict[str, list[Burst]], other: str) -> list[Row]:
    small = [burst.rate for burst in found[sizes["small"][0].name]]
    return [
        compared(
            f"{what}: {consents:,} consents, against {SMALL_CONSENTS:,}",
            [burst.rate for burst in found[server.name]],
            small,
            0.9,
            other=other,
        )
        for server, consents in reversed(sizes.values())
        if consents != SMALL_CONSENTS
    ]


def numbered(consents: int) -> Subjects:
    """The subjects whose numbers have as many digits as the largest: nine tenths of them, for a power of ten."""
    first = 10 ** (len(str(consents - 1)) - 1)
    return Subjects(first, consents - first)


def whoever(subjects: Subjects) -> str:
    """A question whose subject is left open; the mark is as long as their numbers."""
    return single(0).replace("user0@", f"user{'#' * len(str(subjects.first))}@")


def _cold(world: World, server: Server, consents: int) -> Target:
    """Each subject once."""
    subjects = numbered(consents)
    target = world.target(server, f"cold-{consents}", lambda: [(SINGLE, whoever(subjects))])
    target.subjects = subjects
    return target


def _spread(world: World, server: Server, consents: int) -> Target:
    """Questions about eight thousand subjects, spread evenly over all there are."""
    subjects = numbered(consents)
    numbers = range(subjects.first, subjects.first + subjects.count, max(1, subjects.count // SUBJECTS))
    return world.target(server, f"spread-{consents}", lambda: ((SINGLE, single(number)) for number in numbers))
