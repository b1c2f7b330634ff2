"""One decision, warm: with and without the decision log, against a constant, what a team would write, and Cerbos."""

from bench import cerbos as other_point
from bench.figures import Spread, ratios
from bench.processes import Server, call
from bench.questions import PROCESSING, batch, cerbos, single
from bench.results import Row, bounded, compared, left_out
from bench.world import KEY, World
from bench.wrk import BenchError, Burst, Target, interleaved

SUBJECTS = 8_000
SINGLE = "/access/v1/evaluation"
BATCH = "/access/v1/evaluations"
SIZE = 50
_BATCHES = 150
_WARM = "one decision, warm, against a bare uvicorn app"


def single_target(world: World, server: Server) -> Target:
    """Single questions about many subjects, for whatever answers at that path."""
    checked(server)
    return world.target(server, "single", lambda: ((SINGLE, single(number)) for number in range(SUBJECTS)))


def checked(server: Server) -> None:
    """Refuse a server that does not permit what it should.

    Raises:
        BenchError: it does not.

    """
    status, answer = call(server.port, "POST", SINGLE, single(1), key=KEY)
    if status != 200 or answer["decision"] is not True:  # noqa: PLR2004 - HTTP
        raise BenchError(f"{server.name} does not permit what it should: {status} {answer}")


def measure(world: World) -> list[Row]:
    """All that is warm, in one interleaved measurement."""
    singles = [
        single_target(world, world.sceau()),
        single_target(world, world.sceau("logged", SCEAU_DECISION_LOG="buffered")),
        single_target(world, world.application("bare")),
        single_target(world, world.application("alternative")),
    ]
    batches = [_batch_target(world, world.sceau(), "batch of 50")]
    why = ""
    try:
        point = world.server("cerbos", lambda: other_point.start(world.scratch))
    except BenchError as error:
        why = str(error)
    else:
        path = other_point.PATH
        singles.append(world.target(point, "cerbos", lambda: ((path, cerbos(n, 1)) for n in range(SUBJECTS))))
        listed = world.target(point, "cerbos50", lambda: ((path, cerbos(n * SIZE, SIZE)) for n in range(_BATCHES)))
        listed.name = "cerbos batch of 50"
        batches.append(listed)
    found = interleaved([*singles, *batches], world.plan.rounds, world.plan.seconds)
    world.facts["warm"] = {name: [burst.rate for burst in bursts] for name, bursts in found.items()}
    world.facts["rate"] = Spread.of([burst.rate for burst in found["sceau"]]).middle
    return [*_own(found), *_against_cerbos(found, why)]


def _batch_target(world: World, server: Server, name: str) -> Target:
    status, answer = call(server.port, "POST", BATCH, batch(0, SIZE), key=KEY)
    if status != 200 or not all(each["decision"] for each in answer["evaluations"]):  # noqa: PLR2004 - HTTP
        raise BenchError(f"a batch is not permitted as it should be: {status}")
    target = world.target(server, "batch", lambda: ((BATCH, batch(n * SIZE, SIZE)) for n in range(_BATCHES)))
    target.name, target.asked_first = name, 1
    return target


def _rates(found: dict[str, list[Burst]], name: str, times: int = 1) -> list[float]:
    return [burst.rate * times for burst in found[name]]


def _own(found: dict[str, list[Burst]]) -> list[Row]:
    ours, logged, bare = (_rates(found, name) for name in ("sceau", "logged", "bare"))
    cpu = {name: Spread.of([burst.cpu_microseconds for burst in bursts]).middle for name, bursts in found.items()}
    tails = ratios([burst.p99 for burst in found["logged"]], [burst.p99 for burst in found["sceau"]])
    by_cpu = Row(
        "one decision, warm, by the server's CPU time for a request, which other work disturbs less",
        f"{cpu['bare'] / cpu['sceau']:.2f} ×",
        detail=f"{cpu['sceau']:.0f} µs against {cpu['bare']:.0f} µs; with the log {cpu['logged']:.0f} µs",
        measured={"cpu_microseconds": cpu},
    )
    plain, with_log = (Spread.of([burst.p99 for burst in found[name]]) for name in ("sceau", "logged"))
    return [
        compared(_WARM, ours, bare, 0.75, other="constant answer"),
        by_cpu,
        compared(
            "one decision, warm, with the buffered decision log, against a bare uvicorn app",
            logged,
            bare,
            0.65,
            other="constant answer",
        ),
        bounded(
            "p99 with the buffered decision log, against without",
            Spread.of(tails),
            1.5,
            "×",
            detail=f"{with_log.middle:.2f} ms against {plain.middle:.2f} ms, wrk, 16 connections",
        ),
        compared(
            "one decision, warm, against FastAPI + SQLAlchemy",
            ours,
            _rates(found, "alternative"),
            6,
            other="bench/apps/alternative.py",
        ),
    ]


def _against_cerbos(found: dict[str, list[Burst]], why: str) -> list[Row]:
    one, many = "one decision, warm, against Cerbos", "a batch of 50, decisions a second, against Cerbos's"
    if why:
        return [left_out(one, why), left_out(many, why)]
    other = f"Cerbos {other_point.VERSION}, all cores, `{PROCESSING}` allowed by policy"
    return [
        compared(one, _rates(found, "sceau"), _rates(found, "cerbos"), 6, other=other),
        compared(many, _rates(found, "batch of 50", SIZE), _rates(found, "cerbos batch of 50", SIZE), 10, other=other),
    ]
