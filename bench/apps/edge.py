"""A program with an edge, measured from inside: `python -m bench.apps.edge SOCKET URL PEOPLE DECISIONS` gives JSON.

It asks about each person once, then decides about all of them again and again, about a correspondence of its own each
time. The processor time is that of the whole process: the edge's thread, which makes and sends the reports, too.
"""

import json
import os
import random
import resource
import sys
import time
from collections import deque

from bench.questions import PROCESSING, name_of
from sceau_client import Client, Correspondence, Edge, Question

_HANDLES = 4_096
_UNDER_WAY = 500
_HTTP = 2_000
_CEDAR = 20_000


def main() -> None:
    """Measure, and print one JSON object."""
    socket, url, people, decisions = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    key = os.environ["SCEAU_KEY"]
    names = [name_of(number) for number in range(people)]
    before = _resident()
    with Edge(socket, key) as edge:
        filled = _fill(edge, names)
        told = {"people": len(edge), "fill_seconds": filled, "bytes_each": (_resident() - before) / len(edge)}
        random.Random(1).shuffle(names)
        told |= _decide(edge, names, decisions)
        told |= {"http": _over_http(url, key, names), "cedar": _cedar()}
    print(json.dumps(told))


def _fill(edge: Edge, names: list[str]) -> float:
    began = time.perf_counter()
    waiting: deque[object] = deque()
    for name in names:
        letter = Correspondence(handle=lambda _: "first")
        waiting.append(asked := edge.ask(Question(name, PROCESSING, letter)))
        if len(waiting) > _UNDER_WAY:
            waiting.popleft().result(10)  # type: ignore[attr-defined]
    asked.result(10)
    return time.perf_counter() - began


def _decide(edge: Edge, names: list[str], decisions: int) -> dict[str, float]:
    """So many decisions, one after the other; then what remains to be reported."""
    handles = [os.urandom(16).hex() for _ in range(_HANDLES)]
    permits, number, answered = edge.permits, len(names), 0
    wall, cpu = time.perf_counter(), time.process_time()
    for place in range(decisions):
        answered += permits(names[place % number], PROCESSING, handles[place % _HANDLES]) is True
    rate = decisions / (time.perf_counter() - wall)
    while edge.unreported:
        time.sleep(0.01)
    return {"rate": rate, "by_cpu": decisions / (time.process_time() - cpu), "permitted": answered}


def _over_http(url: str, key: str, names: list[str]) -> float:
    """The same questions by the client over HTTP, one after the other."""
    letter = Correspondence(handle=lambda _: "first")
    with Client(url, key, refresh=None) as client:
        client.evaluate(Question(names[0], PROCESSING, letter))
        began = time.perf_counter()
        for name in names[:_HTTP]:
            client.evaluate(Question(name, PROCESSING, letter))
        return _HTTP / (time.perf_counter() - began)


def _cedar() -> float:
    """The same question of Cedar in this process (cedarpy): one policy, the consent an attribute of its entity."""
    import cedarpy  # noqa: PLC0415 - beside, and not of the program

    policy = "permit(principal, action, resource) when { principal.consents.contains(resource.id) };"
    consented = {"uid": {"__entity": {"type": "User", "id": "alice"}}, "attrs": {"consents": [PROCESSING]}}
    asked_of = {"uid": {"__entity": {"type": "Processing", "id": PROCESSING}}, "attrs": {"id": PROCESSING}}
    request = {
        "principal": 'User::"alice"',
        "action": 'Action::"analyse"',
        "resource": f'Processing::"{PROCESSING}"',
        "context": {},
    }
    entities = json.dumps([{**each, "parents": []} for each in (consented, asked_of)])
    if not cedarpy.is_authorized(request, policy, entities).allowed:
        raise SystemExit("cedarpy does not permit what it should")
    began = time.perf_counter()
    for _ in range(_CEDAR):
        cedarpy.is_authorized(request, policy, entities)
    return _CEDAR / (time.perf_counter() - began)


def _resident() -> int:
    """Bytes."""
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - no file of ours
        return int(file.read().split()[1]) * resource.getpagesize()


if __name__ == "__main__":
    main()
