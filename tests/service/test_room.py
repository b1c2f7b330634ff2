"""Workers count in files: there is room for them, or a message, and never a process that is killed."""

import os
from pathlib import Path

import pytest
from prometheus_client.multiprocess import MultiProcessCollector

from app.telemetry.room import BYTES_OF_A_WORKER, NoRoomError, counting_directory, take_room


def test_a_place_without_room_is_refused_with_a_message(tmp_path):
    """More than any disk holds: it says how much is needed and what to set, and leaves nothing behind."""
    with pytest.raises(NoRoomError, match=r"MiB are needed .* TMPDIR"):
        counting_directory(10**12, [tmp_path])
    assert list(tmp_path.iterdir()) == []


def test_a_place_whose_path_is_too_long_for_a_socket_is_passed_over(tmp_path):
    """The workers' sockets stand beside the counts, and their paths have a bound."""
    deep = tmp_path / ("x" * 80)
    deep.mkdir()
    with pytest.raises(NoRoomError, match="path of more than"):
        counting_directory(1, [deep])
    assert list(deep.iterdir()) == []


def test_the_files_of_a_process_have_their_room_before_they_are_used(monkeypatch):
    """Each has all its blocks, so that no page of it can be missing later."""
    with counting_directory(1) as made:
        monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", made)
        take_room()
        files = [each.stat() for each in Path(made).glob("*.db")]
    assert sum(each.st_size for each in files) == BYTES_OF_A_WORKER
    assert all(each.st_blocks * 512 >= each.st_size for each in files)


def test_counts_are_read_while_a_worker_makes_its_files(tmp_path, monkeypatch):
    """Each file is empty for a moment: one that reads all files just then reads none that prometheus_client refuses."""
    allocate, read = os.posix_fallocate, []

    def read_meanwhile(*arguments):
        read.append(list(MultiProcessCollector.merge(map(str, tmp_path.glob("*.db")))))
        allocate(*arguments)

    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    monkeypatch.setattr(os, "posix_fallocate", read_meanwhile)
    take_room()
    assert len(read) == len(list(tmp_path.iterdir())) > 1


def test_a_worker_with_the_process_id_of_one_that_died_counts_on(tmp_path, monkeypatch):
    """The files of that one are there already, and keep what they say."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    take_room()
    before = {each.name: each.stat().st_ino for each in tmp_path.iterdir()}
    take_room()
    assert {each.name: each.stat().st_ino for each in tmp_path.iterdir()} == before


def test_a_process_that_counts_alone_needs_no_files(tmp_path, monkeypatch):
    """One worker keeps its counts in memory."""
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    take_room()
    assert list(tmp_path.iterdir()) == []
