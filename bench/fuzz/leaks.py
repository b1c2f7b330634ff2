"""What a service wrote to its log, looked through for what must never stand there."""

import re
from pathlib import Path

from bench.fuzz.facts import MARK


class LogWatch:
    """Reads what was appended to a log since the last look."""

    def __init__(self, log: Path) -> None:
        """Look for marked ids, keys and failures."""
        self._log = log
        self._read = 0
        self._wrong = re.compile(rb"%s|sceau_[\w-]{30}" % MARK.encode(), re.IGNORECASE)
        self._failed = re.compile(rb"Traceback|Exception in ASGI")

    def look(self) -> str | None:
        """What is wrong with the lines since the last look; None when nothing is."""
        with self._log.open("rb") as log:
            log.seek(self._read)
            text = log.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        for what, sought in (("an id or a key in the log", self._wrong), ("a failure in the log", self._failed)):
            found = sought.search(whole)
            if found is not None:
                start = whole.rfind(b"\n", 0, found.start()) + 1
                return f"{what}: {whole[start : found.end() + 400]!r}"
        return None
