"""How far a long command has come, and how long it still takes: one line on a terminal, and nothing elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_QUIET_SECONDS: Final = 1.0
"""How long nothing is shown at first: most commands have ended by then."""
_BETWEEN_SECONDS: Final = 0.2


class ProgressLine:
    """The line on standard error."""

    def __init__(self) -> None:
        """Begin to count time."""
        self.is_shown = sys.stderr.isatty()
        self._begun = time.monotonic()
        self._next, self._width = self._begun + _QUIET_SECONDS, 0

    def tell(self, share: float, done: str) -> None:
        """Say how far the work is.

        Args:
            share: how much of it is done, from 0 to 1.
            done: what was done so far, such as "12,000 rows".

        """
        now = time.monotonic()
        if not self.is_shown or now < self._next:
            return
        self._next = now + _BETWEEN_SECONDS
        share = min(share, 1.0)
        left = f", {time_left((now - self._begun) * (1 - share) / share)} left" if share > 0 else ""
        self._write(f"{share:4.0%}  {done}{left}")

    def clear(self) -> None:
        """Remove the line."""
        if self._width:
            self._write("")
            sys.stderr.write("\r")
            sys.stderr.flush()

    def _write(self, line: str) -> None:
        sys.stderr.write(f"\r{line:{self._width}}")
        sys.stderr.flush()
        self._width = len(line)


@contextmanager
def progress() -> Iterator[ProgressLine]:
    """Yield a progress line, and remove it when the block ends."""
    bar = ProgressLine()
    try:
        yield bar
    finally:
        bar.clear()


def time_left(seconds: float) -> str:
    """A duration in words, rounded to seconds below a minute and to minutes above."""
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{max(1, round(seconds))} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
