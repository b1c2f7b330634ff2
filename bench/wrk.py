"""wrk, the closed-loop generator: how many requests are answered a second when a set number always wait."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from math import gcd
from pathlib import Path
from typing import Final

_SCRIPT: Final = Path(__file__).with_name("wrk.lua")
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_LONGEST_WARMING: Final = 60
_GOLDEN: Final = 0.6180339887


class BenchError(Exception):
    """The benchmark cannot go on; the message says why and what to do."""


@dataclass(slots=True)
class Subjects:
    """Who is asked about where a body leaves it open: each number from `first` on once, then all again.

    `scattered`: in an order that jumps about, so that no two neighbours come after each other; `taken` counts on from
    burst to burst.
    """

    first: int
    count: int
    scattered: bool = False
    taken: int = 0

    @property
    def step(self) -> int:
        """From one to the next. It has no divisor in common with their number, so that every one has its turn."""
        step = int(self.count * _GOLDEN) if self.scattered else 1
        while gcd(step, self.count) != 1:
            step += 1
        return step


@dataclass(slots=True)
class Target:
    """Where requests go: a server's port and process, and a file of prepared requests with the key that they carry.

    `subjects`: whom the requests are about, if the file leaves that open. `header`: a line that each has besides; a
    mark in it is another number each time. `asked_first`: how often it must have been asked everything to be warm.
    """

    name: str
    port: int
    pid: int
    requests: Path
    key: str = ""
    connections: int = 16
    subjects: Subjects | None = None
    header: str = "-"
    asked_first: int = 0

    @property
    def prepared(self) -> int:
        """How many requests the file holds."""
        with self.requests.open("rb") as file:
            return sum(1 for _ in file)


@dataclass(frozen=True, slots=True)
class Burst:
    """What one run of wrk found: requests, requests a second, milliseconds, and CPU time of the server's process."""

    requests: int
    rate: float
    p50: float
    p99: float
    cpu_microseconds: float


def install_wrk() -> None:
    """Have wrk, from Debian where this process may install it.

    Raises:
        BenchError: it is missing and cannot be installed.

    """
    if shutil.which("wrk") is not None:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise BenchError("wrk is missing: as root, `apt-get install wrk` (Debian, Ubuntu)")
    command = ["apt-get", "install", "--yes", "--no-install-recommends", "wrk"]
    subprocess.run(["apt-get", "update"], check=False, capture_output=True)
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise BenchError(f"wrk cannot be installed: {done.stderr.strip()}")


def write_requests(path: Path, requests: Iterable[tuple[str, str]]) -> Path:
    """Prepare a file of requests, each a path and a body."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"{address}\t{body}\n" for address, body in requests)
    return path


def wrk(target: Target, seconds: float) -> Burst:
    """One burst.

    Raises:
        BenchError: wrk failed, or an answer was no 2xx: a number that counts errors would mean nothing.

    """
    command = ["wrk", "-t1", f"-c{target.connections}", f"-d{max(1, round(seconds))}s", "--timeout", "30s"]
    command += ["-s", str(_SCRIPT), f"http://127.0.0.1:{target.port}", "--"]
    command += [str(target.requests), target.key, target.header]
    who = target.subjects
    if who is not None:
        command += [str(each) for each in (who.first, who.count, who.step, who.taken % who.count)]
    before = _cpu_ticks(target.pid)
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise BenchError(f"wrk failed on {target.name}: {done.stderr.strip()}")
    found = json.loads(done.stdout.strip().splitlines()[-1])
    if found["errors"] or found["not_2xx"]:
        raise BenchError(f"{target.name}: {found['errors']} errors, {found['not_2xx']} answers that were no 2xx")
    spent = (_cpu_ticks(target.pid) - before) / _TICKS * 1e6 / max(1, found["requests"])
    if who is not None:
        who.taken += found["requests"] + target.connections
    rate = found["requests"] * 1e6 / found["microseconds"]
    return Burst(found["requests"], rate, found["p50"], found["p99"], spent)


def warm_up(target: Target, seconds: float) -> None:
    """Send every prepared request to what remembers; a short burst to what does not."""
    longer, wanted = min(seconds, 2.0), target.prepared * target.asked_first
    while wrk(target, longer).requests < wanted and longer < _LONGEST_WARMING:
        longer *= 2


def interleaved(targets: Iterable[Target], rounds: int, seconds: float) -> dict[str, list[Burst]]:
    """Bursts on each target in turn, round after round, when all are warm."""
    listed = list(targets)
    for target in listed:
        warm_up(target, seconds)
    found: dict[str, list[Burst]] = {target.name: [] for target in listed}
    for _ in range(rounds):
        for target in listed:
            found[target.name].append(wrk(target, seconds))
    return found


def _cpu_ticks(pid: int) -> int:
    """User and system time of a process so far (proc(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
