"""Reading what PostgreSQL's programs say, to show the line that matters. Must not write or keep anything."""

import os
import re
from pathlib import Path

_SERIOUS = re.compile(r"\b(?:FATAL|PANIC):\s+(.*)|^(?:\w+): (?:fatal|error): (.*)")
_PREFIXED = re.compile(r"\b(?:ERROR|LOG|HINT|DETAIL):\s+(.*)")
_NO_ROOM = re.compile(r".*(?:No space left on device|File too large|Disk quota exceeded)")
_TAIL_BYTES = 64 * 1024


def relevant_line(text: str) -> str:
    """The last fatal line of the output, else its last line; without time stamp or program name; "" of nothing."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for line in reversed(lines):
        found = _SERIOUS.search(line)
        if found:
            return next(group for group in found.groups() if group is not None)
    found = _PREFIXED.search(lines[-1]) if lines else None
    return found.group(1) if found else (lines[-1] if lines else "")


def no_room_line(text: str) -> str:
    """The first line that blames a full disk, in the same form; "" when none does."""
    found = _NO_ROOM.search(text)
    return relevant_line(found.group()) if found else ""


def read_since(log: Path, offset: int) -> str:
    """What was appended to the log after `offset` bytes, the last 64 KiB of it; "" when it cannot be read."""
    try:
        with log.open("rb") as stream:
            end = stream.seek(0, os.SEEK_END)
            stream.seek(max(offset, end - _TAIL_BYTES))
            return stream.read().decode("utf-8", "replace")
    except OSError:
        return ""
