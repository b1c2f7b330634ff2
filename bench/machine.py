"""What the numbers were taken on: the machine, how busy it was, and the versions of what ran."""

import os
import platform
import subprocess
import sys
import sysconfig
from importlib.metadata import version
from pathlib import Path

import psycopg

from bench.cerbos import VERSION
from bench.processes import ROOT


def load_average() -> float:
    """How many processes wanted to run, over the last minute."""
    return os.getloadavg()[0]


def describe(database_url: str) -> dict[str, str]:
    """The machine and the versions."""
    with psycopg.connect(database_url) as connection:
        row = connection.execute("SHOW server_version").fetchone()
    packages = ("uvicorn", "uvloop", "httptools", "fastapi", "pydantic", "sqlalchemy", "psycopg")
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB",
        "system": platform.platform(),
        "python": f"{platform.python_version()} ({_how_built()})",
        "postgresql": str(row[0]) if row is not None else "unknown",
        "wrk": _first_line(["wrk", "-v"]),
        "cerbos": VERSION,
        "sceau": _first_line(["git", "-C", str(ROOT), "describe", "--always", "--dirty"]),
        **{name: version(name) for name in packages},
    }


def _how_built() -> str:
    """Whether this interpreter was built with the optimisations that a profile guides: distributions do so."""
    configured = str(sysconfig.get_config_var("CONFIG_ARGS"))
    return "optimised" if sys.base_prefix == "/usr" or "--enable-optimizations" in configured else "not optimised"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _first_line(command: list[str]) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    lines = (done.stdout or done.stderr).splitlines()
    return lines[0].strip() if lines else "unknown"
