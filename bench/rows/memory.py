"""How much memory a worker takes for the subjects that it remembers."""

from dataclasses import replace

from bench.figures import Spread
from bench.progress import say
from bench.questions import short_batch
from bench.results import Row, bounded
from bench.world import World, generated
from bench.wrk import write_requests

_WANTED = 500_000
_DISTINCT = 2_000_000
_PARTS = 8
_SIZE = 1_000


def measure(world: World) -> list[Row]:
    """Resident memory of a worker before and after it was asked about half a million subjects."""
    subjects = min(_WANTED, world.plan.consents // _SIZE * _SIZE)
    server = world.sceau("remembering", SCEAU_CACHE_SUBJECTS="600000")
    before = server.resident_mb()
    path = world.scratch / "remembering.requests"
    batches = (("/access/v1/evaluations", short_batch(first, _SIZE)) for first in range(0, subjects, _SIZE))
    write_requests(path, batches)
    told = generated(world.generate(server, path, count=subjects // _SIZE, connections=2))
    after = server.resident_mb()
    world.stop("remembering")
    each = (after - before) * 1e6 / subjects
    row = bounded(
        f"memory per worker with {subjects:,} cached subjects",
        Spread.of([after]),
        400,
        "MB",
        detail=f"{before:.0f} MB before, {each:.0f} bytes a subject; read in {told.seconds:.0f} s",
    )
    return [row if subjects == _WANTED else replace(row, budget="", met=None)]  # the budget is of half a million


def distinct(world: World) -> list[Row]:
    """Resident memory of a worker with the default bound while it is asked about two million subjects, each once."""
    subjects = _DISTINCT // 20 if world.plan.quick else _DISTINCT
    server = world.sceau("flat")
    part = subjects // _PARTS // _SIZE * _SIZE
    resident = [server.resident_mb()]
    for number in range(_PARTS):
        path = world.scratch / "flat.requests"
        first = number * part
        batches = (("/access/v1/evaluations", short_batch(each, _SIZE)) for each in range(first, first + part, _SIZE))
        write_requests(path, batches)
        generated(world.generate(server, path, count=part // _SIZE, connections=2))
        resident.append(server.resident_mb())
        say(f"{first + part:,} subjects: {resident[-1]:.0f} MB")
    world.stop("flat")
    half = _PARTS // 2
    return [
        Row(
            f"memory over {part * _PARTS:,} distinct subjects: the end against half way",
            f"{resident[-1] / resident[half]:.2f} ×",
            detail="MB after each eighth: " + ", ".join(f"{each:.0f}" for each in resident),
            measured={"resident_mb": resident},
        )
    ]
