import os
import signal
from pathlib import Path

from tests.faults.service import Service, children, eventually


def _jobs_process(service):
    """The process of the jobs beside a service, if it runs now."""
    found = [pid for pid in children(service.process.pid) if b"--beside" in _command(pid)]
    return found[0] if found else None


def _command(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _beats(server):
    """The workers that say that they live; one that was killed says so for a while."""
    with server.administrator() as connection:
        if connection.execute("SELECT to_regclass('procrastinate_workers')").fetchone() == (None,):
            return set()
        return {identifier for (identifier,) in connection.execute("SELECT id FROM procrastinate_workers")}


def test_a_jobs_process_that_dies_is_started_again(serve):
    """Serve runs one jobs process beside its workers; when it is killed another takes its place."""
    service = serve(workers=2, SCEAU_JOBS="true")
    first = eventually(lambda: _jobs_process(service))
    os.kill(first, signal.SIGKILL)
    second = eventually(lambda: next((pid for pid in [_jobs_process(service)] if pid not in {None, first}), None))
    assert second != first
    assert service.call("GET", "/livez").status_code == 200


def test_it_leaves_nothing_behind_when_the_service_stops(serve, server):
    """Stopped with the service, the jobs process takes its worker's row away and is gone."""
    others = _beats(server)
    service = serve(SCEAU_JOBS="true")
    jobs = eventually(lambda: _jobs_process(service))
    own = eventually(lambda: _beats(server) - others)
    service.end(signal.SIGTERM)
    assert not Path(f"/proc/{jobs}").exists()
    assert not own & _beats(server)
    assert "Traceback" not in service.output.read_text()


def test_it_ends_when_the_service_is_killed(serve):
    """Kill -9 of the service ends the jobs process too."""
    service = serve(SCEAU_JOBS="true")
    jobs = eventually(lambda: _jobs_process(service))
    service.end(signal.SIGKILL)
    assert eventually(lambda: not Path(f"/proc/{jobs}").exists())


def test_serve_without_jobs_starts_none(serve):
    """SCEAU_JOBS=false leaves the jobs to `sceau worker`."""
    service: Service = serve(SCEAU_JOBS="false")
    assert service.call("GET", "/readyz").status_code == 200
    assert _jobs_process(service) is None
