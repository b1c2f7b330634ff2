"""What the parent of the workers started again is told by the workers, which answer `/metrics`."""

import os
import signal
from pathlib import Path

import httpx2
import pytest

from tests.faults.service import Server, Service, children, eventually
from tests.service.test_metrics import figure


def pids(service, word):
    """The processes of a service whose command line has a word."""
    found = []
    for pid in children(service.process.pid):
        try:
            if word in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(pid)
        except OSError:
            continue
    return found


@pytest.mark.parametrize("workers", [1, 2])
def test_what_was_started_again_is_told(tmp_path, workers):
    """A worker and a jobs process that are killed are counted, whether the parent answers itself or not."""
    server = Server(tmp_path)
    service = Service(tmp_path / "log", server.settings, workers=workers)

    def told(process):
        return figure(service.call("GET", "/metrics").text, f'sceau_restarts_total{{process="{process}"}}')

    try:
        service.wait_until_it_listens()
        assert (told("worker"), told("jobs")) == (0, 0)
        os.kill(eventually(lambda: pids(service, b"--beside"))[0], signal.SIGKILL)
        eventually(lambda: told("jobs") == 1)
        if workers > 1:
            os.kill(pids(service, b"spawn_main")[0], signal.SIGKILL)
            eventually(lambda: len(pids(service, b"spawn_main")) == workers)
            eventually(lambda: _told_or_gone(told) == 1)
    finally:
        service.end(signal.SIGTERM)
        server.embedded.stop()


def _told_or_gone(told):
    """The count of workers; None while a connection to the one that was killed ends."""
    try:
        return told("worker")
    except httpx2.TransportError:
        return None
