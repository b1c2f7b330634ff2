"""Workers of the real service, each on its own port so that a caller can choose the replica."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final, Self
from urllib.request import urlopen

from bench.stale.client import Connections

ROOT: Final = Path(__file__).resolve().parents[2]
KEY: Final = "sceau_" + "b" * 43
_READY_SECONDS: Final = 60


class WorkerError(Exception):
    """A worker did not start, or ended."""


class Worker:
    """One process of the service."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        """Start it; its output goes to a file."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.log = log
        self._ways = log.with_suffix(".ways")
        self.calls = Connections(self.port)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SCEAU_", "STALE_"))}
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.freshness.worker", str(self.port)],
                env={**inherited, "STALE_WAYS": str(self._ways), **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
            )

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def is_stopped(self) -> bool:
        """Whether the kernel says that it is stopped (SIGSTOP)."""
        return Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    def date(self) -> datetime:
        """What its wall clock says, by the Date of an answer."""
        with urlopen(f"http://127.0.0.1:{self.port}/livez", timeout=5) as answer:
            return parsedate_to_datetime(answer.headers["Date"])

    def wait_until_leased(self) -> None:
        """Return when it answers and decides from memory (or is told to be strict).

        Raises:
            WorkerError: it ended, or was not ready in a minute.

        """
        until = time.monotonic() + _READY_SECONDS
        while time.monotonic() < until:
            if self._process.poll() is not None:
                break
            with suppress(OSError), urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2) as answer:
                text = answer.read().replace(b" ", b"")
                if b'"leased":true' in text or b'"mode":"strict"' in text:
                    return
            time.sleep(0.1)
        raise WorkerError(f"a worker is not ready: {self.log.read_text(errors='replace')[-800:]}")

    def ways(self) -> Counter[str]:
        """By which ways it answered (`tests.freshness.ways`), once it has ended; nothing if it had to be killed."""
        return Counter(json.loads(self._ways.read_text())) if self._ways.exists() else Counter()

    def stop(self) -> None:
        """End it, kindly at first."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Fleet:
    """Some workers on one database; `each` are settings by worker, over those of all.

    `edges`: each serves edges on a socket of its own, named like its log.
    """

    def __init__(
        self,
        database_url: str,
        directory: Path,
        each: Sequence[Mapping[str, str]],
        *,
        edges: bool = False,
        **all_of: str,
    ) -> None:
        """Start them, and wait until every one holds a lease."""
        settings = {
            "SCEAU_DATABASE_URL": database_url,
            "SCEAU_PSEUDONYM_KEY": "11" * 32,
            "SCEAU_MASTER_KEY": "first:" + "22" * 32,
            "SCEAU_BOOTSTRAP_KEY": KEY,
            "SCEAU_LOG_LEVEL": "WARNING",
            "SCEAU_REGISTER_APPROVAL": "one",
            "SCEAU_DURABILITY": "local",
            "SCEAU_RATE_LIMITS": "off",
            **all_of,
        }
        self.workers: list[Worker] = []
        try:
            for index, own in enumerate(each):
                socket = {"SCEAU_EDGE_SOCKET": str(directory / f"edge-{index}")} if edges else {}
                self.workers.append(Worker({**settings, **socket, **own}, directory / f"worker-{index}.log"))
            for worker in self.workers:
                worker.wait_until_leased()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop every worker."""
        for worker in self.workers:
            worker.stop()

    def ways(self) -> Counter[str]:
        """By which ways they answered, all together, once they have stopped."""
        return sum((worker.ways() for worker in self.workers), Counter[str]())

    def __enter__(self) -> Self:
        """As it is."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()
