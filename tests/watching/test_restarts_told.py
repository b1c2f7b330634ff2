"""What the parent of the workers started again is told by the workers, which answer `/metrics`."""

import os
import signal

import httpx2
import pytest

from tests.faults.service import Server, Service, eventually, named, web_workers
from tests.service.test_metrics import figure


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.deep), 2])
def test_what_was_started_again_is_told(tmp_path, workers):
    """A worker and a jobs process that are killed are counted, whether the parent answers itself or not."""
    server = Server(tmp_path)
    service = Service(tmp_path / "log", server.settings, workers=workers)

    def told(process):
        return figure(service.call("GET", "/metrics").text, f'sceau_restarts_total{{process="{process}"}}')

    try:
        service.wait_until_it_listens()
        assert (told("worker"), told("jobs")) == (0, 0)
        os.kill(eventually(lambda: named(service.process.pid, b"--beside"))[0], signal.SIGKILL)
        eventually(lambda: told("jobs") == 1)
        if workers > 1:
            os.kill(web_workers(service)[0], signal.SIGKILL)
            eventually(lambda: len(web_workers(service)) == workers)
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
