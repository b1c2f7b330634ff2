"""Who holds a data directory: two advisory locks that die with the processes that hold them.

The *starter lock* belongs to the process that supervises, and to no other. The *server lock* is inherited by every
process of the server and kept by none else, so that taking it proves that no such process is left, backends orphaned
by a killed postmaster included. Must not trust a process id that was written to a file.
"""

import fcntl
import os
import signal
import time
from pathlib import Path

from app.db.embedded.errors import DirectoryInUse
from app.db.embedded.process import find_processes, signal_processes

_POLL_SECONDS = 0.01
_SHUTDOWN_SECONDS = 15.0  # a postmaster whose parent died is in a fast shutdown, which ends with a checkpoint
_ORPHAN_SECONDS = 1.0  # backends whose postmaster died leave as soon as they look
_KILL_SECONDS = 5.0

_starter_locks: set[int] = set()


def take_lock(path: Path) -> int | None:
    """An open descriptor that holds the lock, close-on-exec; None when it is held elsewhere. Raises OSError."""
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
    """Like `take_lock`, but a child made by fork lets go of it. Raises DirectoryInUse when it is held."""
    descriptor = take_lock(path)
    if descriptor is None:
        raise DirectoryInUse(
            f"another process already runs the embedded server of {path.parent}",
            "stop that one first, or choose another data directory",
        )
    _starter_locks.add(descriptor)
    return descriptor


def release_starter_lock(descriptor: int) -> None:
    """Let go of a lock taken with `take_starter_lock`."""
    _starter_locks.discard(descriptor)
    os.close(descriptor)


def take_server_lock(path: Path, mark: str, uid: int) -> int:
    """The server lock, once nothing is left of an earlier server; ends what does not leave by itself.

    Raises DirectoryInUse when something stays even then (after 26 seconds at most).
    """
    descriptor = take_lock(path)
    if descriptor is not None:
        return descriptor
    patience = _SHUTDOWN_SECONDS if any(p.is_postmaster for p in find_processes(mark, uid)) else _ORPHAN_SECONDS
    for wanted, seconds in ((None, patience), (signal.SIGQUIT, _KILL_SECONDS), (signal.SIGKILL, _KILL_SECONDS)):
        if wanted is not None:
            signal_processes(mark, uid, wanted)
        descriptor = _wait_for_lock(path, seconds)
        if descriptor is not None:
            return descriptor
    left = ", ".join(str(process.pid) for process in find_processes(mark, uid)) or "unknown"
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
