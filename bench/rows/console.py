"""The console's pages: how long each takes to answer with all the consents of the run's database."""

import re
import time
from statistics import median
from typing import Final

import httpx2

from bench.figures import Spread
from bench.progress import say
from bench.questions import PROCESSING, SUBJECT_TYPE, name_of
from bench.results import Row, bounded
from bench.world import KEY, World

_MOST_MS: Final = 200
_TIMES: Final = 15
_PROOF: Final = re.compile(r'name="proof" value="(\w+)"')
_PAGES: Final = {
    "home": "/console",
    "register": "/console/register",
    "a processing": f"/console/register/{PROCESSING}",
    "a version's form": f"/console/register/{PROCESSING}/new",
    "a person": "/console/person",
    "renewals": "/console/renewals",
    "report": "/console/report",
    "staff": "/console/staff",
    "keys": "/console/callers",
}


def measure(world: World) -> list[Row]:
    """The slowest page by its median, and all of them behind it."""
    server = world.sceau("console")
    address = f"http://127.0.0.1:{server.port}"
    with httpx2.Client(base_url=address, trust_env=False, follow_redirects=True, timeout=60) as client:
        _sign_in(client)
        took = {name: [_timed(client, path) for _ in range(_TIMES)] for name, path in _PAGES.items()}
    world.stop(server.name)
    for name, each in took.items():
        say(f"{name}: {median(each):.0f} ms")
    slowest = max(took, key=lambda name: median(took[name]))
    return [
        bounded(
            f"the console's slowest page ({slowest}), {world.plan.consents:,} consents",
            Spread.of(took[slowest]),
            _MOST_MS,
            "ms",
            detail=", ".join(f"{name} {median(each):.0f} ms" for name, each in took.items()),
            pages=took,
        )
    ]


def _sign_in(client: httpx2.Client) -> None:
    """Sign in with the key, and open the page of one person."""
    client.post("/console/sign-in", data={"proof": _proof(client, "/console/sign-in"), "key": KEY}).raise_for_status()
    sent = {"proof": _proof(client, "/console/people"), "about": "", "id": name_of(1), "type": SUBJECT_TYPE}
    client.post("/console/acts/find", data=sent).raise_for_status()


def _proof(client: httpx2.Client, path: str) -> str:
    """What a form of a page proves its session with."""
    found = _PROOF.search(client.get(path).raise_for_status().text)
    assert found is not None, path
    return found[1]


def _timed(client: httpx2.Client, path: str) -> float:
    """Milliseconds until a page is here, whole."""
    began = time.perf_counter()
    client.get(path).raise_for_status()
    return 1000 * (time.perf_counter() - began)
