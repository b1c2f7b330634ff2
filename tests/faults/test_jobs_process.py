import os
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest

from app.serving import jobs_process
from app.serving.jobs_process import BEAT_VARIABLE, JobsProcess
from tests.faults.service import Service, eventually, named


def _jobs_process(service):
    """The process of the jobs beside a service, if it runs now."""
    return next(iter(named(service.process.pid, b"--beside")), None)


def _beats(server):
    """The workers that the database counts as alive, which one that was killed stays for a while."""
    with server.administrator() as connection:
        if connection.execute("SELECT to_regclass('procrastinate_workers')").fetchone() == (None,):
            return set()
        return {identifier for (identifier,) in connection.execute("SELECT id FROM procrastinate_workers")}


def test_a_jobs_process_that_dies_is_started_again(serve):
    """Serve runs one jobs process beside its workers; when it is killed another takes its place."""
    service = serve(workers=2, SCEAU_JOBS="true")
    first = eventually(lambda: _jobs_process(service))
    os.kill(first, signal.SIGKILL)
    eventually(lambda: _jobs_process(service) not in {None, first})
    assert service.call("GET", "/livez").status_code == 200


def test_it_leaves_nothing_behind_when_the_service_stops(serve, server):
    """When the service is stopped, its jobs process removes its worker's row and ends."""
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


BEATS = f"""
import os, pathlib, time
begun = time.monotonic()
while True:
    os.write(int(os.environ[{BEAT_VARIABLE!r}]), b".")
    time.sleep(0.05)
    if time.monotonic() - begun > 3.5:
        pathlib.Path({{path!r}}).touch()
"""


def _beside(monkeypatch, script, silent=0.5):
    """A jobs process that runs a script of the test's, and may be silent for so many seconds."""
    monkeypatch.setattr(jobs_process, "_WORKER", ("-c", script))
    monkeypatch.setattr(jobs_process, "_PAUSES", (0.0,))
    return JobsProcess(silent_seconds=silent)


def _of(script):
    """The children of this process that run the script."""
    return named(os.getpid(), script.encode())


def test_a_jobs_process_that_hangs_is_started_again(monkeypatch):
    """A jobs process whose event loop does not turn is killed and replaced."""
    script = "import time; time.sleep(61)"
    with _beside(monkeypatch, script):
        first = eventually(lambda: _of(script))[0]
        eventually(lambda: [pid for pid in _of(script) if pid != first])
        assert not Path(f"/proc/{first}").exists()


def test_a_jobs_process_that_turns_is_left_alone(monkeypatch, tmp_path):
    """Control: a jobs process that reports its turns is not killed."""
    script = BEATS.format(path=str(tmp_path / "ran"))
    with _beside(monkeypatch, script, silent=3.0):  # longer than a busy machine takes to start Python
        first = eventually(lambda: _of("pathlib.Path"))
        eventually((tmp_path / "ran").exists)
        assert _of("pathlib.Path") == first


@pytest.mark.parametrize(("lived", "waited"), [(0.0, [1.0, 2.0, 5.0, 10.0, 30.0, 30.0]), (61.0, [1.0] * 6)])
def test_the_pause_shrinks_again(monkeypatch, lived, waited):
    """The pause before a restart grows while jobs processes end at once, and shrinks after one ran for a minute."""
    beside, pauses, clock = JobsProcess(), [], iter(lived * each for each in range(100))

    def pause(seconds):
        pauses.append(seconds)
        if len(pauses) == 6:
            beside._stopping.set()

    monkeypatch.setattr(jobs_process, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(beside, "_start", lambda: None if beside._stopping.is_set() else object())
    monkeypatch.setattr(beside, "_watched", lambda _: 1)
    monkeypatch.setattr(beside._stopping, "wait", pause)
    beside._keep()
    assert pauses == waited
