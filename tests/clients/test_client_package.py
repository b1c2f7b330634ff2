"""The package as it is published: built, typed, on its own."""

import subprocess
import sys
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path

import httpx2
import pytest

import sceau_client

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "clients/python"
ALONE = """
import sys
from importlib.util import find_spec
sys.path[:0] = sys.argv[1:]
import sceau_client, sceau_client.testing
assert find_spec("app") is None
print(sceau_client.__file__)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built as a publisher builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    uv = Path(sys.executable).with_name("uv")
    command = [uv, "build", "--wheel", "--offline", "--no-config", "--quiet", "--out-dir", folder, PACKAGE]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_the_wheel_holds_the_package_its_types_and_its_licence(wheel):
    """Every module, the mark of a typed package, the licence; no test, and nothing of the service."""
    names = {name for name in zipfile.ZipFile(wheel).namelist() if not name.endswith("/")}
    modules = {str(file.relative_to(PACKAGE / "src")) for file in (PACKAGE / "src").rglob("*.py")}
    assert modules | {"sceau_client/py.typed"} == {name for name in names if name.startswith("sceau_client/")}
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert {name.split("/")[0].split("-")[0] for name in names} == {"sceau_client"}


def test_the_wheel_asks_for_httpx2_alone(wheel):
    """There is one dependency; the version is the one that the user agent says."""
    archive = zipfile.ZipFile(wheel)
    (metadata,) = [name for name in archive.namelist() if name.endswith("METADATA")]
    declared = message_from_bytes(archive.read(metadata))
    needed = [each for each in declared.get_all("Requires-Dist", []) if "extra ==" not in each]
    assert [each.split(">")[0] for each in needed] == ["httpx2"]
    assert (declared["Name"], declared["Version"]) == ("sceau-client", sceau_client.__version__)
    assert (declared["Requires-Python"], declared["License-Expression"]) == (">=3.11", "Apache-2.0")


def test_the_wheel_works_without_the_service(wheel):
    """It is imported where there is no `app`: an interpreter that sees the wheel, httpx2 and the standard library."""
    libraries = Path(httpx2.__file__).parents[1]
    command = [sys.executable, "-I", "-S", "-c", ALONE, wheel, libraries]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert str(wheel) in ran.stdout


def test_the_dependencies_are_the_services_too():
    """What the package needs, the checkout's tests run with."""
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["dependencies"] == ["httpx2>=2.16"]
    assert (PACKAGE / "LICENSE").read_text(encoding="utf-8") == (ROOT / "LICENSE").read_text(encoding="utf-8")
