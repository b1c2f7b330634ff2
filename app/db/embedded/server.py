"""The supervisor: one PostgreSQL server that lives as long as this process, and no longer.

It must not know the application's schema, listen on TCP, or leave a process or a half-made directory behind.
"""

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self
from urllib.parse import quote

from app.db.embedded.binaries import Account, find_binaries, runnable_binaries
from app.db.embedded.cluster import bootstrap, check_version, inherited, make_cluster, server_options
from app.db.embedded.directory import DataDirectory, open_directory, remove_link, socket_directory, take_server_lock
from app.db.embedded.errors import NotStartable, StartFailed, disk_full, refusing
from app.db.embedded.process import launch, no_room_line, read_since, relevant_line, stop_process

_READY_SECONDS = 120.0
_POLL_SECONDS = 0.005
_FULL_BELOW_BYTES = 64 * 1024
_STATUS_LINE = 7


class EmbeddedServer:
    """A PostgreSQL server on one data directory, reached only through a socket in it.

    `binaries` is the directory of its programs (found by `find_binaries` when None); `settings` are PostgreSQL's own,
    by name, for this object's starts. Usable as a context manager, and again after `stop`.
    """

    def __init__(
        self, data_directory: Path, *, binaries: Path | None = None, settings: Mapping[str, str] | None = None
    ) -> None:
        self._path = Path(os.path.realpath(data_directory))
        self._binaries = binaries
        self._settings = dict(settings or {})
        self._directory: DataDirectory | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: Path | None = None
        self._log_offset = 0
        self._owner = os.getpid()

    @property
    def pid(self) -> int | None:
        """The process id of the server, None when it does not run."""
        return self._process.pid if self._process is not None and self.is_alive() else None

    @property
    def account(self) -> Account | None:
        """The user that the server runs as: under root, the owner of the data, else `postgres`, else `nobody`."""
        return self._directory.account if self._directory is not None else None

    @property
    def log_file(self) -> Path:
        """The path of the server's own log, whether it exists yet or not."""
        return self._path / "postgresql.log"

    def is_alive(self) -> bool:
        """Return whether the server process runs, asked of the kernel at each call."""
        return self._process is not None and self._process.poll() is None

    def url(self, *, role: str, database: str) -> str:
        """Return a libpq URL, the same across stop and start. Raises NotStartable before the first start.

        It is usable by root and by the account that the server runs as, in this process and any other.
        """
        if self._socket is None:
            raise NotStartable("the embedded server has no address before its first start", "call start first")
        host = quote(os.fsencode(self._socket), safe="")
        return f"postgresql://{quote(role, safe='')}@/{quote(database, safe='')}?host={host}"

    def start(self) -> None:
        """Start the server and set up roles and database; do nothing if it runs already.

        The first start makes the data directory. Raises a subclass of EmbeddedServerError, whose message is one line,
        and then leaves nothing behind that was not there before.
        """
        _check_process()
        if self.is_alive():
            return
        if os.getpid() != self._owner:  # a copy made by fork owns nothing
            self._directory, self._owner = None, os.getpid()
        self._process = None
        binaries = self._binaries or find_binaries()
        directory = self._directory or open_directory(self._path)
        try:
            with refusing(self._path):
                self._launch(directory, binaries)
                self._wait_until_ready(directory)
                self._socket = socket_directory(directory.cluster, directory.mark)
            bootstrap(binaries, self._socket)
        except BaseException:
            self._end(directory)
            directory.discard()
            self._directory = None
            raise
        directory.settle()
        self._directory = directory

    def stop(self) -> None:
        """Stop the server with a fast shutdown and wait for its end, at most about half a minute.

        It does nothing when the server is stopped already, or in a child of the process that made this object.
        """
        directory, self._directory = self._directory, None
        if directory is None or os.getpid() != self._owner:
            return
        try:
            self._end(directory)
        finally:
            directory.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _launch(self, directory: DataDirectory, binaries: Path) -> None:
        lock = take_server_lock(directory.server_lock, directory.mark, directory.account.uid)
        try:
            directory.remove_leftovers()
            if not directory.is_new:
                check_version(directory, binaries)
            programs = runnable_binaries(binaries, directory.account, directory.path)
            if directory.is_new:
                make_cluster(directory, programs, lock, durable=self._settings.get("fsync") != "off")
            self._run_postgres(directory, programs, lock)
        finally:
            os.close(lock)  # from here on it lives as long as the last process of the server

    def _run_postgres(self, directory: DataDirectory, programs: Path, lock: int) -> None:
        directory.remove_misleading_pid_file()
        output = directory.open_log()
        self._log_offset = os.fstat(output).st_size
        try:
            with inherited(directory.cluster) as (descriptor, path):
                options = server_options(self._settings, directory.mark)
                self._process = launch(
                    [str(programs / "postgres"), "-D", path, *options],
                    directory.account,
                    at_parent_death=signal.SIGINT,
                    keep=(descriptor, lock),
                    output=output,
                )
        finally:
            os.close(output)

    def _wait_until_ready(self, directory: DataDirectory) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while self.is_alive() and time.monotonic() < deadline:
            if self.pid is not None and _says_ready(directory.cluster, self.pid):
                return
            time.sleep(_POLL_SECONDS)
        text = read_since(directory.log, self._log_offset)
        line, no_room = relevant_line(text), no_room_line(text)
        room = os.statvfs(directory.path)
        if no_room or room.f_bavail * room.f_frsize < _FULL_BELOW_BYTES:
            raise disk_full(directory.path, no_room or "the server could not write its log")
        how = "did not get ready" if self.is_alive() else "ended at once"
        raise StartFailed(
            f"PostgreSQL {how} as {directory.account.name} ({line or 'it said nothing'})",
            f"mend what it names; its log is {directory.log}" if not directory.is_new else "mend what it names",
        )

    def _end(self, directory: DataDirectory) -> None:
        """Leave no process of the server, and no link to its socket."""
        process, self._process = self._process, None
        if process is not None:
            stop_process(process)
            os.close(take_server_lock(directory.server_lock, directory.mark, directory.account.uid))
        if self._socket is not None:
            remove_link(self._socket, directory.cluster)


def _check_process() -> None:
    if sys.platform != "linux":
        raise NotStartable("the embedded server runs on Linux only", "set the URL of a PostgreSQL server instead")
    if threading.current_thread() is not threading.main_thread():
        raise NotStartable(
            "the embedded server was started from a thread, and would die with it", "start it from the main thread"
        )


def _says_ready(cluster: Path, pid: int) -> bool:
    """PostgreSQL writes its state in this file, and at last that it takes connections."""
    path = cluster / "postmaster.pid"
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return False
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return lines[0:1] == [str(pid)] and [line.strip() for line in lines[_STATUS_LINE:]] == ["ready"]
