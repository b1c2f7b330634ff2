import errno
import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from tests.faults.service import COMMAND, HANGS, Service, children, counted_in, eventually, named
from tests.faults.words import decision, question, stopped_before_commit, waiting

STOPPED_BY = {signal.SIGTERM: {0, 143, -signal.SIGTERM}, signal.SIGINT: {0, 130, -signal.SIGINT}}


def _descendants(pid: int) -> set[int]:
    descended = set(children(pid))
    return descended | {each for child in descended for each in _descendants(child)}


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
def alone(place, request):
    """A service on its own data directory, started by the real command."""
    workers = getattr(request, "param", 1)
    settings = {"SCEAU_BOOTSTRAP_KEY": ""}
    made = Service(place / "alone.log", settings, data=place / "data", command=COMMAND, workers=workers)
    yield made.wait_until_it_listens()
    made.end()


def _helpers(parent: int) -> set[int]:
    """The fork server and the resource tracker, which end once they see that their parent has ended."""
    return set(named(parent, b"from multiprocessing."))


@pytest.mark.parametrize(
    ("alone", "wanted"),
    [
        (1, signal.SIGINT),
        (2, signal.SIGTERM),
        pytest.param(1, signal.SIGTERM, marks=pytest.mark.deep),
        pytest.param(2, signal.SIGINT, marks=pytest.mark.deep),
    ],
    indirect=["alone"],
)
def test_stopping_leaves_nothing(alone, place, wanted):
    """Ctrl-C in a terminal, and SIGTERM, leave no process, no directory and no traceback."""
    started = _descendants(alone.process.pid)
    assert started
    helpers, counted = _helpers(alone.process.pid), counted_in(started)
    if wanted is signal.SIGINT:
        os.killpg(alone.process.pid, wanted)
    else:
        alone.process.send_signal(wanted)
    assert alone.process.wait(60) in STOPPED_BY[wanted]
    assert not _run(started - helpers)
    eventually(lambda: not _run(started))
    assert not (place / "data" / "running.json").exists()
    assert "Traceback" not in alone.output.read_text()
    assert not [each for each in counted if each.exists()]


def test_killing_it_leaves_nothing_running(alone):
    """Kill -9 of the service takes its PostgreSQL with it."""
    started = _descendants(alone.process.pid)
    assert started
    alone.end(signal.SIGKILL)
    assert eventually(lambda: not _run(started))


def test_killing_it_leaves_no_worker_that_nobody_watches(serve):
    """Kill -9 of a service with several workers ends the workers too."""
    service: Service = serve(workers=2)
    started = _descendants(service.process.pid)
    assert len(started) >= 2
    service.end(signal.SIGKILL)
    eventually(lambda: not _run(started))


@pytest.fixture(scope="module")
def pair(place, server):
    """A function that gives a service of two workers without jobs, and starts it again if it has ended."""
    made: list[Service] = []

    def standing():
        if not made or made[-1].process.poll() is not None:
            settings = {**server.settings, "SCEAU_JOBS": "false"}
            made.append(Service(place / "several.log", settings, command=COMMAND, workers=2))
            made[-1].wait_until_it_listens()
        return made[-1]

    yield standing
    for each in made:
        each.end()


@pytest.fixture
def several(pair):
    """A service of two workers that answers."""
    service: Service = pair()
    eventually(lambda: _answers(service))
    return service


def test_a_signal_that_would_change_workers_changes_nothing(several):
    """SIGHUP, SIGTTIN and SIGTTOU to the parent leave its workers as they are."""
    service: Service = several
    before = _descendants(service.process.pid)
    for each in (signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU):
        service.process.send_signal(each)
    eventually(lambda: service.output.read_text().count("a signal was passed over") == 3)
    assert _descendants(service.process.pid) == before
    assert service.call("GET", "/livez").status_code == 200


def test_killed_workers_and_what_forks_them_are_started_again(several):
    """When all workers and their fork server are killed at once, new ones are started and answer."""
    service: Service = several
    started = _descendants(service.process.pid)
    for each in started:
        os.kill(each, signal.SIGKILL)
    eventually(lambda: _answers(service))
    assert not _descendants(service.process.pid) & started


def test_a_service_whose_fork_server_was_killed_ends_with_its_workers(several):
    """A service whose fork server was killed still ends on SIGTERM, with its workers."""
    service: Service = several
    started = _descendants(service.process.pid)
    for each in _helpers(service.process.pid):
        os.kill(each, signal.SIGKILL)
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(HANGS) in STOPPED_BY[signal.SIGTERM]
    eventually(lambda: not _run(started))


def _answers(service: Service) -> bool:
    try:
        return service.call("GET", "/livez").status_code == 200
    except httpx2.TransportError:
        return False


def _refuses(port) -> bool:
    with socket.socket() as probe:
        probe.settimeout(5)
        return probe.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


@pytest.mark.parametrize("workers", [1, 2])
def test_it_says_that_it_is_not_ready_before_it_takes_nothing_more(server, serve, service, workers):
    """After SIGTERM, `/readyz` is a 503 while decisions go on; then connections are refused, and it exits with 0."""
    draining = serve(SCEAU_DRAIN="PT3S", workers=workers)
    request = ("POST", "/access/v1/evaluation", question("alice", "filter"))
    assert draining.call(*request).json()["decision"] is True
    with ThreadPoolExecutor(1) as pool, stopped_before_commit(server):
        call = pool.submit(draining.call, "POST", "/v1/consents", decision("dora"))
        eventually(lambda: waiting(server))
        draining.process.send_signal(signal.SIGTERM)
        eventually(lambda: draining.call("GET", "/readyz").status_code == 503)
        assert draining.call(*request).json()["decision"] is True
        eventually(lambda: _refuses(draining.port))
        assert draining.process.poll() is None
    assert call.result().status_code in {201, 503}
    assert draining.process.wait(60) == 0


def test_who_waits_for_events_is_answered(serve, service):
    """A call that waits for events is answered 200 with none as soon as the service stops."""
    stopping = serve()
    page = stopping.ok("GET", "/v1/events?limit=100")
    while page["events"]:
        page = stopping.ok("GET", f"/v1/events?limit=100&after={page['next']}")
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(stopping.call, "GET", f"/v1/events?wait=20&after={page['next']}")
        eventually(lambda: _asked(stopping))
        stopping.process.send_signal(signal.SIGTERM)
        answer = call.result()
    assert (answer.status_code, answer.json()["events"]) == (200, [])
    assert stopping.process.wait(60) == 0


def _asked(service) -> bool:
    """Whether the service has an established connection from which it has read everything."""
    port = f":{service.port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[1].endswith(port) and row[3] == "01" and row[4].endswith(":00000000") for row in rows)
