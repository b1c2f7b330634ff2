"""What answers HTTP: a server alone, or several workers that are restarted when one dies and are stopped together.

Workers are forked from a process that has imported the application and does nothing else: one more worker costs neither
the seconds nor the memory of another import.
"""

import asyncio
import multiprocessing
import os
import select
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from socket import socket
from typing import Final

import structlog
import uvicorn
from prometheus_client.multiprocess import mark_process_dead
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from app.telemetry.logs import say_fault
from app.telemetry.room import note_restart

_LOOKS: Final = 0.05
_FORKS: Final = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["app.main", "app.api.decisions.endpoint", "uvloop"])
log = structlog.get_logger("sceau.serving")


_ACCEPTS_SECONDS: Final = 1.0


class WebServer(uvicorn.Server):
    """A server that closes its listening sockets only once their queues are empty: else waiting clients are reset."""

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Accept those who wait, for a second at most, then stop accepting, and end as uvicorn does."""
        waiting = select.poll()
        for server in self.servers:
            for listener in server.sockets:
                waiting.register(listener.fileno(), select.POLLIN)
        until = time.monotonic() + _ACCEPTS_SECONDS
        while waiting.poll(0) and time.monotonic() < until:  # noqa: ASYNC110 - the kernel knows, and sets no event
            await asyncio.sleep(0)  # the loop accepts
        for server in self.servers:
            server.close()
        await super().shutdown(sockets)


class WebWorker(Process):
    """Uvicorn's worker, but forked where the application is imported already.

    The kernel reports whether it has ended (pidfd_open(2)). The fork server reports it to `multiprocessing` as well,
    but may be killed: all its workers would then pass for dead, nothing would stop them, and the service would not end.
    """

    def __init__(self, config: uvicorn.Config, sockets: list[socket]) -> None:
        """Start nothing yet."""
        super().__init__(config, sockets)
        self.process = _FORKS.Process(target=_answer, args=(self.target, sockets))  # type: ignore[assignment]
        self._handle: int | None = None

    def start(self) -> None:
        """Fork it."""
        super().start()
        with suppress(ProcessLookupError):  # it has ended already
            self._handle = os.pidfd_open(self.process.pid or 0)

    @cached_property
    def server(self) -> uvicorn.Server:
        """The server in the worker."""
        return WebServer(self.config)

    def ended(self, seconds: float = 0) -> bool:
        """Return whether it has ended, or does within so many seconds."""
        if self._handle is None:
            return True
        ending = select.poll()
        ending.register(self._handle, select.POLLIN)
        return bool(ending.poll(seconds * 1000))

    def is_alive(self, timeout: float = 5) -> bool:
        """Return whether it runs, and answers within so many seconds that it does."""
        return not self.ended() and self.ping(timeout)

    def terminate(self) -> None:
        """Tell it to stop."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self._send(signal.SIGKILL)

    def join(self) -> None:
        """Wait until it has ended, and take its status where that is known."""
        while not self.ended(_LOOKS):
            pass
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
        super().join()

    def _send(self, wanted: signal.Signals) -> None:
        if self._handle is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, wanted)
        self.parent_conn.close()
        self.child_conn.close()


def _answer(run: Callable[[list[socket]], None], sockets: list[socket]) -> None:
    threading.Thread(target=_end_with_parent, name="end with parent", daemon=True).start()
    with suppress(KeyboardInterrupt):
        try:
            run(sockets)
        except Exception as error:  # noqa: BLE001 - multiprocessing would print its message
            say_fault(error)
            sys.exit(1)


def _end_with_parent() -> None:
    """Stop this worker when the service is killed: nothing would watch over it, or free its port."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def _temporary_files_in(directory: str) -> Iterator[None]:
    """Put the fork server's socket below this directory: its path may have 107 bytes, and TMPDIR more."""
    before, tempfile.tempdir = tempfile.tempdir, directory
    try:
        yield
    finally:
        tempfile.tempdir = before


class WebWorkers(Multiprocess):
    """Uvicorn's supervisor, which also closes the listening sockets when the workers are told to stop.

    While the parent holds one, the system goes on accepting connections, which no worker would answer.
    """

    processes: list[WebWorker]  # type: ignore[assignment]

    def __init__(self, config: uvicorn.Config, *, sockets_in: str, stopping: Callable[[], None]) -> None:
        """Bind the socket; start nothing yet.

        Args:
            config: that of each worker.
            sockets_in: a directory with a short path that stays until this process ends: multiprocessing makes its own
                directory there, and removes it last.
            stopping: called once, when the service begins to stop.

        """
        super().__init__(config, sockets=[config.bind_socket()])
        self._sockets_in = sockets_in
        self._stopping = stopping

    def run(self) -> None:
        """Answer until a signal to stop; no worker outlives this, however it ends."""
        try:
            super().run()
        finally:
            self._kill_all()

    @property
    def failed(self) -> bool:
        """Whether a worker could not start, so that the service was stopped."""
        return any(process.exitcode == STARTUP_FAILURE for process in self.processes)

    def handle_hup(self) -> None:
        """Change nothing: settings and code are read when the service starts, so a new worker would be like the old."""
        log.info("a signal was passed over: restart the service for new settings or another number of workers")

    handle_ttin = handle_ttou = handle_hup

    def terminate_all(self) -> None:
        """Tell the workers to stop, and leave it to them when to stop accepting: each has the sockets too."""
        self._stopping()
        super().terminate_all()
        for listener in self.sockets:
            listener.close()

    def join_all(self) -> None:
        """Wait for the workers; a second Ctrl-C meanwhile ends them at once."""
        while not all(worker.ended() for worker in self.processes):
            if signal.SIGINT in self.signal_queue:
                self._kill_all()
            time.sleep(_LOOKS)
        super().join_all()

    def init_processes(self) -> None:
        """Start as many workers as are asked for, and the process that they are forked from."""
        with _temporary_files_in(self._sockets_in):
            for _ in range(self.processes_num):
                self.processes.append(self._started())

    def keep_subprocess_alive(self) -> None:
        """Restart workers that died or hang, and forget the present values that they reported."""
        if self.should_exit.is_set():
            return
        for place, worker in enumerate(self.processes):
            if worker.is_alive(self.config.timeout_worker_healthcheck):
                continue
            worker.kill()
            worker.join()
            if worker.pid is not None:
                mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
            if worker.exitcode == STARTUP_FAILURE:  # the next one would fail as well
                self.should_exit.set()
                return
            self.processes[place] = self._started()
            log.warning("a worker died, and another was started", worker=worker.pid)
            note_restart("worker")

    def _kill_all(self) -> None:
        for worker in self.processes:
            worker.kill()

    def _started(self) -> WebWorker:
        worker = WebWorker(self.config, self.sockets)
        worker.start()
        return worker
