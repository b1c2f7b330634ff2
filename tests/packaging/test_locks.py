"""The locks: whole, hashed, in step with pyproject.toml, and free of the machine that made them."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
RUNTIME = PROJECT["project"]["dependencies"]
EVERYTHING = [
    *RUNTIME,
    *PROJECT["project"]["optional-dependencies"]["embedded"],
    *[each for group in PROJECT["dependency-groups"].values() for each in group if isinstance(each, str)],
]


def pins(name: str) -> dict[str, set[Version]]:
    """The versions that a lock pins, by package: several where Pythons or platforms differ."""
    versions: dict[str, set[Version]] = {}
    for package, version in re.findall(r"^([a-z0-9.-]+)==(\S+)", (ROOT / name).read_text(), re.MULTILINE):
        versions.setdefault(canonicalize_name(package), set()).add(Version(version))
    return versions


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt", "clients/synapse/requirements-test.txt"])
def test_lock_pins_everything_by_hash(name):
    """Each entry is one version with at least one hash, and there is nothing else."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / name).read_text(), flags=re.MULTILINE)
    entries = re.split(r"(?<!\\)\n", text.strip())
    assert len(entries) > 20
    for entry in entries:
        assert re.match(r"[a-z0-9._-]+==\S+( ; [^\\]+)? \\\n(\s+--hash=sha256:[0-9a-f]{64}( \\)?\n?)+$", entry), entry


@pytest.mark.parametrize(
    ("name", "wanted"), [("requirements.txt", RUNTIME), ("requirements-dev.txt", EVERYTHING)], ids=["runtime", "dev"]
)
def test_lock_holds_what_the_project_asks_for(name, wanted):
    """After a change of pyproject.toml, `./dev lock` was run."""
    pinned = pins(name)
    for requirement in map(Requirement, wanted):
        versions = pinned.get(canonicalize_name(requirement.name), set())
        assert versions, f"{requirement.name} is not in {name}: run ./dev lock"
        assert all(version in requirement.specifier for version in versions), f"{requirement}: run ./dev lock"


def test_tests_run_on_what_the_image_runs_on():
    """The development lock has the runtime lock's versions."""
    everything = pins("requirements-dev.txt")
    assert {name: everything.get(name) for name in pins("requirements.txt")} == pins("requirements.txt")


def test_nothing_committed_names_an_index_or_this_machine():
    """No index address, no found link, no path of whoever made the files, no uv.lock."""
    files = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    assert "uv.lock" not in files
    traces = re.compile(
        rf"--(?:extra-)?index-url|--find[-]links\s|^source = \{{ registry|{re.escape(str(ROOT))}/", re.MULTILINE
    )
    written = [
        f"{name}: {match[0]}"
        for name in files
        if name and (ROOT / name).is_file() and name != "tests/packaging/test_locks.py"
        for match in traces.finditer((ROOT / name).read_text(encoding="utf-8", errors="replace"))
    ]
    assert written == []
