"""The service as `./dev serve` runs it, for a browser to talk to."""

import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import httpx2

from tests.demo.runs import ROOT, environment, free_port

SERVE = "import sys; from app.cli import main; sys.argv[0] = 'sceau'; main()"


@contextmanager
def service(data: Path, *, moved: Path | None = None, **settings: str):
    """The service on a data directory of its own, as `./dev serve` runs it; its address and its first key.

    `moved`: a file of seconds by which its clock is ahead (tests/e2e/moved.py).
    """
    port = free_port()
    clean = {name: value for name, value in environment().items() if not name.startswith("SCEAU_")}
    clean |= {"SCEAU_PUBLIC_URL": f"http://127.0.0.1:{port}", **settings}
    line = [sys.executable, "-c", SERVE, "serve", "--data", str(data), "--port", str(port)]
    if moved is not None:
        line = [sys.executable, "-m", "tests.e2e.moved", "serve", str(data), str(port), str(moved)]
    with (data.parent / "service.log").open("wb") as log:
        process = subprocess.Popen(line, cwd=ROOT, env=clean, stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        with httpx2.Client(trust_env=False) as client:
            while process.poll() is None:
                try:
                    if client.get(f"{address}/readyz").status_code == 200:
                        break
                except httpx2.TransportError:
                    pass
                time.sleep(0.1)
        assert process.poll() is None, (data.parent / "service.log").read_text()
        yield address, (data / "keys" / "bootstrap").read_text().strip()
    finally:
        process.terminate()
        process.wait()
