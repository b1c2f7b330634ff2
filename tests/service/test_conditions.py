"""What the metrics tell of waits, writes, pools, the database, and what was started again."""

import asyncio
import re
import time
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import cast
from uuid import UUID

import pytest

from app.api.health import clock_note
from app.api.http.services import Services
from app.db.database import Database, DatabaseUnavailableError
from app.telemetry.metrics import LoopLag
from app.telemetry.room import note_restart, restarts
from tests.faults.service import ROOT, eventually
from tests.service.test_metrics import figure
from tests.support.api import running
from tests.support.document import document


def services_of(api):
    """The parts of a running application."""
    return cast("Services", api.client.app.state.services)


def test_writes_confirmations_and_reads_are_told(database):
    """A grant and a withdrawal by kind and outcome; the withdrawal's wait in the histogram; reads by cause."""
    with running(database, cache="leased") as api:
        api.register("ads")
        eventually(lambda: api.ok("GET", "/readyz")["leased"])
        api.decide("alice", "ads")
        api.withdraw("alice", "ads")
        text = api.call("GET", "/metrics").text
        assert figure(text, 'sceau_writes_total{kind="granted",outcome="recorded"}') == 1
        assert figure(text, 'sceau_writes_total{kind="withdrawn",outcome="recorded"}') == 1
        assert figure(text, "sceau_confirmation_seconds_count") >= 1
        assert figure(text, 'sceau_pool_waiting{pool="sessions"}') == 0
        assert figure(text, 'sceau_pool_connections{pool="memory"}') >= 0
        assert figure(text, "sceau_event_loop_lag_seconds") >= 0


def test_reads_of_the_primary_are_told_by_cause(database):
    """In strict mode each question reads the primary, and says so."""
    with running(database, cache="strict") as api:
        api.register("ads")
        for _ in range(3):
            api.evaluate("alice", "ads")
        assert figure(api.call("GET", "/metrics").text, 'sceau_primary_reads_total{cause="strict"}') >= 3


@asynccontextmanager
async def _refused(*arguments, **_):
    if arguments:
        raise DatabaseUnavailableError
    yield


def test_a_write_that_is_not_recorded_is_told(api, monkeypatch):
    """A transaction that the database refuses counts as such; one that was recorded does not."""
    monkeypatch.setattr(services_of(api).database, "write", _refused)
    assert api.call("POST", "/v1/withdrawals", {"subject": {"type": "user", "id": "a"}}).status_code == 503
    monkeypatch.undo()
    text = api.call("GET", "/metrics").text
    assert 'outcome="unavailable"' in text
    assert 'outcome="recorded"' not in text


def test_without_its_database_each_operation_answers_as_documented(api, monkeypatch):
    """While the database is away, each operation answers with a status that the document has for it: mostly 503."""
    for way in ("read", "write"):
        monkeypatch.setattr(Database, way, _refused)
    unavailable = 0
    for path, operations in document()["paths"].items():
        for method, operation in operations.items():
            address = re.sub(r"{[^}]+}", str(UUID(int=1)), path)
            answer = api.call(method.upper(), address, None if method in {"get", "delete"} else {})
            assert str(answer.status_code) in operation["responses"], (method, path, answer.status_code)
            unavailable += answer.status_code == 503
    assert unavailable > 50


def test_the_database_and_the_build_are_told(api):
    """The primary, its timeline, the schema's revision, and a clock that is this host's own."""
    text = api.call("GET", "/metrics").text
    assert figure(text, "sceau_database_up") == 1
    assert figure(text, "sceau_database_primary") == 1
    assert figure(text, "sceau_database_timeline") >= 1
    assert figure(text, "sceau_database_waits_for_standby") == 0
    assert abs(figure(text, "sceau_database_clock_ahead_seconds")) < 5
    newest = max(each.stem for each in (ROOT / "migrations/versions").glob("0*.py"))
    assert f'sceau_build_info{{revision="unknown",schema="{newest}",version="0.1.0"}} 1.0' in text
    assert api.ok("GET", "/livez") == {"status": "live", "version": "0.1.0"}


def test_what_is_amiss_is_told(api, monkeypatch):
    """An outage and a database that was set back are 1 while they last, else 0."""
    text = api.call("GET", "/metrics").text
    assert (figure(text, "sceau_outage"), figure(text, "sceau_restored_behind")) == (0, 0)
    services = services_of(api)
    monkeypatch.setattr(services.outage, "lasts", True)
    services.fence.behind = True
    text = api.call("GET", "/metrics").text
    assert (figure(text, "sceau_outage"), figure(text, "sceau_restored_behind")) == (1, 1)
    services.fence.behind = False


@pytest.mark.parametrize(("seconds", "way"), [(3_600, "ahead of"), (-3_600, "behind")])
def test_a_clock_that_is_far_off_is_a_note(api, monkeypatch, seconds, way):
    """A database whose clock differs by over five seconds from this host's is told in /readyz; a close one is not."""
    assert not [each for each in api.ok("GET", "/readyz")["notes"] if "clock" in each]
    services = services_of(api)
    real = services.wall_clock
    object.__setattr__(services, "wall_clock", lambda: real() - timedelta(seconds=seconds))
    (note,) = [each for each in api.ok("GET", "/readyz")["notes"] if "clock" in each]
    assert note == clock_note(seconds)
    assert f"3600 seconds {way}" in note
    assert abs(figure(api.call("GET", "/metrics").text, "sceau_database_clock_ahead_seconds") - seconds) < 5


def test_restarts_are_counted_by_the_parent_and_read_by_workers(tmp_path, monkeypatch):
    """What one process notes in the directory of the workers another reads there; nothing noted is nothing started."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    assert restarts() == {"worker": 0, "jobs": 0}
    note_restart("worker")
    note_restart("jobs")
    note_restart("jobs")
    counted = restarts()
    assert (counted["worker"] >= 1, counted["jobs"] >= 2) == (True, True)
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR")
    assert restarts() == counted  # the same, in the process that counted


async def test_a_loop_that_is_held_is_told():
    """A callback that blocks the event loop shows in its lag; an idle one does not."""
    lag = LoopLag()
    assert lag.longest() == 0
    keeping = asyncio.create_task(lag.keep())
    await asyncio.sleep(0)
    time.sleep(0.6)  # noqa: ASYNC251 - what must not happen
    await asyncio.sleep(0.05)
    keeping.cancel()
    assert lag.longest() > 0.2
