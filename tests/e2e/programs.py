"""Servers that a test starts: in the foreground, on loopback, ended by process id with all that they started."""

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.faults.service import HANGS, children, eventually, free_port


def bare(settings: Mapping[str, str]) -> dict[str, str]:
    """This machine's environment without what points into the checkout, and with settings."""
    ours = ("SCEAU_", "PYTHON", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | dict(settings)


def free_ports(number: int) -> list[int]:
    """Ports of loopback that nobody listens on now, each another."""
    return [free_port() for _ in range(number)]


def listens(port: int) -> bool:
    """Whether anything listens on a loopback port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def descendants(parent: int) -> list[int]:
    """The processes that a process started, and that these started."""
    descended = children(parent)
    for child in list(descended):
        descended += descendants(child)
    return descended


def running_from(*programs: str) -> dict[int, str]:
    """The processes whose program is one of these files, or lies in one of these folders, and what they are."""
    names = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):  # it ended meanwhile
                if (entry / "exe").readlink().as_posix().startswith(programs):
                    line = (entry / "cmdline").read_text(errors="replace").replace("\0", " ")
                    names[int(entry.name)] = f"{line}, of {(entry / 'stat').read_text().split()[3]}"
    return names


@contextlib.contextmanager
def program(
    line: Sequence[object], log: Path, *, port: int, patience: float = HANGS, **how: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """A server in the foreground that listens on a port, as long as the block lasts; what it prints goes to a file.

    `patience`: seconds that it may take to end by itself.
    """
    command = [str(word) for word in line]
    with log.open("ab") as sink:
        how = {"stdin": subprocess.DEVNULL, **how}
        started = subprocess.Popen(command, stdout=sink, stderr=sink, start_new_session=True, **how)
    try:
        eventually(lambda: listens(port) or started.poll() is not None)
        assert started.poll() is None, f"{line[0]} ended: {log.read_text(errors='replace')[-3000:]}"
        yield started
    finally:
        end(started, patience)


def end(started: subprocess.Popen[bytes], patience: float = HANGS) -> None:
    """End a process politely, and what it leaves behind less so; returns once all of them have ended.

    A server may start another process while it is being ended. So whoever is of its session counts too, and they are
    looked for until there is none.
    """
    family = {pid: started_at(pid) for pid in descendants(started.pid)}
    started.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        started.wait(patience)
    started.kill()

    def ended() -> bool:
        left = [pid for pid, since in family.items() if since is not None and started_at(pid) == since]
        left += [pid for pid in sessions().get(started.pid, []) if pid != started.pid]
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not left

    eventually(ended)
    started.wait(HANGS)


def sessions() -> dict[int, list[int]]:
    """The processes that have not ended, by session."""
    threads: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _running(int(entry.name))):
            threads.setdefault(int(fields[3]), []).append(int(entry.name))
    return threads


def started_at(pid: int) -> str | None:
    """When a process was started, in ticks since the machine was; None when it has ended."""
    fields = _running(pid)
    return fields[19] if fields else None


def _running(pid: int) -> list[str] | None:
    """What `/proc/PID/stat` says after the name (proc(5)); None of a process that has ended, waited for or not."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields
