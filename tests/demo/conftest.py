import contextlib
import subprocess
from pathlib import Path

import pytest

from tests.demo.runs import ROOT, command, environment
from tests.faults.service import free_port


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data directory for the tests of one module."""
    return tmp_path_factory.mktemp("demo") / "data"


@pytest.fixture
def left_running(tmp_path):
    """Start the demo without --once; whatever is left of it ends with the test."""
    with contextlib.ExitStack() as stack:

        def start(data: Path, *arguments: str) -> tuple[subprocess.Popen[str], int]:
            port = free_port()
            line = command("--data", str(data), "--port", str(port), *arguments)
            process = subprocess.Popen(
                line, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            stack.callback(process.communicate)
            stack.callback(process.kill)
            return process, port

        yield start
