"""The data directory: what lies in it, whether it may be used, and how to leave no trace of a start that failed.

    DATA_DIRECTORY/          0700, of the server's account
        starter.lock  server.lock       see `take_starter_lock` and `take_server_lock`
        cluster/         0700: PostgreSQL's own data directory, with the socket
        cluster.new/     a cluster in the making
        binaries-*/      see `runnable_binaries` in binaries.py
        postgresql.log   0600, and postgresql.log.1, the one before

This module must not change the mode or owner of anything that it did not make, nor remove anything not named above.
"""

import fcntl
import hashlib
import os
import re
import shutil
import signal
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from app.db.embedded.binaries import Account, choose_account
from app.db.embedded.errors import DirectoryInUse, DirectoryRefused, refusing
from app.db.embedded.process import find_processes, signal_processes

SOCKET_NAME = ".s.PGSQL.5432"

# Two advisory locks say who holds a data directory; they die with the processes that hold them. The *starter lock*
# belongs to the supervising process alone. The *server lock* is inherited by every process of the server and held by no
# other, so taking it proves that no such process is left, including backends orphaned by a killed postmaster. This code
# must not trust a process id that was written to a file.

_POLL_SECONDS = 0.01
_SHUTDOWN_SECONDS = 15.0  # a postmaster whose parent died is in a fast shutdown, which ends with a checkpoint
_ORPHAN_SECONDS = 1.0  # backends whose postmaster died leave as soon as they look
_KILL_SECONDS = 5.0

_starter_locks: set[int] = set()


def take_lock(path: Path) -> int | None:
    """Return an open close-on-exec descriptor that holds the lock; None when it is held elsewhere. Raises OSError."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still(path, descriptor):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its file was removed between open and lock: take the new one


def take_starter_lock(path: Path) -> int:
    """Take a lock as `take_lock` does, but release it in a forked child. Raises DirectoryInUse when it is held."""
    descriptor = take_lock(path)
    if descriptor is None:
        raise DirectoryInUse(
            f"another process already runs the embedded server of {path.parent}",
            "stop that one first, or choose another data directory",
        )
    _starter_locks.add(descriptor)
    return descriptor


def take_server_lock(path: Path, mark: str, uid: int) -> int:
    """Return the server lock, once nothing is left of an earlier server; end what does not leave by itself.

    Raises DirectoryInUse when something stays even then (after 26 seconds at most).
    """
    descriptor = take_lock(path)
    if descriptor is not None:
        return descriptor
    patience = _SHUTDOWN_SECONDS if any(find_processes(mark, uid).values()) else _ORPHAN_SECONDS
    for wanted, seconds in ((None, patience), (signal.SIGQUIT, _KILL_SECONDS), (signal.SIGKILL, _KILL_SECONDS)):
        if wanted is not None:
            signal_processes(mark, uid, wanted)
        descriptor = _wait_for_lock(path, seconds)
        if descriptor is not None:
            return descriptor
    left = ", ".join(map(str, find_processes(mark, uid))) or "unknown"
    raise DirectoryInUse(
        f"an earlier server of {path.parent} has not ended (processes: {left})", "end these processes, then start again"
    )


def _wait_for_lock(path: Path, seconds: float) -> int | None:
    deadline = time.monotonic() + seconds
    while True:
        descriptor = take_lock(path)
        if descriptor is not None or time.monotonic() > deadline:
            return descriptor
        time.sleep(_POLL_SECONDS)


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _let_go_in_child() -> None:
    while _starter_locks:
        os.close(_starter_locks.pop())


os.register_at_fork(after_in_child=_let_go_in_child)


# A path to the socket that every client can use. A socket's path may have 107 bytes, and clients misread commas, colons
# and the like in it: in those cases a short symbolic link stands for the directory. This code must not make anything
# for a directory whose own path will do.

_LIMIT_BYTES = 107
_PLAIN = re.compile(rb"[A-Za-z0-9/._-]+")


def socket_directory(cluster: Path, mark: str) -> Path:
    """Return the directory to give to clients: `cluster`, or a link to it, made now, the same at each call.

    The link lies in a directory of our own, which lets others through (so that the server's account may use it) to a
    cluster that does not. Raises DirectoryRefused when no short place is available.
    """
    if _fits(cluster):
        return cluster
    tried = []
    for place in dict.fromkeys((tempfile.gettempdir(), "/tmp")):  # noqa: S108 - checked to be ours below
        link = Path(place) / f"{mark}-{os.geteuid()}" / "s"
        if _fits(link) and _make_link(link, cluster):
            return link
        tried.append(str(link.parent))
    raise DirectoryRefused(
        f"the path {cluster} does not suit a socket, and no link to it could be made at {' or '.join(tried)}",
        "choose a shorter data directory, or remove what stands there",
    )


def remove_link(directory: Path, cluster: Path) -> None:
    """Remove what `socket_directory` made, if it made anything."""
    if directory == cluster or not directory.is_symlink():
        return
    directory.unlink()
    with suppress(OSError):  # not empty: not only ours
        directory.parent.rmdir()


def _fits(directory: Path) -> bool:
    path = os.fsencode(directory / SOCKET_NAME)
    return len(path) <= _LIMIT_BYTES and _PLAIN.fullmatch(path) is not None


def _make_link(link: Path, cluster: Path) -> bool:
    """Return False when the place is not ours, or cannot be made ours."""
    try:
        if not link.parent.exists():
            link.parent.mkdir(0o700)
            link.parent.chmod(0o711)  # despite the umask: it is new, and ours
        info = link.parent.lstat()
        if link.parent.is_symlink() or info.st_uid != os.geteuid() or info.st_mode & 0o022:
            return False
        link.unlink(missing_ok=True)  # left by a start that was killed
        link.symlink_to(cluster)
    except OSError:
        return False
    return True


_LOG_LIMIT_BYTES = 16 * 1024 * 1024
_OURS = ("cluster.new", "cluster", "postgresql.log", "postgresql.log.1", "server.lock", "starter.lock")
_COPIES = "binaries-*"


@dataclass
class DataDirectory:
    """A data directory whose starter lock this process holds, until `close` or `discard`."""

    path: Path
    account: Account
    starter_lock: int
    is_new: bool
    made: list[Path] = field(default_factory=list)

    @property
    def cluster(self) -> Path:
        """PostgreSQL's data directory, complete whenever it exists."""
        return self.path / "cluster"

    @property
    def side(self) -> Path:
        """Where a cluster is made before it gets its name."""
        return self.path / "cluster.new"

    @property
    def log(self) -> Path:
        """The file that receives the server's standard output and error."""
        return self.path / "postgresql.log"

    @property
    def server_lock(self) -> Path:
        """The file of the server lock (`take_server_lock`)."""
        return self.path / "server.lock"

    @property
    def mark(self) -> str:
        """The directory's mark: the same whatever its path, and different for any other directory on this machine."""
        info = self.path.stat()
        return "sceau-" + hashlib.sha256(f"{info.st_dev}:{info.st_ino}".encode()).hexdigest()[:16]

    def remove_leftovers(self) -> None:
        """Remove what an interrupted start was making. Only with the server lock held."""
        for leftover in (self.side, *self.path.glob(f"{_COPIES}.partial")):
            _remove(leftover)

    def remove_misleading_pid_file(self) -> None:
        """Remove PostgreSQL's pid file when its number now belongs to another program. Only with the server lock held.

        PostgreSQL would take that program for itself and refuse to start. This is the rule in containers, where few
        numbers recur. When the number belongs to no process, or to a PostgreSQL, the file stays: PostgreSQL judges that
        better.
        """
        pid_file = self.cluster / "postmaster.pid"
        try:
            number = int(pid_file.read_text(encoding="ascii", errors="replace").split("\n", 1)[0])
            program = Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")[0]
        except (OSError, ValueError):
            return
        if program and not program.startswith(b"postgres:") and not program.endswith(b"/postgres"):
            pid_file.unlink()
            (self.cluster / f"{SOCKET_NAME}.lock").unlink(missing_ok=True)

    def open_log(self) -> int:
        """Return a descriptor for appending to the log; a large log is set aside first."""
        if self.log.is_file() and self.log.stat().st_size > _LOG_LIMIT_BYTES:
            self.log.rename(self.log.with_name("postgresql.log.1"))
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self.log, flags, 0o600)
        if not self.account.is_ours:
            os.fchown(descriptor, self.account.uid, self.account.gid)
        return descriptor

    def settle(self) -> None:
        """Keep what the start made, because it succeeded."""
        self.is_new = False
        self.made.clear()

    def discard(self) -> None:
        """Remove what a failed start made, once no process of it is left, and release the directory."""
        try:
            if self.is_new:
                for entry in (*self.path.glob(_COPIES), *(self.path / name for name in _OURS)):
                    _remove(entry)
                _remove_empty(self.made)
        finally:
            self.close()

    def close(self) -> None:
        """Release the directory."""
        _starter_locks.discard(self.starter_lock)
        os.close(self.starter_lock)


def open_directory(path: Path) -> DataDirectory:
    """Make the directory when it is missing, check what is in it, and take its starter lock.

    Raises NotStartable, DirectoryRefused, DirectoryInUse or DiskFull, and then leaves nothing that was not there.
    """
    made: list[Path] = []
    try:
        with refusing(path):
            account = choose_account(path / "cluster")
            _make(path, account, made)
            is_new = _check_content(path, account)
            lock = take_starter_lock(path / "starter.lock")
    except BaseException:
        _remove_empty(made)
        raise
    return DataDirectory(path, account, lock, is_new, made)


def _make(path: Path, account: Account, made: list[Path]) -> None:
    if path.exists() and not path.is_dir():
        raise DirectoryRefused(f"the data directory {path} is a file", "choose the path of a directory")
    for directory in reversed([path, *path.parents]):
        if directory.is_dir():
            continue
        try:
            directory.mkdir(0o700 if directory == path else 0o755)
        except FileExistsError:
            if directory.is_dir():  # made by another start, just now
                continue
            raise
        made.append(directory)
        if directory == path and not account.is_ours:
            os.chown(path, account.uid, account.gid, follow_symlinks=False)


def _check_content(path: Path, account: Account) -> bool:
    """Return whether there is no cluster yet. Raises DirectoryRefused for content that is not ours."""
    names = {entry.name for entry in path.iterdir()}
    if "cluster" not in names:
        foreign = sorted(name for name in names if name not in _OURS and not name.startswith("binaries-"))
        if foreign:
            raise DirectoryRefused(
                f"the data directory {path} holds {foreign[0]!r}, which is not the embedded server's",
                "choose an empty or a new directory",
            )
        return True
    info = (path / "cluster").lstat()
    if info.st_uid != account.uid:
        raise DirectoryRefused(
            f"the data in {path} belong to uid {info.st_uid}, and this process runs as {account.name}",
            "run as the user who made them, or choose another data directory",
        )
    if not (path / "cluster" / "PG_VERSION").is_file():
        raise DirectoryRefused(
            f"{path / 'cluster'} is not a PostgreSQL data directory", "choose an empty or a new directory"
        )
    return False


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    else:
        entry.unlink(missing_ok=True)


def _remove_empty(made: list[Path]) -> None:
    for directory in reversed(made):
        try:
            directory.rmdir()
        except OSError:  # another process has put something in it meanwhile
            return
