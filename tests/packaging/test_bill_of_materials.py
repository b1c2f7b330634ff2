"""The bill of materials (CycloneDX) that `./dev build` makes from the lock."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.packaging.wheels import ROOT

PIN = re.compile(r"^([a-z0-9.-]+)==(\S+)", re.MULTILINE)


def bill(lock: Path, folder: Path) -> bytes:
    """The bill of a lock, made with the options that `./dev` has."""
    made = folder / "bill.json"
    (line,) = re.findall(r"-m (cyclonedx_py requirements) requirements\.txt (.+?) \\\n", (ROOT / "dev").read_text())
    words = [*line[0].split(), str(lock), *line[1].split(), "--output-file", str(made)]
    subprocess.run([sys.executable, "-W", "ignore", "-m", *words], cwd=ROOT, check=True)
    return made.read_bytes()


def pins(components: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """The packages that a bill lists."""
    return {(each["name"], each["version"]) for each in components}


def test_the_bill_lists_what_the_lock_pins(tmp_path):
    """Every package and version of requirements.txt with its hashes, nothing else, under this project's version."""
    made = json.loads(bill(ROOT / "requirements.txt", tmp_path))
    assert (made["bomFormat"], made["metadata"]["component"]["name"]) == ("CycloneDX", "sceau")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert made["metadata"]["component"]["version"] == project["version"]
    assert pins(made["components"]) == set(PIN.findall((ROOT / "requirements.txt").read_text()))
    for component in made["components"]:
        assert component["externalReferences"][0]["hashes"], component["name"]


@pytest.mark.deep
def test_a_package_that_the_lock_lacks_is_missed(tmp_path):
    """The control: from a lock without one package, the bill differs from the lock."""
    locked = (ROOT / "requirements.txt").read_text()
    less = tmp_path / "less.txt"
    less.write_text(re.sub(r"^alembic==.*?[^\\]\n", "", locked, count=1, flags=re.MULTILINE | re.DOTALL))
    assert set(PIN.findall(locked)) - pins(json.loads(bill(less, tmp_path))["components"]) == {
        next(pin for pin in PIN.findall(locked) if pin[0] == "alembic")
    }


@pytest.mark.deep
def test_the_bill_is_the_same_each_time(tmp_path):
    """Two bills of one lock are the same bytes: no time, no random number."""
    assert bill(ROOT / "requirements.txt", tmp_path) == bill(ROOT / "requirements.txt", tmp_path)
