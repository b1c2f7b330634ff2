"""What is not the plain case of a warm decision: other heads and bodies, many people, judging anew."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product

from bench.figures import Spread
from bench.questions import MARK, short_batch, single
from bench.results import Row, beside, compared
from bench.rows.missed import numbered, whoever
from bench.rows.warm import BATCH, SINGLE, SUBJECTS, checked, single_target
from bench.world import World, generated
from bench.wrk import Target, interleaved, write_requests

_HELD = 200_000
_SIZE = 1_000
_LEAST = 0.6
_TERRITORIES = ("FR", "BL", "GF", "GP", "MF", "MQ", "PM", "RE")
_ELEMENTS = ('"content"', '"subject_line"', '"content","subject_line"')
_FEW = 500
_ONCE = "HTTP/1.0, a connection each"
_BARE_ONCE = f"a constant answer, {_ONCE}"
_HEADERS = {
    "an X-Request-ID of its own": f"X-Request-ID: 4bf92f3577b34da6a3ce{MARK}",
    "a traceparent of its own": f"traceparent: 00-4bf92f3577b34da6a3ce{MARK}-00f067aa0ba902b7-01",
    _ONCE: "HTTP-Version: 1.0",
}
_BODIES: dict[str, Callable[[str], str]] = {
    "an extra member": lambda body: body[:-1] + ',"department":"north"}',
    "an escape in the id": lambda body: body.replace('"id":"user', '"id":"\\u0075ser', 1),
}


def measure(world: World) -> list[Row]:
    """Each against the same subjects asked about with the same head every time, round by round."""
    plain = single_target(world, world.sceau())
    other = [replace(plain, name=name, header=header) for name, header in _HEADERS.items()]
    other += [_with_bodies(world, plain, name, change) for name, change in _BODIES.items()]
    held, anew = _held(world), _judged_anew(world)
    bare = single_target(world, world.application("bare"))
    once = replace(bare, name=_BARE_ONCE, header=_HEADERS[_ONCE])
    found = interleaved([plain, *other, held, anew, bare, once], world.plan.rounds, world.plan.seconds)
    world.stop("holding")
    world.stop("judging")
    rates = {name: [burst.rate for burst in bursts] for name, bursts in found.items()}
    cpu = {name: Spread.of([burst.cpu_microseconds for burst in bursts]).middle for name, bursts in found.items()}

    def row(what: str, name: str) -> Row:
        plain_case = f"the plain case; {cpu[name]:.0f} µs of the server against {cpu['sceau']:.0f}"
        return compared(f"one decision, {what}", rates[name], rates["sceau"], _LEAST, other=plain_case)

    subjects = held.subjects.count if held.subjects is not None else 0
    return [
        *(row(f"warm, {each.name}", each.name) for each in other),
        row(f"{subjects:,} people in turn", "holding"),
        row("judged anew for people who are held", "judging"),
        beside(_BARE_ONCE, rates[_BARE_ONCE], rates["bare"], other="the same application, connections kept"),
    ]


def _with_bodies(world: World, plain: Target, name: str, change: Callable[[str], str]) -> Target:
    """The plain requests with their bodies changed."""
    path = world.scratch / f"{name.replace(' ', '-')}.requests"
    write_requests(path, ((SINGLE, change(single(number))) for number in range(SUBJECTS)))
    return replace(plain, name=name, requests=path)


def _held(world: World) -> Target:
    """A worker that holds many people and remembers a decision about each."""
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


def _judged_anew(world: World) -> Target:
    """A worker that holds each person and remembers none of what it is asked.

    Few people come back in all circumstances, of which there are six times as many as the worker remembers decisions.
    """
    server = world.sceau("judging", SCEAU_CACHE_SUBJECTS=str(4 * _FEW))
    checked(server)

    def requests() -> Iterator[tuple[str, str]]:
        for territory, elements in product(_TERRITORIES, _ELEMENTS):
            for number in range(_FEW):
                yield SINGLE, single(number).replace('"FR"', f'"{territory}"', 1).replace('"content"', elements, 1)

    return world.target(server, "judged", requests)
