"""Workers of `bench.stale.fleet` that are forked from a process which has imported the application."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench.stale.fleet import ROOT
from tests.support.forked import Forked, start_command


def _started(line: list[str], *, env: dict[str, str], stdout: Any, **_: Any) -> Forked:
    """Start what `python -m` would have started."""
    module, *words = line[2:]
    with Path(os.devnull).open("rb") as nothing:
        return start_command(words, env, ROOT, [nothing, stdout, stdout], module=module)


@contextmanager
def forked_workers() -> Iterator[None]:
    """While this lasts workers are forked: what they import costs three seconds of a processor each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bench.stale.fleet.subprocess", _Forking())
        yield


class _Forking:
    """As much of `subprocess` as a fleet uses."""

    from subprocess import DEVNULL, STDOUT, TimeoutExpired

    Popen = staticmethod(_started)
