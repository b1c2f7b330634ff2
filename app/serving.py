"""Run the service in this process, on the databases that settings name.

The jobs process answers no HTTP and the web workers run no jobs: each imports its own half.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import nullcontext
from typing import Final, NoReturn, Self

import structlog

from app.settings import Settings

_GRACE_SECONDS: Final = 10
_JOBS_GRACE_SECONDS: Final = 8
_PAUSES: Final = (1.0, 2.0, 5.0, 10.0, 30.0)
_WORKER: Final = ("-c", "from app.cli import main; main()", "worker", "--beside")

log = structlog.get_logger("sceau.serving")


class PortTakenError(Exception):
    """Another process listens on that address."""


def serve(host: str, port: int, workers: int, *, jobs: bool) -> None:
    """Answer HTTP until SIGINT or SIGTERM, then finish what is being answered within ten seconds.

    With `jobs`, a jobs process runs beside, and has stopped when this returns.
    """
    import uvicorn

    signal.signal(signal.SIGTERM, _terminate)
    beside = JobsProcess() if jobs else nullcontext()
    with tempfile.TemporaryDirectory(prefix="sceau-metrics-") as counters, beside:
        if workers > 1:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = counters
        uvicorn.run(
            "app.main:create_app_from_environment",
            factory=True,
            host=host,
            port=port,
            workers=workers,
            loop="uvloop",
            http="app.api.decisions.connection:DecisionProtocol",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,  # what proxies say is believed by app.api.http.peers alone, and by setting
            date_header=True,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            timeout_worker_healthcheck=30,  # a worker that is still importing on a busy machine is not dead
        )


def work(settings: Settings, *, chance: Callable[[], float], beside: bool) -> None:
    """Run background jobs until SIGTERM or SIGINT; `beside` another process, until SIGTERM or until that one is gone.

    Args:
        settings: as loaded.
        chance: gives a number from 0 up to 1, for the waits between attempts.
        beside: end with standard input.

    Raises:
        DeploymentRefusedError: the database is not this deployment's, or its schema is behind.
        SettingsError: a setting is missing or wrong.

    """
    if not asyncio.run(_work(settings, chance, beside=beside)):
        os._exit(1)  # something hangs that cannot be waited for: what it held is taken back by another worker


async def _work(settings: Settings, chance: Callable[[], float], *, beside: bool) -> bool:
    from app.wiring.jobs import work_until

    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    loop.add_signal_handler(signal.SIGINT, stopping.set)
    if beside:
        loop.add_reader(sys.stdin.fileno(), lambda: None if os.read(sys.stdin.fileno(), 64) else stopping.set())
    return await work_until(settings, stopping, chance=chance)


class JobsProcess:
    """The jobs process beside the web workers: started again whenever it ends, stopped when the block does.

    It holds one end of a pipe whose other end this process holds, so that it ends too when this one is killed.
    """

    def __init__(self) -> None:
        """Start nothing yet."""
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._watch = threading.Thread(target=self._keep, name="jobs process", daemon=True)

    def __enter__(self) -> Self:
        """Start it, and watch it."""
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it: with SIGTERM, and with SIGKILL when it takes longer than eight seconds."""
        self._stopping.set()
        with self._lock:
            process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_JOBS_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._watch.join()

    def _keep(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            process = self._start()
            if process is None:
                return
            status = process.wait()
            if self._stopping.is_set():
                return
            log.warning("the jobs process ended, and is started again", status=status)
            self._stopping.wait(_PAUSES[min(failures, len(_PAUSES) - 1)])
            failures += 1

    def _start(self) -> "subprocess.Popen[bytes] | None":
        with self._lock:  # a stop that comes meanwhile finds it, or keeps it from being started
            if self._stopping.is_set():
                return None
            environment = {name: value for name, value in os.environ.items() if name != "PROMETHEUS_MULTIPROC_DIR"}
            command = [sys.executable, *_WORKER]
            # A group of its own: a terminal's Ctrl-C is for the service, which then tells this one.
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment, process_group=0)
            return self._process


def _terminate(_: int, __: object) -> NoReturn:
    # Raised where the signal arrives, so that what was started is stopped on the way out.
    raise SystemExit(128 + signal.SIGTERM)


def check_free(host: str, port: int) -> None:
    """Refuse an address that cannot be listened on, before anything is started for it.

    Raises:
        PortTakenError: it cannot.

    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortTakenError(
                f"{host}:{port} cannot be listened on ({error.strerror}): choose another --port"
            ) from None
