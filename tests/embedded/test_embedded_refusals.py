import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from app.db.embedded import binaries, directory, errors
from app.db.embedded.errors import (
    DirectoryInUse,
    DirectoryRefused,
    EmbeddedServerError,
    NotStartable,
    StartFailed,
    VersionMismatch,
)
from app.db.embedded.process import relevant_line
from app.db.embedded.server import EmbeddedServer
from tests.embedded.actors import FAST, IS_ROOT, ROOT, Starter, small_disk, starting, tree
from tests.faults.service import eventually


def _refusal(starter: Starter, *classes: str) -> str:
    answer = starter.ask("start")
    assert answer.get("refused") in classes, answer
    message = answer["message"]
    assert isinstance(message, str)
    assert "\n" not in message
    assert "; " in message
    return message


def _kept(before: dict[str, tuple[int, int]], place: Path) -> bool:
    return tree(place) == before


def test_file_in_place_of_the_directory(who, place, data):
    """A path that is a file is refused, and the file stays as it was."""
    data.write_text("not a directory", encoding="ascii")
    before = tree(place)
    with starting(who, data) as starter:
        assert "is a file" in _refusal(starter, "DirectoryRefused")
    assert _kept(before, place)


def test_file_above_the_directory(who, place):
    """A path below a file is refused."""
    (place / "file").write_text("", encoding="ascii")
    before = tree(place)
    with starting(who, place / "file" / "data") as starter:
        _refusal(starter, "DirectoryRefused")
    assert _kept(before, place)


@pytest.mark.parametrize("name", ["letters.txt", "PG_VERSION"])
def test_directory_with_foreign_content(who, place, data, name):
    """A directory that holds what is not ours, another PostgreSQL's data included, is refused and left alone."""
    data.mkdir()
    (data / name).write_text("18\n", encoding="ascii")
    before = tree(place)
    with starting(who, data) as starter:
        assert name in _refusal(starter, "DirectoryRefused")
    assert _kept(before, place)


def test_cluster_that_is_none(who, place, data):
    """A folder that only has the cluster's name is refused and left alone."""
    (data / "cluster").mkdir(parents=True)
    os.chown(data / "cluster", who.uid or 12345, -1)
    before = tree(place)
    with starting(who, data) as starter:
        assert "is not a PostgreSQL data directory" in _refusal(starter, "DirectoryRefused")
    assert _kept(before, place)


def test_cluster_of_somebody_else(who, data, monkeypatch):
    """Data that root owns are refused to root, and data of another user to a plain user."""
    (data / "cluster").mkdir(parents=True)
    if who.uid == os.geteuid() and not IS_ROOT:
        monkeypatch.setattr(binaries, "_named", lambda uid, gid: binaries.Account("another", uid + 1, gid))
        with pytest.raises(DirectoryRefused, match="this process runs as another"):
            EmbeddedServer(data).start()
        return
    with starting(who, data) as starter:
        assert "belong" in _refusal(starter, "NotStartable" if who.uid == 0 else "DirectoryRefused")


def test_unwritable_directory(who, place):
    """Where the actor may not write, the start is refused and nothing is left."""
    with small_disk(who, 1, read_only=True) as disk:
        if disk is not None:
            closed = disk
        elif who.uid == 0:
            closed = Path("/proc")
        else:
            closed = place / "closed"
            closed.mkdir(mode=0o555)
        with starting(who, closed / "data") as starter:
            assert "cannot be used" in _refusal(starter, "DirectoryRefused")
        assert not (closed / "data").exists()


def test_full_disk_at_the_first_start(who, place):
    """A disk with too little room for a cluster is named as the reason, and is left as empty as it was."""
    with small_disk(who, 20) as disk:
        where, limit = (disk, -1) if disk is not None else (place, 1_000_000)
        before = tree(where)
        with starting(who, where / "new" / "data", limit=limit) as starter:
            assert "no room left" in _refusal(starter, "DiskFull")
        assert _kept(before, where)


def test_full_disk_at_a_later_start(who, place):
    """A disk that is full when the data are already there is named as the reason; with room again, the data work."""
    with small_disk(who, 200) as disk:
        where = disk if disk is not None else place
        with starting(who, where / "data") as starter:
            starter.started()
            starter.ask("stop")
        if disk is not None:
            _fill(disk / "filler")
        with starting(who, where / "data", limit=-1 if disk is not None else 0) as starter:
            _refusal(starter, "DiskFull", *(() if disk is not None else ("StartFailed",)))
        (where / "filler").unlink(missing_ok=True)
        with starting(who, where / "data") as starter:
            starter.started()
            starter.ask("stop")


def _fill(path: Path) -> None:
    block = bytes(65536)
    with path.open("wb", buffering=0) as stream, suppress(OSError):
        while stream.write(block):
            pass


def test_data_of_another_major_version(who, data):
    """Data of another major version are refused with both versions and a way out, and are not touched."""
    with starting(who, data) as starter:
        starter.started()
        starter.ask("stop")
        version = data / "cluster" / "PG_VERSION"
        written_by = version.read_text(encoding="ascii")
        version.write_text("9\n", encoding="ascii")
        before = tree(data)
        message = _refusal(starter, "VersionMismatch")
        assert "written by PostgreSQL 9," in message
        assert f"programs are PostgreSQL {written_by.strip()}" in message
        assert "pg_dump" in message
        assert _kept(before, data)
        version.write_text(written_by, encoding="ascii")
        starter.started()
        starter.ask("stop")


def test_refusal_of_postgres_shows_its_line(who, place, data):
    """When PostgreSQL itself refuses to start, its own words are in the message, and a first start leaves nothing."""
    before = tree(place)
    with starting(who, data, settings={**FAST, "work_mem": "plenty"}) as starter:
        assert 'invalid value for parameter "work_mem": "plenty"' in _refusal(starter, "StartFailed")
    assert _kept(before, place)


def test_second_start_from_another_process(who, data):
    """While one process runs the server, another is refused in one line, and the first goes on."""
    with starting(who, data) as first, starting(who, data) as second:
        first.started()
        assert "another process already runs" in _refusal(second, "DirectoryInUse")
        assert first.ask("state")["alive"] is True
        first.ask("stop")
        second.started()
        second.ask("stop")


def test_second_start_while_the_first_is_making_the_cluster(who, data):
    """The lock holds from before the cluster exists."""
    with starting(who, data) as first, starting(who, data) as second:
        first.tell("start")
        assert eventually((data / "cluster.new").exists)
        _refusal(second, "DirectoryInUse")
        first.ask("stop")


def test_second_start_in_the_same_process(own_data):
    """Another object of the same process is refused as well."""
    with EmbeddedServer(own_data, settings=FAST) as first:
        with pytest.raises(DirectoryInUse):
            EmbeddedServer(own_data, settings=FAST).start()
        assert first.is_alive()


def test_lock_check_can_fail(tmp_path, monkeypatch):
    """The control: the check that a second taker is refused notices when the lock is bypassed."""

    def second_is_refused() -> bool:
        first, second = directory.take_lock(tmp_path / "lock"), directory.take_lock(tmp_path / "lock")
        for descriptor in (first, second):
            if descriptor is not None:
                os.close(descriptor)
        return second is None

    assert second_is_refused()
    monkeypatch.setattr("fcntl.flock", lambda *_: None)
    assert not second_is_refused()


def test_lock_of_a_removed_file_is_not_one(tmp_path, monkeypatch):
    """A lock file that is removed between open and lock is made anew, so that two takers never hold one each."""
    path = tmp_path / "lock"
    real = directory._is_still
    removed: list[bool] = []

    def remove_once(where: Path, descriptor: int) -> bool:
        if not removed:
            removed.append(True)
            path.unlink()
        return real(where, descriptor)

    monkeypatch.setattr(directory, "_is_still", remove_once)
    descriptor = directory.take_lock(path)
    assert descriptor is not None
    assert os.path.samestat(os.fstat(descriptor), path.stat())
    os.close(descriptor)


def test_root_without_an_account_to_lend(monkeypatch, own_data):
    """Root with neither postgres nor nobody is refused; a plain user needs neither."""
    monkeypatch.setattr(binaries, "_LENT_BY_ROOT", ("no-such-user", "root"))
    if IS_ROOT:
        with pytest.raises(NotStartable, match="neither user postgres nor user nobody"):
            EmbeddedServer(own_data).start()
        assert not own_data.exists()
    else:
        with EmbeddedServer(own_data, settings=FAST) as server:
            assert server.account == binaries._named(os.geteuid(), os.getegid())


def test_other_systems_are_refused(monkeypatch, own_data):
    """The guarantees rest on Linux: elsewhere a start is refused, with the alternative."""
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(NotStartable, match="set the URL of a PostgreSQL server instead"):
        EmbeddedServer(own_data).start()


@pytest.mark.parametrize(
    ("printed", "line"),
    [
        ("", ""),
        ("\n  last words  \n", "last words"),
        ("2026-01-01 00:00:00.000 UTC [7] FATAL:  no\n2026-01-01 00:00:00.000 UTC [7] LOG:  down", "no"),
        ("2026-01-01 00:00:00.000 UTC [7] LOG:  down", "down"),
        ("x\ninitdb: error: could not write\ninitdb: removing contents", "could not write"),
        ("FATAL:  one\nPANIC:  two", "two"),
    ],
)
def test_relevant_line(printed, line):
    """The last fatal line is shown, else the last line, without its time stamp."""
    assert relevant_line(printed) == line


def test_every_refusal_is_one_line_of_two_parts():
    """Each error is of one family, and its message is one line whatever went into it."""
    family = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, EmbeddedServerError)
    ]
    assert {VersionMismatch, StartFailed} < set(family)
    for kind in family:
        assert str(kind("a\nb", "c\r\nd")) == "a b; c d"


def test_import_needs_no_other_package():
    """The package imports nothing but the standard library and itself."""
    check = (
        "import sys; sys.path.insert(0, sys.argv[1]); import app.db.embedded.server; "
        "own = {'app', '__main__'}; "
        "print(sorted({n.split('.')[0] for n in sys.modules} - set(sys.stdlib_module_names) - own))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", check, str(ROOT)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
