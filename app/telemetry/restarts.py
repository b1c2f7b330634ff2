"""How often the service started a process of its own again: counted by the parent, told by every worker.

The parent answers no HTTP. With several workers it writes its counts to a file in the directory where they count; a
service of one worker is that worker's own process.
"""

import os
from pathlib import Path
from threading import Lock
from typing import Final

PROCESSES: Final = ("worker", "jobs")
_FILE: Final = "restarts"
_counts: Final = dict.fromkeys(PROCESSES, 0)
_lock: Final = Lock()


def note_restart(process: str) -> None:
    """One more start of a `worker` or of `jobs` because the one before had ended or hung."""
    with _lock:
        _counts[process] += 1
        directory = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
        if directory is not None:
            written = Path(directory, f"{_FILE}.new")
            written.write_text(" ".join(str(_counts[each]) for each in PROCESSES), encoding="ascii")
            written.rename(Path(directory, _FILE))


def restarts() -> dict[str, int]:
    """The counts so far, as the parent of this process has them."""
    directory = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if directory is None:
        return dict(_counts)
    try:
        told = Path(directory, _FILE).read_text(encoding="ascii").split()
    except FileNotFoundError:  # nothing was started again yet
        return dict.fromkeys(PROCESSES, 0)
    return dict(zip(PROCESSES, map(int, told), strict=True))
