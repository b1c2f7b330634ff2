"""Waiting for what comes a little later."""

import time
from collections.abc import Callable


def wait_until(condition: Callable[[], object], *, seconds: float = 20.0) -> None:
    """Return when the condition holds.

    Raises:
        TimeoutError: it did not in time.

    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("what a test waits for did not happen")
        time.sleep(0.01)
