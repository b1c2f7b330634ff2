"""How long answers take: decisions at half of the maximum rate, and withdrawals with four workers."""

import subprocess
from dataclasses import asdict
from pathlib import Path

from bench.figures import Spread, ratios
from bench.generator import Times
from bench.processes import Server, apart
from bench.progress import say
from bench.questions import single, withdrawal
from bench.results import Row, bounded, left_out
from bench.rows.warm import SINGLE, SUBJECTS, single_target
from bench.world import World, generated
from bench.wrk import warm_up, write_requests, wrk

WITHDRAWALS = "/v1/withdrawals"
_STORM = 10_000
_STORM_RATE = 600
_BACKGROUND = 500
_WARMING = 8
"""How often everything is asked first: which of four workers answers is left to chance, so that each meets it once."""


def half_rate(world: World) -> list[Row]:
    """The tail at half of the maximum rate, in open loop, against that of a constant at the same rate.

    The constant tells what this machine and this generator do to a tail, whatever answers.
    """
    server, constant = world.sceau(), world.application("bare")
    target = single_target(world, server)
    warm_up(target, world.plan.seconds)
    full = max(wrk(target, world.plan.seconds).rate for _ in range(2))
    rate = full / 2
    requests, count = _numbered(world), int(rate * max(3, world.plan.seconds) * 1.1)
    found: list[Times] = []
    bare: list[Times] = []
    for _ in range(world.plan.rounds):
        for measured, times in ((server, found), (constant, bare)):
            with apart(measured):
                times.append(generated(world.generate(measured, requests, count=count, rate=rate, apart=1)))
    middle = Spread.of([each.p50 for each in found]).middle
    tail = Spread.of([each.p99 for each in found]).middle
    lag = Spread.of([each.lag_p99 for each in found]).middle
    of_bare = Spread.of([each.p99 for each in bare]).middle
    return [
        bounded(
            "p99 at half of the maximum rate, open loop, against that of a constant",
            Spread.of(ratios([each.p99 for each in found], [each.p99 for each in bare])),
            1.5,
            "×",
            detail=f"{tail:.2f} ms against {of_bare:.2f} ms at {rate:,.0f}/s; median {middle:.2f} ms; the generator's "
            f"own lag p99 {lag:.3f} ms",
            rounds=[asdict(each) for each in (*found, *bare)],
        )
    ]


def logged_rate(world: World) -> list[Row]:
    """The tail with the decision log and without, at one constant rate that both can keep up with."""
    servers = [world.sceau(), world.sceau("logged", SCEAU_DECISION_LOG="buffered")]
    targets = [single_target(world, server) for server in servers]
    for target in targets:
        warm_up(target, world.plan.seconds)
    rate = min(wrk(target, world.plan.seconds).rate for target in targets) / 4
    requests, count = _numbered(world), int(rate * max(3, world.plan.seconds))
    without: list[Times] = []
    with_log: list[Times] = []
    for _ in range(world.plan.rounds):
        for server, found in zip(servers, (without, with_log), strict=True):
            with apart(server):
                found.append(generated(world.generate(server, requests, count=count, rate=rate, apart=1)))
    tails = [Spread.of([each.p99 for each in found]).middle for found in (without, with_log)]
    return [
        bounded(
            "p99 with the log against without, open loop at the same rate",
            Spread.of([logged.p99 / plain.p99 for logged, plain in zip(with_log, without, strict=True)]),
            1.5,
            "×",
            detail=f"{tails[1]:.2f} ms against {tails[0]:.2f} ms at {rate:,.0f}/s",
            rounds=[asdict(each) for each in (*without, *with_log)],
        )
    ]


def withdrawals(world: World) -> list[Row]:
    """Withdrawals answered by four workers, confirmation included: alone, and while decisions are asked for."""
    if world.plan.consents < 4 * SUBJECTS:
        return [left_out("withdrawal answered, 4 workers", "needs at least 32,000 consents")]
    server = world.sceau("four", workers=4)
    count = 100 if world.plan.quick else 500
    alone, busy = [], []
    for turn in range(world.plan.rounds):
        alone.append(_withdraw(world, server, 2 * turn, count))
        background = world.generate(server, _numbered(world), count=10**9, rate=_BACKGROUND)
        busy.append(_withdraw(world, server, 2 * turn + 1, count))
        background.kill()
        background.wait()
    return [
        bounded(name, Spread.of(found), most, "ms", detail=detail)
        for name, found, most, detail in (
            ("withdrawal answered, 4 workers: p99", alone, 50, f"{count:,} a round, 4 connections, nothing else asked"),
            (
                "withdrawal answered, 4 workers, while decisions are asked for: p99",
                busy,
                100,
                f"the same beside {_BACKGROUND} decisions a second",
            ),
        )
    ]


def storm(world: World) -> list[Row]:
    """What ten thousand withdrawals, as fast as they are answered, do to the decisions asked for meanwhile."""
    if world.plan.consents < 4 * SUBJECTS:
        return [left_out("revocation storm", "needs at least 32,000 consents")]
    server = world.sceau("four", workers=4)
    count = 1_000 if world.plan.quick else _STORM
    requests = _numbered(world)
    say("storm: asking everything of every worker first")
    generated(world.generate(server, requests, count=_WARMING * 2 * SUBJECTS))

    def asked() -> Times:
        """The same questions each time."""
        return generated(world.generate(server, requests, count=_BACKGROUND * 2, rate=_BACKGROUND))

    before = [asked() for _ in range(1 if world.plan.quick else 10)]
    withdrawing = _withdrawing(world, server, 1_000, count, connections=16)
    during = []
    while withdrawing.poll() is None:
        during.append(asked())
    told = generated(withdrawing)
    world.stop("four")
    tails, quiet = (Spread.of([each.p99 for each in found]) for found in (during, before))
    withdrawn = count / told.seconds
    return [
        bounded(
            f"revocation storm: p99 of decisions during {count:,} withdrawals, against before",
            Spread.of([each.p99 / quiet.middle for each in during]),
            2,
            "×",
            detail=f"{tails.middle:.2f} ms against {quiet.middle:.2f} ms; {sum(each.sent for each in during):,} "
            f"decisions at {_BACKGROUND}/s, all warm, 4 workers",
            before=[asdict(each) for each in before],
            during=[asdict(each) for each in during],
        ),
        Row(
            "revocation storm: withdrawals answered",
            f"{withdrawn:,.0f}/s",
            f"≥ {_STORM_RATE}/s",
            withdrawn >= _STORM_RATE,
            detail=f"16 connections, p99 {told.p99:.1f} ms",
            measured={"storm": asdict(told)},
        ),
    ]


def _withdraw(world: World, server: Server, turn: int, count: int) -> float:
    return generated(_withdrawing(world, server, turn, count, connections=4)).p99


def _withdrawing(world: World, server: Server, turn: int, count: int, *, connections: int) -> subprocess.Popen[str]:
    """Withdrawals of consents that no other turn touches: taken from the last subject backwards."""
    room = max(1, world.plan.consents - SUBJECTS - count)
    last = SUBJECTS + room - 1 - (turn * count) % room
    path = world.scratch / f"withdrawals-{turn}.requests"
    write_requests(path, ((WITHDRAWALS, withdrawal(number)) for number in range(last, last + count)))
    return world.generate(server, path, count=count, connections=connections)


def _numbered(world: World) -> Path:
    """Single questions for the generator, each about a correspondence of its own."""
    path = world.scratch / "numbered.requests"
    if not path.exists():
        numbered = ((SINGLE, single(n % SUBJECTS).replace("@" * 12, f"{n:012x}")) for n in range(2 * SUBJECTS))
        write_requests(path, numbered)
    return path
