"""Modules that helpers of `bench` start as processes, forked instead from a process which has imported the application.

What they import costs two to three seconds of a processor each.
"""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from tests.support.forked import ROOT, Forked, start_command


@contextmanager
def forked_within(module: str) -> Iterator[None]:
    """While this lasts, what a module starts as `python -m` is forked."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{module}.subprocess", _Forking)
        yield


class _Forking:
    """As much of `subprocess` as those modules use."""

    DEVNULL, PIPE, STDOUT = subprocess.DEVNULL, subprocess.PIPE, subprocess.STDOUT
    TimeoutExpired = subprocess.TimeoutExpired

    @staticmethod
    def Popen(  # noqa: N802 - its name there
        line: Sequence[str], *, stdout: Any, stdin: int, env: Mapping[str, str] | None = None, **_: Any
    ) -> Forked:
        """Start what `python -m` would have started; pipes are of text."""
        module, *words = line[2:]
        with Path(os.devnull).open("rb") as nothing, ExitStack() as opened, Path(os.devnull).open("ab") as nowhere:
            theirs: list[IO[Any] | int] = [nothing, stdout, stdout if isinstance(stdout, int) is False else nowhere]
            mine: dict[str, IO[str]] = {}
            for number, (name, wanted) in enumerate((("stdin", stdin), ("stdout", stdout))):
                if wanted == subprocess.PIPE:
                    reading, writing = os.pipe()
                    ours, its = (writing, reading) if name == "stdin" else (reading, writing)
                    theirs[number] = its
                    opened.callback(os.close, its)
                    mine[name] = os.fdopen(ours, "w" if name == "stdin" else "r")
            environment = os.environ if env is None else env
            process = start_command(words, environment, ROOT, theirs, module=module)
        process.stdin, process.stdout = mine.get("stdin"), mine.get("stdout")
        return process
