"""Running the demo in a process of its own, as a person would."""

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.faults.service import free_port

ROOT = Path(__file__).resolve().parents[2]
WITHOUT_CPYTHON_TESTS = (
    "import sys; sys.modules['test.test_email'] = None; from demo.cli import main; sys.exit(main(sys.argv[1:]))"
)


@dataclass(frozen=True)
class Run:
    """What one run of the demo printed, and how it ended."""

    status: int
    out: str
    err: str
    port: int

    def listens(self) -> bool:
        """Whether anything listens on its port now."""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def row(self, *words: str) -> bool:
        """Whether one printed line holds all these words, in this order, with blanks between them."""
        return any(" ".join(words) in " ".join(line.split()) for line in self.out.splitlines())


def command(*arguments: str, program: Sequence[str] = ("-m", "demo")) -> list[str]:
    """The demo's command line in this interpreter."""
    return [sys.executable, *program, *arguments]


def environment() -> dict[str, str]:
    """The environment of a person at an 80-column terminal whose shell sets a service of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SCEAU_", "COLUMNS"))}
    return {**kept, "SCEAU_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "http_proxy": "http://127.0.0.1:1"}


def demo(data: Path, *arguments: str, program: Sequence[str] = ("-m", "demo"), port: int | None = None) -> Run:
    """Run the demo once, to its end."""
    chosen = port or free_port()
    line = command("--once", "--data", str(data), "--port", str(chosen), *arguments, program=program)
    done = subprocess.run(line, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False, timeout=240)
    return Run(done.returncode, done.stdout, done.stderr, chosen)
