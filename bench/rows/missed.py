"""What memory lacks: a subject never asked about before, and how the number of consents in the database tells."""

from bench.processes import Server
from bench.questions import single
from bench.results import Row, compared
from bench.rows.warm import SINGLE, checked, single_target
from bench.world import SMALL, SMALL_CONSENTS, World
from bench.wrk import Target, interleaved, wrk

_NUMBER = "######"


def against_select(world: World) -> list[Row]:
    """Another subject in each request, against one indexed SELECT over HTTP."""
    first, last = _range(world.plan.consents)
    rounds, seconds = world.plan.rounds, world.plan.seconds
    cold = world.sceau("cold")
    checked(cold)
    ours = _cold(world, cold, first, last)
    theirs = _cold(world, world.application("raw"), first, last)
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
    """The same load on a database of ten thousand consents and on the large one."""
    rounds, seconds = world.plan.rounds, world.plan.seconds
    small, large = world.sceau("small", database=SMALL), world.sceau()
    warm = interleaved([single_target(world, large), single_target(world, small)], rounds, seconds)
    rows = [
        compared(
            f"throughput at {world.plan.consents:,} consents, against {SMALL_CONSENTS:,}",
            [burst.rate for burst in warm["sceau"]],
            [burst.rate for burst in warm["small"]],
            0.9,
            other="warm",
        )
    ]
    world.stop("small")
    small = world.sceau("small, every subject missed", database=SMALL, SCEAU_CACHE_SUBJECTS="2")
    large = world.sceau("large, every subject missed", SCEAU_CACHE_SUBJECTS="2")
    first, last = _range(world.plan.consents)
    targets = [_spread(world, large, first, last), _spread(world, small, 0, SMALL_CONSENTS - 1)]
    missed = interleaved(targets, rounds, seconds)
    rows.append(
        compared(
            "the same when every subject is missed",
            [burst.rate for burst in missed[large.name]],
            [burst.rate for burst in missed[small.name]],
            0.9,
            other="a cache of two subjects",
        )
    )
    world.stop(small.name)
    world.stop(large.name)
    return rows


def _range(consents: int) -> tuple[int, int]:
    """The subjects whose numbers have as many digits as the mark, or as there are."""
    digits = min(len(_NUMBER), len(str(consents - 1)))
    return 10 ** (digits - 1), min(consents, 10**digits) - 1


def _cold(world: World, server: Server, first: int, last: int) -> Target:
    """Numbers from the first on, each once; the file's mark is as long as they are."""
    mark = "#" * len(str(last))
    text = single(0).replace("user0@", f"user{mark}@")
    target = world.target(server, "cold", lambda: [(SINGLE, text)])
    target.first = first
    return target


def _spread(world: World, server: Server, first: int, last: int) -> Target:
    """Questions about eight thousand subjects, spread evenly over all there are."""
    step = max(1, (last - first) // 8_000)
    numbers = range(first, last, step)
    return world.target(server, f"spread-{last}", lambda: ((SINGLE, single(number)) for number in numbers))
