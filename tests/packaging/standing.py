"""One test that starts a service on a server of its own and then stands still: `test_ended_suite.py` ends it."""

import os
import threading
from pathlib import Path

from tests.faults.service import HANGS, Server, Service


def test_that_stands_still(tmp_path):
    """Tell the process ids, then wait to be ended."""
    server = Server(tmp_path)
    service = Service(tmp_path / "log", server.settings, workers=2)
    try:
        service.wait_until_it_listens()
        file = Path(os.environ["STANDING_TOLD"])
        file.with_suffix(".new").write_text(" ".join(map(str, [service.process.pid, *server.processes()])))
        file.with_suffix(".new").rename(file)
        assert threading.Event().wait(HANGS), "nobody ended it"
    finally:
        service.end()
        server.embedded.stop()
