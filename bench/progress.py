"""What a long run tells while it goes on: one line on standard error for each step, with the time since the start."""

import sys
import time

_BEGAN = time.monotonic()


def say(message: str) -> None:
    """One line."""
    minutes, seconds = divmod(int(time.monotonic() - _BEGAN), 60)
    print(f"bench {minutes:02}:{seconds:02}  {message}", file=sys.stderr, flush=True)
