"""The jobs process beside the web workers: started again when it ends or hangs."""

import os
import select
import subprocess
import sys
import threading
import time
from typing import Final, Self

import structlog

from app.telemetry.room import note_restart

log = structlog.get_logger("sceau.serving")
_GRACE_SECONDS: Final = 8
_PAUSES: Final = (1.0, 2.0, 5.0, 10.0, 30.0)
_LIVED_SECONDS: Final = 60.0
"""A process that ran so long had started well: failures before it do not delay the next one."""
_SILENT_SECONDS: Final = 60.0
"""A process whose event loop has not turned for so long counts as hanging."""
_WORKER: Final = ("-c", "from app.cli import main; main()", "serve", "--jobs-only", "--beside")
BEAT_VARIABLE: Final = "JOBS_BEAT_DESCRIPTOR"
"""Names, in the jobs process's environment, the descriptor to which it writes that its event loop turns."""


class JobsProcess:
    """The jobs process: started again whenever it ends or hangs, stopped when the block does.

    It holds one end of a pipe whose other end this process holds, so that it ends too when this one is killed. On
    another pipe it reports every few seconds that its event loop turns.
    """

    def __init__(self, silent_seconds: float = _SILENT_SECONDS) -> None:
        """Start nothing yet.

        Args:
            silent_seconds: how long it may be silent before it is killed and started again.

        """
        self._silent = silent_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._beats = -1
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._watch = threading.Thread(target=self._keep, name="jobs process", daemon=True)

    def __enter__(self) -> Self:
        """Start it, and watch it."""
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it with SIGTERM; kill it with SIGKILL after eight seconds, or at a Ctrl-C meanwhile."""
        self._stopping.set()
        with self._lock:
            process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_GRACE_SECONDS)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            process.kill()
            process.wait()
        self._watch.join()

    def _keep(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            begun = time.monotonic()
            process = self._start()
            if process is None:
                return
            status = self._watched(process)
            if self._stopping.is_set():
                return
            failures = 0 if time.monotonic() - begun > _LIVED_SECONDS else failures
            log.warning("the jobs process ended, and is started again", status=status)
            note_restart("jobs")
            self._stopping.wait(_PAUSES[min(failures, len(_PAUSES) - 1)])
            failures += 1

    def _watched(self, process: "subprocess.Popen[bytes]") -> int:
        """Return the status with which the process ends, by itself or because it was silent for too long."""
        with (
            os.fdopen(self._beats, "rb", buffering=0) as beats,
            process,
        ):  # which also closes its pipe, and waits for it
            while select.select([beats], [], [], self._silent)[0]:
                if not beats.read(64):  # its end is closed: it is gone, or about to go
                    return process.wait()
            if not self._stopping.is_set():
                log.error("the jobs process hangs, and is killed", silent_seconds=self._silent)
                process.kill()
            return process.wait()

    def _start(self) -> "subprocess.Popen[bytes] | None":
        with self._lock:  # a stop that comes meanwhile finds the process, or prevents its start
            if self._stopping.is_set():
                return None
            self._beats, writing = os.pipe()
            environment = {name: value for name, value in os.environ.items() if name != "PROMETHEUS_MULTIPROC_DIR"}
            environment[BEAT_VARIABLE] = str(writing)
            command = [sys.executable, *_WORKER]
            # In another process group: a terminal's Ctrl-C is for the service, which then stops this process.
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, env=environment, process_group=0, pass_fds=[writing]
            )
            os.close(writing)
            return self._process
