"""What is not the best case of a warm decision: an id of its own in each head, more subjects than are remembered."""

from dataclasses import replace

from bench.figures import Spread
from bench.questions import MARK, short_batch
from bench.results import Row, beside
from bench.rows.missed import numbered, whoever
from bench.rows.warm import BATCH, SINGLE, single_target
from bench.world import World, generated
from bench.wrk import Target, interleaved, write_requests

_HELD = 200_000
_SIZE = 1_000
_FRESH = {
    "an X-Request-ID of its own": f"X-Request-ID: 4bf92f3577b34da6a3ce{MARK}",
    "a traceparent of its own": f"traceparent: 00-4bf92f3577b34da6a3ce{MARK}-00f067aa0ba902b7-01",
}


def measure(world: World) -> list[Row]:
    """Each against the same subjects asked about with the same head every time, round by round."""
    plain = single_target(world, world.sceau())
    fresh = [replace(plain, name=name, header=header) for name, header in _FRESH.items()]
    held = _held(world)
    found = interleaved([plain, *fresh, held], world.plan.rounds, world.plan.seconds)
    world.stop("holding")
    rates = {name: [burst.rate for burst in bursts] for name, bursts in found.items()}
    cpu = {name: Spread.of([burst.cpu_microseconds for burst in bursts]).middle for name, bursts in found.items()}

    def row(what: str, name: str) -> Row:
        other = f"8,000 subjects, the same head each time; {cpu[name]:.0f} µs of the server against {cpu['sceau']:.0f}"
        return beside(f"one decision, {what}", rates[name], rates["sceau"], other=other)

    subjects = held.subjects.count if held.subjects is not None else 0
    return [
        *(row(f"warm, {name}", name) for name in _FRESH),
        row(f"{subjects:,} subjects held, their decisions not remembered", "holding"),
    ]


def _held(world: World) -> Target:
    """A worker that holds the records of more subjects than it remembers decisions for."""
    subjects = numbered(world.plan.consents)
    subjects.count = min(_HELD, subjects.count // _SIZE * _SIZE)
    server = world.sceau("holding", SCEAU_CACHE_SUBJECTS=str(3 * _HELD))
    path = world.scratch / "holding.requests"
    firsts = range(subjects.first, subjects.first + subjects.count, _SIZE)
    write_requests(path, ((BATCH, short_batch(first, _SIZE)) for first in firsts))
    generated(world.generate(server, path, count=len(firsts), connections=2))
    target = world.target(server, "held", lambda: [(SINGLE, whoever(subjects))])
    target.subjects = subjects
    return target
