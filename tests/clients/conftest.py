from contextlib import ExitStack
from typing import Any

import pytest

from sceau_client import AsyncClient, Client
from tests.clients.askers import Awaited
from tests.clients.scenes import permitting, scene
from tests.faults.service import Service
from tests.support.api import processing
from tests.support.databases import new_database
from tests.webhooks.courier import Stage


@pytest.fixture(scope="module")
def stage():
    """An event loop for servers that misbehave, and for what is awaited."""
    made = Stage()
    try:
        yield made
    finally:
        made.end()


@pytest.fixture(scope="module")
def server(stage):
    """A server that permits, until a test has it behave otherwise."""
    return stage.enter(scene(permitting))


@pytest.fixture
def came(server):
    """What comes to that server during this test."""
    server.came.clear()
    return server.came


@pytest.fixture(scope="module")
def serving(tmp_path_factory):
    """Start services with advertising, each on a database of its own, until the module ends."""
    with ExitStack() as kept:

        def start(**settings):
            database = kept.enter_context(new_database())
            urls = {"SCEAU_DATABASE_URL": database.app_url, "SCEAU_DATABASE_OWNER_URL": database.owner_url}
            output = tmp_path_factory.mktemp("served") / "service.log"
            served = Service(output, {**urls, "SCEAU_JOBS": "false", **settings})
            kept.callback(served.end)
            served.wait_until_it_listens().ok("POST", "/v1/processings", processing("ads-mail"))
            return served

        yield start


@pytest.fixture(params=["waiting", "awaited"])
def asker_for(request, stage):
    """Make a client of either kind, patient unless the test says otherwise; closed after the test.

    `opened`: entered, as by `with`.
    """
    made = []

    def make(url, key="sceau_" + "k" * 43, *, opened=False, **options):
        options = {"refresh": None, "deadline": 60, **options}
        waiting = request.param == "waiting"
        asker: Any = Client(url, key, **options) if waiting else Awaited(stage, AsyncClient(url, key, **options))
        made.append(asker)
        if opened:
            (asker.__enter__ if waiting else asker.__aenter__)()
        return asker

    yield make
    for asker in made:
        asker.close()
