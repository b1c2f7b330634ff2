"""The cost curve: the same decisions with none, a hundredth and a tenth of writes among them."""

from collections.abc import Iterator
from functools import partial

from bench.figures import Spread
from bench.questions import grant, single, withdrawal
from bench.results import Row
from bench.rows.times import WITHDRAWALS
from bench.rows.warm import SINGLE, SUBJECTS
from bench.world import World
from bench.wrk import interleaved

_SHARES = (0, 100, 10)


def curve(world: World) -> list[Row]:
    """Requests a second and their p99, by the share of writes."""
    server = world.sceau("mixed")
    targets = []
    for one_in in _SHARES:
        target = world.target(server, f"one-in-{one_in}", partial(_mixed, one_in))
        target.name = f"{100 / one_in if one_in else 0:g} % writes"
        targets.append(target)
    found = interleaved(targets, world.plan.rounds, world.plan.seconds)
    world.stop("mixed")
    rows = []
    for name, bursts in found.items():
        rate, tail = Spread.of([burst.rate for burst in bursts]), Spread.of([burst.p99 for burst in bursts])
        rows.append(
            Row(
                f"cost curve: {name}",
                f"{rate.middle:,.0f}/s ({rate.least:,.0f}–{rate.greatest:,.0f})",
                detail=f"p99 {tail.middle:.1f} ms; one worker, 16 connections, writes confirmed",
                measured={"rates": [burst.rate for burst in bursts], "p99": [burst.p99 for burst in bursts]},
            )
        )
    return rows


def _mixed(one_in: int) -> Iterator[tuple[str, str]]:
    for number in range(SUBJECTS):
        if one_in and number % one_in == 0:
            # A withdrawal and a grant in turn, of the subjects that are asked about.
            again = number % (2 * one_in) == 0
            yield ("/v1/consents", grant(number)) if again else (WITHDRAWALS, withdrawal(number))
        yield SINGLE, single(number)
