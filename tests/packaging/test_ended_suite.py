"""A suite that is ended leaves nothing running, and a directory only where it was killed outright."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.service import eventually
from tests.packaging.wheels import ROOT
from tests.support.clusters import IN_MEMORY

pytestmark = pytest.mark.deep


def marked(word: str) -> list[str]:
    """The command lines of the processes whose environment has a word."""
    left = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and word.encode() in (entry / "environ").read_bytes():
                left.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:  # it ended meanwhile, or is somebody else's
            continue
    return left


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGKILL], ids=lambda stop: stop.name)
def test_an_ended_suite_leaves_nothing_running(tmp_path, stop):
    """Workers, servers, services and what forks them end with the process that was called, whatever ends it."""
    file, temporary = tmp_path / "told", tmp_path / "temporary"
    temporary.mkdir(mode=0o755)
    word = f"STANDING_TOLD={file}"
    settings = {**os.environ, "STANDING_TOLD": str(file), "TMPDIR": str(temporary)}
    of_this_run = [name for name in settings if name.startswith(("SCEAU_TEST_", "PYTEST_"))]
    for name in of_this_run:
        del settings[name]
    line = [sys.executable, "-m", "pytest", "-n1", "-p", "no:cacheprovider", "tests/packaging/standing.py"]
    with (tmp_path / "said").open("wb") as output:
        suite = subprocess.Popen(line, cwd=ROOT, env=settings, stdout=output, stderr=output)
    try:
        eventually(lambda: file.exists() or suite.poll() is not None, 300)
        assert file.exists(), (tmp_path / "said").read_text()
        started = [int(pid) for pid in file.read_text().split()]
        assert len(marked(word)) > 3
        suite.send_signal(stop)
        suite.wait(300)
        eventually(lambda: marked(word) == [], 300)
        eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in started), 300)
        left = [path for place in (temporary, IN_MEMORY) for path in place.glob(f"sceau-tests-{suite.pid}-*")]
        assert len(left) <= (stop == signal.SIGKILL)  # a run that begins meanwhile removes it
        for path in left:
            shutil.rmtree(path, ignore_errors=True)
    finally:
        suite.kill()
        suite.wait()
