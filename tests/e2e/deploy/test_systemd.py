"""deploy/systemd, as systemd itself reads and rates it, and the service under the strictest of its rules."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.debian import provide
from tests.e2e.deploy.system_calls import allowed_by, made
from tests.faults.service import COMMAND, HANGS, Service, children, eventually
from tests.packaging.wheels import ROOT
from tests.support.api import processing, question
from tests.support.databases import new_database

UNITS = sorted((ROOT / "deploy/systemd").glob("*.service"))
EXPOSURE = 15
"""Of 100: what `systemd-analyze security` may give a unit at most."""
WITHOUT_WRITABLE_CODE = """
import ctypes, os, sys
assert ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) == 0  # PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN: Linux 6.3
os.execv(sys.argv[1], sys.argv[1:])
"""
MAPS_BOTH = "import mmap; mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)"


@pytest.fixture(scope="module")
def analyze() -> str:
    """The program systemd-analyze."""
    return provide("systemd-analyze", ("systemd",), "the units of deploy/systemd")


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units, with a program where they expect one."""
    program = tmp_path / "bin" / "sceau"
    program.parent.mkdir()
    shutil.copy("/bin/true", program)
    for unit in UNITS:
        text = unit.read_text()
        assert "/opt/sceau/bin/sceau" in text
        (tmp_path / unit.name).write_text(text.replace("/opt/sceau/bin/sceau", str(program)))
    return tmp_path


def run(*line: object) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, both of its outputs as one."""
    words = [str(word) for word in line]
    return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


def rated(analyze: str, unit: Path) -> subprocess.CompletedProcess[str]:
    """What systemd says of a unit's exposure; it fails where that is above the bound."""
    return run(analyze, "security", "--offline=true", f"--threshold={EXPOSURE}", "--no-pager", unit)


def test_systemd_takes_every_unit(analyze, installed):
    """No unknown directive, no missing program, no warning at all."""
    verified = run(analyze, "verify", "--man=no", *sorted(installed.glob("*.service")))
    assert (verified.returncode, verified.stdout) == (0, "")


def test_a_misspelt_directive_is_seen(analyze, installed):
    """The control: systemd warns of a directive that it does not know."""
    unit = installed / "sceau-serve.service"
    unit.write_text(unit.read_text().replace("ProtectSystem=", "ProtectSystems="))
    assert "ProtectSystems" in run(analyze, "verify", "--man=no", unit).stdout


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_rates_every_unit_as_hardened(analyze, unit):
    """The exposure that systemd computes is within the bound."""
    report = rated(analyze, unit)
    assert report.returncode == 0, report.stdout
    assert re.search(r"Overall exposure level for \S+: \d\.\d", report.stdout)


def test_a_unit_without_hardening_is_above_the_bound(analyze, installed):
    """The control: without a few of its directives a unit is rated worse."""
    unit = installed / "sceau-serve.service"
    unit.write_text(re.sub(r"^(Protect|Private|SystemCall|Capability).*\n", "", unit.read_text(), flags=re.MULTILINE))
    assert rated(analyze, unit).returncode != 0


def test_the_service_needs_no_memory_that_is_writable_and_executable(tmp_path):
    """It decides under the rule of the kernel that stands behind MemoryDenyWriteExecute."""
    strict = (sys.executable, "-c", WITHOUT_WRITABLE_CODE, *COMMAND)
    with new_database() as database:
        service = Service(tmp_path / "log", {"SCEAU_DATABASE_URL": database.app_url}, command=strict, workers=2)
        try:
            decide(service)
        finally:
            service.end(signal.SIGTERM)


def decide(service: Service) -> None:
    """Have a service register something and answer about it."""
    service.wait_until_it_listens()
    eventually(lambda: service.call("GET", "/readyz").status_code == 200)
    service.ok("POST", "/v1/processings", processing("ads-mail"))
    assert service.ok("POST", "/access/v1/evaluation", question("alice", "ads-mail"))["decision"] is False


def test_memory_that_is_writable_and_executable_is_refused():
    """The control: under that rule the kernel refuses such memory, which it gives without the rule."""
    refused = run(sys.executable, "-c", WITHOUT_WRITABLE_CODE, sys.executable, "-c", MAPS_BOTH)
    assert "PermissionError" in refused.stdout
    assert run(sys.executable, "-c", MAPS_BOTH).returncode == 0


def test_the_filters_allow_every_system_call_that_the_service_makes(analyze, tmp_path):
    """Traced from start to stop, with its workers and its jobs, it makes none that SystemCallFilter refuses.

    The control: by a filter without the calls of the network it would be refused some.
    """
    strace = provide("strace", ("strace",), "the system calls of the service")
    summary = tmp_path / "calls"
    traced = (strace, "--follow-forks", "--summary-only", f"--output={summary}", *COMMAND)
    with new_database() as database:
        service = Service(tmp_path / "log", {"SCEAU_DATABASE_URL": database.app_url}, command=traced, workers=2)
        try:
            decide(service)
            (own,) = children(service.process.pid)
            os.kill(own, signal.SIGTERM)
            service.process.wait(HANGS)
        finally:
            service.end()
    calls = made(summary)
    assert {"accept4", "execve", "openat"} <= calls
    for unit in UNITS:
        assert calls - allowed_by(analyze, unit) == set(), unit.name
    less = tmp_path / "less.service"
    less.write_text(UNITS[0].read_text() + "SystemCallFilter=~@network-io\n")
    assert "accept4" in calls - allowed_by(analyze, less)
