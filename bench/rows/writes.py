"""The cost curve: the same decisions with none, a hundredth and a tenth of writes among them."""

from collections.abc import Iterator
from functools import partial

from bench.figures import Spread
from bench.processes import Server
from bench.questions import grant, single, withdrawal
from bench.results import Row
from bench.rows.times import WITHDRAWALS
from bench.rows.warm import SINGLE, SUBJECTS
from bench.world import World, generated
from bench.wrk import interleaved, write_requests

_SHARES = (0, 100, 10)
_WORKERS = 2


def curve(world: World) -> list[Row]:
    """Requests a second and their p99, by the share of writes."""
    server = world.sceau("mixed", workers=_WORKERS)  # one worker alone would have nobody to wait for
    targets = []
    for one_in in _SHARES:
        target = world.target(server, f"one-in-{one_in}", partial(_mixed, one_in))
        target.asked_first = 0 if one_in else 2 * _WORKERS  # the first warms all of them: they ask the same
        target.name = f"{100 / one_in if one_in else 0:g} % writes"
        targets.append(target)
    found = interleaved(targets, world.plan.rounds, world.plan.seconds)
    _grant_again(world, server)
    world.stop("mixed")
    rows = []
    for name, bursts in found.items():
        rate, tail = Spread.of([burst.rate for burst in bursts]), Spread.of([burst.p99 for burst in bursts])
        rows.append(
            Row(
                f"cost curve: {name}",
                f"{rate.middle:,.0f}/s ({rate.least:,.0f}–{rate.greatest:,.0f})",
                detail=f"p99 {tail.middle:.1f} ms; {_WORKERS} workers, 16 connections, writes confirmed",
                measured={"rates": [burst.rate for burst in bursts], "p99": [burst.p99 for burst in bursts]},
            )
        )
    return rows


def _grant_again(world: World, server: Server) -> None:
    """What was withdrawn: a directory that is kept is to hold what it held."""
    path = world.scratch / "grants.requests"
    write_requests(path, (("/v1/consents", grant(number)) for number in range(0, SUBJECTS, min(filter(None, _SHARES)))))
    generated(world.generate(server, path, count=SUBJECTS // min(filter(None, _SHARES)), connections=8))


def _mixed(one_in: int) -> Iterator[tuple[str, str]]:
    for number in range(SUBJECTS):
        if one_in and number % one_in == 0:
            # A withdrawal and a grant in turn, of the subjects that are asked about.
            again = number % (2 * one_in) == 0
            yield ("/v1/consents", grant(number)) if again else (WITHDRAWALS, withdrawal(number))
        yield SINGLE, single(number)
