"""The deployment's own program that takes lines of the journal to where the host's loss does not reach them."""

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from app.journal.files import JournalError

_SECONDS: Final = 5.0
_SETTING: Final = "SCEAU_"
"""Settings hold keys, which the program has no use for: a line is sealed."""


def hand_on(hook: Path, lines: Sequence[bytes]) -> None:
    """Run the program with the lines on its standard input; it has done its work when it ends with 0.

    It is not told Sceau's settings. One that takes too long is killed, with whatever it has started.

    Raises:
        JournalError: it cannot be run, fails, or takes longer than five seconds.

    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_SETTING)}
    try:
        program = subprocess.Popen(
            [hook],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        raise JournalError(f"the journal's hook cannot be run ({error.strerror})") from None
    with program:
        try:
            program.communicate(b"".join(lines), timeout=_SECONDS)
        except subprocess.TimeoutExpired:
            raise JournalError("the journal's hook takes too long") from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)
    if program.returncode != 0:
        raise JournalError("the journal's hook failed")
