"""Commands of `sceau` in processes of their own, forked from one that has imported it (`tests.support.fork_server`)."""

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parent.parent.parent


class Forked:
    """A process as `subprocess.Popen` has it: as much of it as tests use."""

    def __init__(self, pid: int, report: int) -> None:
        """`report`: the pipe on which its exit status comes."""
        self.pid = pid
        self.returncode: int | None = None
        self.stdin: IO[str] | None = None
        self.stdout: IO[str] | None = None
        self._report = report

    def poll(self) -> int | None:
        """The exit status, or None while it runs; minus the signal that ended it."""
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        """The exit status, once it has ended.

        Raises:
            subprocess.TimeoutExpired: it has not ended in time.

        """
        status = self._look(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return status

    def send_signal(self, wanted: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, wanted)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def _look(self, seconds: float | None) -> int | None:
        if self.returncode is None and select.select([self._report], [], [], seconds)[0]:
            status = os.read(self._report, 16)
            os.close(self._report)
            assert status, "the fork server has ended"
            self.returncode = int(status)
        return self.returncode


@cache
def _server() -> socket.socket:
    """The fork server of this process, which ends with it."""
    mine, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.support.fork_server", str(its.fileno())],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("SCEAU_")},
        pass_fds=[its.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    its.close()
    atexit.register(_end, server, mine)
    return mine


def _end(server: "subprocess.Popen[bytes]", channel: socket.socket) -> None:
    channel.close()
    server.wait()


def start_command(
    words: Sequence[str],
    environment: Mapping[str, str],
    directory: Path,
    streams: Sequence[IO[Any] | int],
    *,
    module: str | None = None,
) -> Forked:
    """Start a command of `sceau`, or a module as `python -m` does, in a session of its own, on its standard streams."""
    body = {
        "words": [*map(str, words)],
        "environment": dict(environment),
        "directory": str(directory),
        "module": module,
    }
    reading, writing = os.pipe()
    descriptors = [each if isinstance(each, int) else each.fileno() for each in streams]
    server = _server()
    socket.send_fds(server, [json.dumps(body).encode()], [*descriptors, writing])
    os.close(writing)
    pid = server.recv(64)
    assert pid, "the fork server has ended"
    return Forked(int(pid), reading)


def run_forked(
    words: Sequence[str], environment: Mapping[str, str], directory: Path, seconds: float
) -> "subprocess.CompletedProcess[str]":
    """Run a command of `sceau` to its end: its exit status, and what it printed.

    Raises:
        subprocess.TimeoutExpired: it has not ended in time; it is ended.

    """
    with Path(os.devnull).open("rb") as nothing, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as error:
        process = start_command(words, environment, directory, [nothing, out, error])
        try:
            status = process.wait(seconds)
        finally:
            process.kill()
        outputs = []
        for stream in (out, error):
            stream.seek(0)
            outputs.append(stream.read().decode())
    return subprocess.CompletedProcess([*words], status, *outputs)
