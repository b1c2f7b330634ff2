"""A service of several workers that serve edges, called over HTTP by one client for each."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import cast
from uuid import uuid4

import httpx2
from starlette.testclient import TestClient

from bench.stale.fleet import KEY, Fleet, Worker
from sceau_client import Correspondence, Question
from tests.support.api import Api


class Service:
    """Workers on one database; the first serves edges at `socket`. `api` has a caller of each worker's API."""

    def __init__(self, workers: list[Worker], socket: Path, clients: list[httpx2.Client]):
        self.workers = workers
        self.socket = socket
        self.api = [Api(cast(TestClient, client), KEY) for client in clients]  # both are httpx's kind

    def register(self, **more) -> str:
        """A new processing that rests on consent; its id."""
        name = f"ads-{uuid4().hex[:8]}"
        self.api[0].register(name, **more)
        return name

    def caller(self, *scopes: str, **more):
        """A new caller, with its key."""
        body = {"name": "edge", "scopes": list(scopes) or ["decisions:evaluate"], **more}
        return self.api[0].ok("POST", "/v1/keys", body)


@contextmanager
def served(database, directory: Path, *, workers: int = 2, **settings: str) -> Iterator[Service]:
    """Start it; stop it at the end."""
    socket = directory / "edge.sock"
    each = [{"SCEAU_EDGE_SOCKET": str(socket)}, *({} for _ in range(workers - 1))]
    with Fleet(database.app_url, directory, each, **settings) as fleet, ExitStack() as stack:
        clients = [
            stack.enter_context(httpx2.Client(base_url=f"http://127.0.0.1:{worker.port}", timeout=30))
            for worker in fleet.workers
        ]
        yield Service(fleet.workers, socket, clients)


def asked(user: str, name: str, handle: str = "handle", **how) -> Question:
    """A question about a message that this handle stands for."""
    more = {key: how.pop(key) for key in ("elements", "automated", "token") if key in how}
    return Question(user, name, Correspondence(handle=lambda _: handle, **how), **more)
