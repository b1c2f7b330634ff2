"""Room for the files in which worker processes count: a file system that is full must not kill a worker.

prometheus_client maps its files into memory. A page of such a file that the file system has no room for ends the
process by SIGBUS. So the files are made beforehand, whole, and a directory without room for them is refused with a
message.
"""

import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from threading import Lock
from typing import Final

from app.core.errors import RefusalError


def shared_directory() -> Path | None:
    """Return the directory that the workers of one service share; None where one process serves alone."""
    directory = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    return None if directory is None else Path(directory)


_ADMITTED: Final = "admitted"
"""A file in that directory: some worker of this service found that the database is its deployment's."""


def note_admitted() -> None:
    """Let workers that start later know that the database has been checked once since the service was started."""
    if (directory := shared_directory()) is not None:
        (directory / _ADMITTED).touch()


def was_admitted() -> bool:
    """Return whether another worker of this service has found the database right: this one may then wait for it."""
    directory = shared_directory()
    return directory is not None and (directory / _ADMITTED).exists()


# How often the service started one of its processes again: counted by the parent, reported by every worker.
# The parent answers no HTTP. With several workers it writes its counts to a file in the directory where they count; a
# service of one worker is itself that worker's process.

PROCESSES: Final = ("worker", "jobs")
_FILE: Final = "restarts"
_counts: Final = dict.fromkeys(PROCESSES, 0)
_lock: Final = Lock()


def note_restart(process: str) -> None:
    """Count one more start of a `worker` or of `jobs` because the one before had ended or hung."""
    with _lock:
        _counts[process] += 1
        if (directory := shared_directory()) is not None:
            written = directory / f"{_FILE}.new"
            written.write_text(" ".join(str(_counts[each]) for each in PROCESSES), encoding="ascii")
            written.rename(directory / _FILE)


def restarts() -> dict[str, int]:
    """Return the counts so far, as the parent of this process has them."""
    directory = shared_directory()
    if directory is None:
        return dict(_counts)
    try:
        numbers = (directory / _FILE).read_text(encoding="ascii").split()
    except FileNotFoundError:  # nothing was started again yet
        return dict.fromkeys(PROCESSES, 0)
    return dict(zip(PROCESSES, map(int, numbers), strict=True))


_BYTES: Final = {
    "counter": 512 * 1024,
    "histogram": 1024 * 1024,
    "gauge_livemax": 64 * 1024,
    "gauge_livemin": 64 * 1024,
    "gauge_livesum": 64 * 1024,
}
"""The bytes of one process's files. Labels are routes and words of enums, so there is an end, and these hold it."""
BYTES_OF_A_WORKER: Final = sum(_BYTES.values())
_SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a directory of our own is made below it
_LONGEST_PATH: Final = 75
"""The most bytes of its path: multiprocessing makes `pymp-…/listener-…` beside it, for 107 in all (unix(7))."""
_RESTARTS: Final = 4
"""Workers that may die and be started again, each with files of its own, before the room runs out."""


class NoRoomError(RefusalError):
    """There is no room for the files; the message says where, how much is needed, and what to do."""


def counting_directory(workers: int, places: Sequence[Path] = ()) -> "tempfile.TemporaryDirectory[str]":
    """Return a new directory with room for what the workers count, beside which sockets can be made.

    Args:
        workers: how many processes count.
        places: where to make it; by default shared memory, or else the directory of temporary files.

    Raises:
        NoRoomError: there is no room.

    """
    needed = BYTES_OF_A_WORKER * (workers + _RESTARTS)
    places = places or (_SHARED_MEMORY, *_temporary())
    for place in places:
        try:
            made = tempfile.TemporaryDirectory(prefix="sceau-metrics-", dir=place)
        except OSError:
            continue
        if len(os.fsencode(made.name)) <= _LONGEST_PATH and _has_room(Path(made.name), needed):
            return made
        made.cleanup()
    where = " nor ".join(str(each) for each in places)
    raise NoRoomError(
        f"{needed // 1024 // 1024 + 1} MiB are needed for metrics, and {where} has not so much room, or a path of more "
        f"than {_LONGEST_PATH} bytes: make room, or name another directory in TMPDIR"
    )


def take_room() -> None:
    """Make the files of this process, whole, before anything is counted; do nothing if one process counts alone.

    Raises:
        NoRoomError: there is no room.

    """
    directory = shared_directory()
    if directory is None:
        return
    try:
        for name, size in _BYTES.items():
            _make(directory / f"{name}_{os.getpid()}.db", size)
    except OSError as error:
        raise NoRoomError(f"metrics have no room ({error.strerror}): make some, or restart the service") from None


def _temporary() -> Iterable[Path]:
    try:
        return [Path(tempfile.gettempdir())]
    except OSError:  # no directory can be written
        return []


def _has_room(directory: Path, needed: int) -> bool:
    trial = directory / "room"
    try:
        _fill(trial, needed)
    except OSError:
        return False
    finally:
        trial.unlink(missing_ok=True)
    return True


def _make(path: Path, size: int) -> None:
    """Make a file that every reader sees whole or not at all.

    prometheus_client fails to read a file that is still empty: every worker would answer `/metrics` with 500 meanwhile.
    If a worker with the same process id died, its file is there, and its counts go on.
    """
    if not path.exists():
        unnamed = path.with_suffix(".new")
        _fill(unnamed, size)
        unnamed.rename(path)


def _fill(path: Path, size: int) -> None:
    """Give a file so many bytes, and make sure that the file system really has them."""
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, size)
