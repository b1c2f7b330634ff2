"""The service in a child process: started, waited for, and stopped whatever happens to the demo."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import httpx2

from demo.refusal import Refused

HOST: Final = "127.0.0.1"
_READY_SECONDS: Final = 90
_STOP_SECONDS: Final = 20
_CHECKOUT: Final = Path(__file__).resolve().parent.parent


class Service:
    """A running service: where it is, where its key is, and whether it still runs."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, data: Path) -> None:
        self._process = process
        self.url = f"http://{HOST}:{port}"
        self.key_file = data / "keys" / "bootstrap"
        self.log = data / "demo-service.log"

    def wait_ready(self) -> None:
        """Return once it can decide.

        Raises:
            Refused: it ended instead, with what it said; or it took too long.

        """
        until = time.monotonic() + _READY_SECONDS
        with httpx2.Client(base_url=self.url, trust_env=False, timeout=2) as client:
            while time.monotonic() < until:
                if self._process.poll() is not None:
                    raise Refused(self._last_words())
                if self._listens() and _is_ready(client):
                    return
                time.sleep(0.1)
        raise Refused(f"the service was not ready within {_READY_SECONDS} s: see {self.log}")

    def wait_end(self) -> None:
        """Wait for as long as it runs.

        Raises:
            Refused: it ended by itself.

        """
        status = self._process.wait()
        raise Refused(f"the service ended by itself (exit status {status}): see {self.log}")

    def stop(self) -> None:
        """Stop it, and wait until it is gone; a Ctrl-C meanwhile ends it and all that it started at once."""
        if self._process.stdin is not None:
            self._process.stdin.close()  # what would tell it to stop if the demo were killed
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _listens(self) -> bool:
        """Whether it says so itself: another program may have taken the port, and must not be sent the key."""
        return f"running on {self.url}" in self.log.read_text(encoding="utf-8", errors="replace")

    def _last_words(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        said = [line.removeprefix("sceau: ") for line in lines if line.startswith("sceau: ")]
        return said[-1] if said else f"the service could not start: see {self.log}"


def _is_ready(client: httpx2.Client) -> bool:
    try:
        return client.get("/readyz").status_code == httpx2.codes.OK
    except httpx2.TransportError:
        return False


@contextmanager
def running_service(data: Path, port: int) -> Iterator[Service]:
    """The service on a data directory, ready; stopped at the end.

    Raises:
        Refused: the port is taken, the directory cannot be used, or the service does not start.

    """
    _check_port(port)
    service = Service(_start(data, port), port, data)
    try:
        service.wait_ready()
        yield service
    finally:
        service.stop()


def _start(data: Path, port: int) -> subprocess.Popen[bytes]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SCEAU_")}
    command = [sys.executable, "-m", "demo.service_process", "--data", str(data), "--port", str(port)]
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(data / "demo-service.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        raise Refused(f"--data {data}: cannot be written ({error.strerror}): choose another directory") from None
    with os.fdopen(descriptor, "wb") as log:
        # A session of its own: Ctrl-C in the terminal reaches the demo alone, which then stops it in order.
        return subprocess.Popen(
            command,
            cwd=_CHECKOUT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise Refused(f"{HOST}:{port} cannot be listened on ({error.strerror}): choose another --port") from None
