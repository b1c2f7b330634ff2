"""Two persons decide as soon as one process says `two`, also at a process started before with `one`."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.api import UNLIMITED, Api, processing, running
from tests.support.consents import SIGNED, grant, written
from tests.support.databases import new_database
from tests.support.imports import row
from tests.support.two_persons import add, person


@pytest.fixture(scope="module")
def ada() -> Iterator[Api]:
    """A person's key, at a process that said `one` before another said `two`; a second person exists."""
    with new_database() as database, running(database, register_approval="one", **UNLIMITED) as api:
        scopes = list(api.ok("GET", "/v1/keys")["items"][0]["scopes"])
        made, _ = person(api, "Ada", *scopes), person(api, "Bob", *scopes)
        made.ok("PUT", "/v1/controllers/acme", {"kind": "other", "legal_name": "Acme SA"})
        made.register("ads")
        made.register("off")
        made.ok("PATCH", "/v1/processings/off", {"status": "suspended"})
        with running(database, register_approval="two", **UNLIMITED):
            yield made


def test_a_new_processing_waits(ada):
    """A new processing waits for approval and is denied."""
    assert ada.register("later", purpose="sorting")["status"] == "proposed"
    assert ada.reason("anybody", "later") == "processing_suspended"


def test_a_wider_version_waits(ada):
    """A wider version waits for approval, and the version before stays in force."""
    body = add(ada, "ads", party_mode="user_only", material=True, retention="P1Y").json()
    assert (body["version"]["number"], body["proposed_version"]) == (1, 2)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "/v1/processings/off", {"status": "active"}),
        ("PUT", "/v1/controllers/acme", {"legal_name": "Courtier SA"}),
        ("POST", "/v1/proposals", {"kind": "restore", "lost": "Nothing."}),
    ],
)
def test_what_passes_the_gate_waits(ada, method, path, body):
    """A resumption, another name of a controller and the acceptance of a restore are kept as proposals."""
    assert ada.call(method, path, body).status_code == 202


def test_older_consents_wait(ada):
    """One person cannot record an old grant, live or by an import; a dry run of an import needs no approval."""
    at = datetime.now(UTC) - timedelta(days=30)
    dated = grant("otto", "ads", at=at, evidence=SIGNED)
    assert ada.call("POST", "/v1/consents", dated).status_code == 422
    until, rows = written(at + timedelta(days=1)), [row(1, "gil", at=at)]
    body = {"import": "crm", "until": until, "rows": rows, "grants_expected": 1}
    assert ada.ok("POST", "/v1/imports", {**body, "dry_run": True})["recorded"] == 1
    assert ada.call("POST", "/v1/imports", body).json()["type"] == "urn:sceau:problem:import-not-approved"
    assert {ada.reason(name, "ads") for name in ("otto", "gil")} == {"no_consent"}


def test_a_program_proposes_nothing(ada):
    """A program is refused as it is at a process that says `two`."""
    robot = person(ada, "robot", kind="machine")
    refused: Any = robot.call("POST", "/v1/processings", processing("more"))
    assert refused.json()["type"] == "urn:sceau:problem:persons-only"
