"""Run the service in this process, on the databases that settings name.

The jobs process answers no HTTP and the web workers run no jobs: each imports its own half.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from app.core.errors import RefusalError
from app.serving.jobs_process import BEAT_VARIABLE, JobsProcess
from app.settings import Settings
from app.telemetry.room import counting_directory
from app.wiring.stopping import say_stopping

if TYPE_CHECKING:
    import uvicorn

_GRACE_SECONDS: Final = 10
_BEAT_SECONDS: Final = 5.0
SERVED: Final[Mapping[str, Any]] = {
    "app": "app.main:create_app_from_environment",
    "factory": True,
    "loop": "uvloop",
    "http": "app.api.decisions.endpoint:DecisionProtocol",
    "access_log": False,
    "log_config": None,
    "server_header": False,
    "proxy_headers": False,  # only app.api.http.security believes what proxies say, and by setting
    "date_header": True,
    "timeout_graceful_shutdown": _GRACE_SECONDS,
    "timeout_worker_healthcheck": 30,  # a worker that is still importing on a busy machine is not dead
}
"""How uvicorn serves, except for the address and the number of workers."""


class PortTakenError(RefusalError):
    """Another process listens on that address."""


def serve(host: str, port: int, workers: int, *, jobs: bool) -> None:
    """Answer HTTP until SIGINT or SIGTERM, then finish what is being answered within ten seconds.

    Args:
        host: the address to listen on.
        port: its port.
        workers: how many processes answer.
        jobs: whether to run a jobs process beside; it has stopped when this returns.

    Raises:
        NoRoomError: there are several workers, and no room for the files in which they count.
        SystemExit: 0 after SIGTERM; 1 when workers could not start.

    """
    import uvicorn

    signal.signal(signal.SIGTERM, _terminate)
    config = uvicorn.Config(workers=workers, **{**SERVED, "host": host, "port": port})
    with JobsProcess() if jobs else nullcontext():
        if workers == 1:
            _serve_alone(config)
        else:
            _serve_with(config)


def _serve_alone(config: "uvicorn.Config") -> None:
    """Run one worker in this process."""
    from uvicorn.config import STARTUP_FAILURE

    from app.serving.web_workers import WebServer

    server = WebServer(config)
    with suppress(KeyboardInterrupt):  # uvicorn raises again the signal that ended it
        server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)


def _serve_with(config: "uvicorn.Config") -> None:
    """Run several workers, which count in a directory that is made for them."""
    from app.serving.web_workers import WebWorkers

    with counting_directory(config.workers) as counters:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = counters
        web = WebWorkers(config, sockets_in=str(Path(counters).parent), stopping=say_stopping)
        web.run()
    if web.failed:
        sys.exit(1)


def work(settings: Settings, *, chance: Callable[[], float], beside: bool) -> None:
    """Run background jobs until SIGTERM or SIGINT; `beside` another process, until SIGTERM or that process is gone.

    Args:
        settings: as loaded.
        chance: returns a number from 0 up to 1, for the waits between attempts.
        beside: end when standard input does.

    Raises:
        DeploymentRefusedError: the database is not this deployment's, or its schema is behind.
        SettingsError: a setting is missing or wrong.

    """
    if not asyncio.run(_work(settings, chance, beside=beside)):
        os._exit(1)  # something hangs that cannot be waited for: another worker takes back what it held


async def _work(settings: Settings, chance: Callable[[], float], *, beside: bool) -> bool:
    from app.wiring.jobs import work_until

    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    loop.add_signal_handler(signal.SIGINT, stopping.set)
    if beside:
        loop.add_reader(sys.stdin.fileno(), lambda: None if os.read(sys.stdin.fileno(), 64) else stopping.set())
    beating = asyncio.create_task(_beat())
    try:
        return await work_until(settings, stopping, chance=chance)
    finally:
        beating.cancel()


async def _beat() -> None:
    """Report to the service beside, if any, that this event loop turns: a silent process is started again."""
    descriptor = os.environ.get(BEAT_VARIABLE)
    while descriptor is not None:
        os.write(int(descriptor), b".")
        await asyncio.sleep(_BEAT_SECONDS)


def _terminate(_: int, __: object) -> NoReturn:
    # Raised where the signal arrives, so that what was started is stopped on the way out. An end on request is no
    # failure.
    raise SystemExit(0)


def check_free(host: str, port: int) -> None:
    """Refuse an address that cannot be listened on, before anything is started for it.

    Raises:
        PortTakenError: it cannot be listened on.

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
