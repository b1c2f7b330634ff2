"""A service that lacks a journal or an outage file says so, when it starts and for as long as it runs."""

import json
import signal

import pytest

from tests.faults.service import Service, eventually
from tests.support.databases import new_database

JOURNAL = (
    "No journal is kept outside the database: a restored backup revives withdrawn consents. "
    "Set SCEAU_STATE_DIRECTORY, SCEAU_JOURNAL_HOOK or both (docs/recovery.md)."
)
OUTAGE_FILE = (
    "No outage file is kept: a service that starts while the database is away answers nothing, not even exempt "
    'purposes (L32-3, III). Set SCEAU_STATE_DIRECTORY (docs/operating.md, "When the database is away").'
)


@pytest.mark.parametrize(
    ("names", "lacks"),
    [
        ((), [JOURNAL, OUTAGE_FILE]),
        pytest.param(("SCEAU_JOURNAL_HOOK",), [OUTAGE_FILE], marks=pytest.mark.deep),
        pytest.param(("SCEAU_STATE_DIRECTORY",), [], marks=pytest.mark.deep),
        pytest.param(("SCEAU_JOURNAL_HOOK", "SCEAU_STATE_DIRECTORY"), [], marks=pytest.mark.deep),
    ],
    ids=["neither", "no outage file", "both", "both, and a hook"],
)
def test_what_does_not_protect_is_said(tmp_path, names, lacks):
    """In one line of the log, however many workers there are, and in the notes of `/readyz`, which stays 200."""
    places = {
        "SCEAU_STATE_DIRECTORY": tmp_path,
        "SCEAU_JOURNAL_HOOK": "/bin/true",
    }
    chosen = {name: str(places[name]) for name in names}
    with new_database() as database:
        settings = {"SCEAU_DATABASE_URL": database.app_url, "SCEAU_JOBS": "false", **chosen}
        service = Service(tmp_path / "log", settings, workers=2)
        try:
            service.wait_until_it_listens()
            ready = eventually(lambda: (answer := service.call("GET", "/readyz")).is_success and answer).json()
        finally:
            service.end(signal.SIGTERM)
    lines = [json.loads(line) for line in service.output.read_text().splitlines() if line.startswith("{")]
    told = [line for line in lines if "lacks" in line]
    assert [line["lacks"] for line in told] == ([lacks] if lacks else [])
    assert {line["level"] for line in told} <= {"warning"}
    assert [note for note in ready["notes"] if "SCEAU_" in note] == lacks


def test_a_service_on_a_database_of_its_own_lacks_nothing(tmp_path):
    """The control: in a data directory both are kept without being asked for."""
    service = Service(tmp_path / "log", {"SCEAU_JOBS": "false"}, data=tmp_path / "data")
    try:
        service.wait_until_it_listens()
        assert [note for note in service.ok("GET", "/readyz")["notes"] if "SCEAU_" in note] == []
        assert (tmp_path / "data" / "state" / "outage.sealed").exists()
    finally:
        service.end(signal.SIGTERM)
    assert "lacks" not in service.output.read_text()
