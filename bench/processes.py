"""Starts what is measured, waits until it answers, and stops it: only what this run started."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from bench.wrk import BenchError

ROOT: Final = Path(__file__).resolve().parent.parent
_READY_SECONDS: Final = 60


def free_port() -> int:
    """A port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """A process that answers HTTP on a port of its own."""

    def __init__(self, name: str, command: Sequence[str], port: int, environment: Mapping[str, str], log: Path) -> None:
        """Start it; its output goes to a file."""
        self.name = name
        self.port = port
        self._log = log
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("SCEAU_")}
        with log.open("w") as output:
            self._process = subprocess.Popen(
                command, env={**inherited, **environment}, stdout=output, stderr=subprocess.STDOUT, cwd=ROOT
            )

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def wait(self, path: str = "/") -> None:
        """Return when it answers a GET, whatever it says short of a 5xx.

        Raises:
            BenchError: it ended, or did not answer in time.

        """
        until = time.monotonic() + _READY_SECONDS
        while time.monotonic() < until:
            if self._process.poll() is not None:
                raise BenchError(f"{self.name} ended: {self._last_words()}")
            with suppress(OSError, http.client.HTTPException):
                if call(self.port, "GET", path)[0] < 500:  # noqa: PLR2004 - HTTP
                    return
            time.sleep(0.1)
        raise BenchError(f"{self.name} does not answer: {self._last_words()}")

    def _last_words(self) -> str:
        return " ".join(self._log.read_text()[-300:].split())

    def stop(self) -> None:
        """End it, kindly at first."""
        self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def resident_mb(self) -> float:
        """Its resident memory, in megabytes of a million bytes."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024 / 1e6
        raise BenchError(f"{self.name} is gone")


@contextmanager
def apart(server: Server) -> Iterator[None]:
    """Keep a server's event loop off the first of this machine's cores, which is left to the generator meanwhile.

    Where both are on one core each waits for the other's slice of the scheduler, and that would be what is measured.
    """
    cores = os.sched_getaffinity(server.pid)
    os.sched_setaffinity(server.pid, cores - {min(cores)} or cores)
    try:
        yield
    finally:
        os.sched_setaffinity(server.pid, cores)


def application(name: str, path: str, environment: Mapping[str, str], logs: Path) -> Server:
    """One of `bench.apps` under the flags that Sceau runs with."""
    port = free_port()
    command = [sys.executable, "-m", "bench.apps.serve", path, str(port)]
    server = Server(name, command, port, environment, logs / f"{name}.log")
    server.wait()
    return server


def sceau(name: str, environment: Mapping[str, str], logs: Path, *, workers: int = 1) -> Server:
    """Sceau itself, by its own command."""
    port = free_port()
    command = [str(Path(sys.executable).with_name("sceau")), "serve", "--port", str(port), "--workers", str(workers)]
    server = Server(name, command, port, environment, logs / f"{name}.log")
    server.wait("/readyz")
    return server


def call(port: int, method: str, path: str, body: str | None = None, *, key: str = "") -> tuple[int, Any]:
    """One request on a connection of its own: the status, and the JSON of the answer if it is JSON."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Content-Type": "application/json"} if body is not None else {}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    try:
        return answer.status, json.loads(text)
    except ValueError:
        return answer.status, None
