"""Which system calls a unit's filter allows, as systemd's own lists say, and which ones a program makes."""

import re
import subprocess
from pathlib import Path

_CALL = re.compile(r"^\s*(?:\d[\d.]*\s+){4,5}(\w+)$", re.MULTILINE)


def allowed_by(analyze: str, unit: Path) -> set[str]:
    """The calls of the lines SystemCallFilter= of a unit: what the first allows without what `~` takes away."""
    allowed: set[str] = set()
    for line in re.findall(r"^SystemCallFilter=(.+)$", unit.read_text(encoding="utf-8"), re.MULTILINE):
        named = set().union(*(_members(analyze, name) for name in line.removeprefix("~").split()))
        allowed = allowed - named if line.startswith("~") else allowed | named
    return allowed


def made(summary: Path) -> set[str]:
    """The calls in a summary of `strace -c`."""
    return set(_CALL.findall(summary.read_text(encoding="utf-8"))) - {"total"}


def _members(analyze: str, name: str) -> set[str]:
    """The calls of a group, those of the groups in it among them; a call by itself is its own group."""
    if not name.startswith("@"):
        return {name}
    listed = subprocess.run([analyze, "syscall-filter", name], capture_output=True, text=True, check=True).stdout
    words = [line.strip() for line in listed.splitlines()[1:]]
    return set().union(*(_members(analyze, word) for word in words if word and not word.startswith("#")))
