"""Starting, ending and recognising the processes of the server.

This module must not decide when the server should run. It must signal only processes that this supervisor started, or
that carry the mark of its data directory and run as its account.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

from app.db.embedded.binaries import Account

_SERIOUS = re.compile(r"\b(?:FATAL|PANIC):\s+(.*)|^(?:\w+): (?:fatal|error): (.*)")
_PREFIXED = re.compile(r"\b(?:ERROR|LOG|HINT|DETAIL):\s+(.*)")
_NO_ROOM = re.compile(r".*(?:No space left on device|File too large|Disk quota exceeded)")
_TAIL_BYTES = 64 * 1024


def relevant_line(text: str) -> str:
    """Return the last fatal line of the output, else its last line, without time stamp or program name; "" if empty."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for line in reversed(lines):
        match = _SERIOUS.search(line)
        if match:
            return next(group for group in match.groups() if group is not None)
    match = _PREFIXED.search(lines[-1]) if lines else None
    return match.group(1) if match else (lines[-1] if lines else "")


def no_room_line(text: str) -> str:
    """Return the first line that blames a full disk, in the same form; "" when none does."""
    match = _NO_ROOM.search(text)
    return relevant_line(match.group()) if match else ""


def read_since(log: Path, offset: int) -> str:
    """Return what was appended to the log after `offset` bytes, at most the last 64 KiB; "" when it cannot be read."""
    try:
        with log.open("rb") as stream:
            end = stream.seek(0, os.SEEK_END)
            stream.seek(max(offset, end - _TAIL_BYTES))
            return stream.read().decode("utf-8", "replace")
    except OSError:
        return ""


_LAUNCHER = Path(__file__).with_name("launcher.py")
_PASSED_ON = ("PATH", "LD_LIBRARY_PATH")

# A fast shutdown, then an immediate one (PostgreSQL's terms), then SIGKILL; each with its patience in seconds.
_STOP_STEPS = ((signal.SIGINT, 10.0), (signal.SIGQUIT, 6.0), (signal.SIGKILL, 5.0))


def clean_environment() -> dict[str, str]:
    """Return the environment for a PostgreSQL program: ours without any PG* variable or locale."""
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {**kept, "LC_ALL": "C"}


def launch(
    command: Sequence[str], account: Account, *, at_parent_death: signal.Signals, keep: Collection[int], output: int
) -> subprocess.Popen[bytes]:
    """Start a program in its own session, as `account`, to be signalled when this process dies.

    `keep` are the descriptors it inherits under the same numbers; `output` takes its standard output and error. The
    signal comes at the death of the calling *thread*, so call this from the main thread.
    """
    words = (str(os.getpid()), str(int(at_parent_death)), str(account.uid), str(account.gid))
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(_LAUNCHER), *words, *command],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        pass_fds=tuple(keep),
        env=clean_environment(),
        start_new_session=True,
    )


def stop_process(process: subprocess.Popen[bytes]) -> None:
    """Stop a process by a fast shutdown, then an immediate one, then SIGKILL; return within 21 seconds."""
    for wanted, patience in _STOP_STEPS:
        if process.poll() is None:
            process.send_signal(wanted)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            return


def find_processes(mark: str, uid: int) -> dict[int, bool]:
    """Return the live processes of `uid` whose command line or title carries `mark`: whether each is a postmaster."""
    processes = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            owner = entry.stat().st_uid
        except OSError:  # it ended meanwhile
            continue
        is_postmaster = f"cluster_name={mark}".encode() in words
        is_child = words[0].startswith(f"postgres: {mark}: ".encode())
        if owner == uid and (is_postmaster or is_child):
            processes[int(entry.name)] = is_postmaster
    return processes


def signal_processes(mark: str, uid: int, wanted: signal.Signals) -> None:
    """Send a signal to every process that `find_processes` finds."""
    for pid in find_processes(mark, uid):
        with suppress(ProcessLookupError):
            os.kill(pid, wanted)
