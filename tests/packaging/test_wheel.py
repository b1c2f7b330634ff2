"""The wheel of the service: whole, and the same bytes whoever builds it from the same sources."""

import os
import shutil
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from tests.packaging.wheels import CLIENT, ROOT, SOURCES, build_wheel

YEAR_2001 = 1_000_000_000
"""Seconds since 1970: a time that no file of the checkout has."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from this checkout."""
    return build_wheel(ROOT, tmp_path_factory.mktemp("wheel"))


def copied(folder: Path) -> Path:
    """Another checkout of the same sources: other times, other rights for others, and bytecode that somebody left."""
    folder.mkdir()
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name)
        else:
            shutil.copy(source, folder)
    for path in folder.rglob("*"):
        os.utime(path, (YEAR_2001, YEAR_2001))
        path.chmod(0o700 if path.is_dir() else 0o600)
    left = folder / "app" / "__pycache__"
    left.mkdir(exist_ok=True)
    (left / "main.cpython-311.pyc").write_bytes(b"left")
    return folder


def digest(wheel: Path) -> str:
    """What a publisher compares."""
    return sha256(wheel.read_bytes()).hexdigest()


def test_the_wheel_holds_the_package_with_its_migrations_and_nothing_else(wheel):
    """Every file of `app`, templates and fonts among them, and of `migrations`; the licence, no bytecode, no test."""
    names = {name for name in zipfile.ZipFile(wheel).namelist() if not name.endswith("/")}
    files = {
        path.relative_to(ROOT).as_posix()
        for top in ("app", "migrations")
        for path in (ROOT / top).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert "migrations/versions/0001_baseline.py" in files
    assert {name for name in names if name.startswith(("app/", "migrations/"))} == files
    assert {name.split("/")[0] for name in names} == {"app", "migrations", f"{wheel.name.split('-py3')[0]}.dist-info"}
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_two_builds_of_the_same_sources_are_the_same_bytes(wheel, tmp_path):
    """Neither times, nor rights, nor the folder, nor bytecode that was left show in the wheel."""
    other = build_wheel(copied(tmp_path / "another checkout"), tmp_path / "built")
    assert (other.name, digest(other)) == (wheel.name, digest(wheel))


def test_a_changed_source_is_another_wheel(wheel, tmp_path):
    """The control: a comment more in one file is seen."""
    changed = copied(tmp_path / "changed")
    with (changed / "app" / "main.py").open("a") as file:
        file.write("# another\n")
    assert digest(build_wheel(changed, tmp_path / "built")) != digest(wheel)


def test_two_builds_of_the_client_are_the_same_bytes(tmp_path):
    """The package for callers is built alike."""
    shutil.copytree(CLIENT, tmp_path / "client")
    first = build_wheel(CLIENT, tmp_path / "one")
    assert digest(build_wheel(tmp_path / "client", tmp_path / "two")) == digest(first)
