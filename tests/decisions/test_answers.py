"""The answer to each of many requests: the same cold and warm, from the application and through a socket."""

import json
import re
import signal
from functools import cache
from pathlib import Path
from typing import cast

import pytest
import yaml
from starlette.testclient import TestClient

from tests.decisions.asked import MANY, ONE, REQUESTS
from tests.faults.service import Service
from tests.support.api import Api, processing, running
from tests.support.databases import new_database

PINNED = Path(__file__).with_name("answers.yaml")
IDS = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
TIMES = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
NOT_PINNED = {"date", "content-length", "x-request-id"}
ROUNDS = 4


@cache
def pinned():
    """What is pinned, by the name of the request; read once."""
    return yaml.safe_load(PINNED.read_text(encoding="utf-8"))


def furnish(api):
    """Register processings in every situation, and people in most."""
    for identifier, more in {
        "ads-mail": {},
        "filter": {"purpose": "unsolicited_content_detection"},
        "archive": {"purpose": "other"},
        "suspended": {},
        "all-parties": {"party_mode": "all_parties"},
    }.items():
        api.ok("POST", "/v1/processings", processing(identifier, **more))
    api.ok("PATCH", "/v1/processings/suspended", {"status": "suspended"})
    for name in ("alice", "élise"):
        api.decide(name, "ads-mail")
    api.decide("carol", "ads-mail", "refused")
    for name in ("alice", "dave"):
        api.decide(name, "all-parties")


def told(answer):
    """What is pinned of an answer: its status, headers and body, with ids and times made alike."""
    headers = {name: value for name, value in sorted(answer.headers.items()) if name not in NOT_PINNED}
    text = TIMES.sub("TIME", IDS.sub("ID", answer.text))
    is_json = "json" in answer.headers.get("content-type", "")
    return {"status": answer.status_code, "headers": headers, "body": json.loads(text) if is_json else text}


@pytest.fixture(scope="module")
def application():
    """The application, called without a server."""
    with new_database() as database, running(database, rate_limits="unknown_keys=off") as api:
        furnish(api)
        yield api


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A real server, called over a socket."""
    with new_database() as database:
        settings = {
            "SCEAU_DATABASE_URL": database.app_url,
            "SCEAU_JOBS": "false",
            "SCEAU_PUBLIC_URL": "https://sceau.example.fr",
            "SCEAU_RATE_LIMITS": "unknown_keys=off",
        }
        service = Service(tmp_path_factory.mktemp("answers") / "log", settings).wait_until_it_listens()
        try:
            api = Api(cast("TestClient", service.client))
            furnish(api)
            yield api
        finally:
            service.end(signal.SIGTERM)


@pytest.mark.parametrize("asker", ["application", "served"])
@pytest.mark.parametrize("name", REQUESTS)
def test_each_request_is_answered_as_pinned(request, asker, name):
    """Each request gets the pinned status, headers and body the first time and each time after."""
    api = request.getfixturevalue(asker)
    path, headers, body = REQUESTS[name]
    wanted = pinned()[name]
    for _ in range(ROUNDS):
        answer = api.client.post(path, content=body, headers=headers)
        seen = told(answer)
        seen["headers"].pop("connection", None)  # said by a server only
        assert seen == wanted
        sent = headers["X-Request-ID"]
        assert (answer.headers["x-request-id"] == sent) is (len(sent) <= 128)


def test_every_request_is_pinned():
    """The file of answers names exactly these requests, which go to both endpoints."""
    assert pinned().keys() == REQUESTS.keys()
    assert {path for path, _, _ in REQUESTS.values()} == {ONE, MANY}
