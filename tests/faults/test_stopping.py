import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.faults.service import Service, children, eventually
from tests.faults.words import decision, stopped_before_commit, waiting

STOPPED_BY = {signal.SIGTERM: {0, 143, -signal.SIGTERM}, signal.SIGINT: {0, 130, -signal.SIGINT}}


def _descendants(pid: int) -> set[int]:
    found = set(children(pid))
    return found | {each for child in found for each in _descendants(child)}


def _run(pids: set[int]) -> bool:
    return any(Path(f"/proc/{pid}").exists() for pid in pids)


@pytest.mark.parametrize("wanted", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_what_is_being_answered_is_answered(server, service, wanted):
    """A signal to stop lets a write that is under way finish and answer; then the service ends well."""
    with ThreadPoolExecutor(1) as pool:
        with stopped_before_commit(server):
            call = pool.submit(service.call, "POST", "/v1/consents", decision("karl"))
            eventually(lambda: waiting(server))
            service.process.send_signal(wanted)
        assert call.result().status_code == 201
    assert service.process.wait(60) in STOPPED_BY[wanted]
    assert "Traceback" not in service.output.read_text()


@pytest.fixture
def alone(place):
    """A service on a data directory of its own."""
    made = Service(place / "alone.log", {"SCEAU_BOOTSTRAP_KEY": ""}, data=place / "data").wait_until_it_listens()
    yield made
    made.end()


@pytest.mark.parametrize("wanted", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_stopping_leaves_nothing_running(alone, place, wanted):
    """Ctrl-C in a terminal, which all of the job gets, and SIGTERM leave no process of the service or PostgreSQL."""
    started = _descendants(alone.process.pid)
    assert started
    if wanted is signal.SIGINT:
        os.killpg(alone.process.pid, wanted)
    else:
        alone.process.send_signal(wanted)
    assert alone.process.wait(60) in STOPPED_BY[wanted]
    assert not _run(started)
    assert not (place / "data" / "running.json").exists()
    assert "Traceback" not in alone.output.read_text()


def test_killing_it_leaves_nothing_running(alone):
    """Kill -9 of the service takes its PostgreSQL with it."""
    started = _descendants(alone.process.pid)
    assert started
    alone.end(signal.SIGKILL)
    assert eventually(lambda: not _run(started))


def test_killing_it_leaves_no_worker_that_nobody_watches(serve):
    """Kill -9 of a service with several workers ends them too: its port is free for the next one."""
    service: Service = serve(workers=2)
    started = _descendants(service.process.pid)
    assert len(started) >= 2
    service.end(signal.SIGKILL)
    eventually(lambda: not _run(started))
