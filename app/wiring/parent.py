"""A worker process ends with the process that started it. Must not be called where that is somebody's shell."""

import ctypes
import multiprocessing
import os
import signal
from typing import Final

_PR_SET_PDEATHSIG: Final = 1


def end_with_parent() -> None:
    """Have a worker of a service stop when the service is killed: nothing then watches over it, or frees its port.

    In a process that no other Python process started this does nothing.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent.pid:  # it died before that
        os.kill(os.getpid(), signal.SIGTERM)
