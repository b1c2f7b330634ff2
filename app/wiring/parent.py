"""What a worker process has to do with the process that started it: it ends with it, and knows how others started."""

import ctypes
import multiprocessing
import os
import signal
from pathlib import Path
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


_ADMITTED: Final = "admitted"
"""A file of the service's own directory: some worker of this service has found the database to be its deployment's."""


def note_admitted() -> None:
    """Tell workers that start later that the database has been checked once since the service was started."""
    directory = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    if directory is not None:
        Path(directory, _ADMITTED).touch()


def was_admitted() -> bool:
    """Whether another worker of this service has found the database to be right: this one may then wait for it."""
    directory = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    return directory is not None and Path(directory, _ADMITTED).exists()


def shared_outage_file() -> Path | None:
    """Where the workers of one service keep the outage file for one another when no setting says; None for one alone.

    A worker that is started again in an outage finds there what the others knew.
    """
    directory = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    return None if directory is None else Path(directory, "outage.sealed")


def end_with_parent() -> None:
    """Have a worker of a service stop when the service is killed: nothing then watches over it, or frees its port.

    In a process that no other Python process started this does nothing. It must not be called where the parent is
    somebody's shell.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent.pid:  # it died before that
        os.kill(os.getpid(), signal.SIGTERM)
