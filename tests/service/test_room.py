"""Workers count in files: there is room for them, or a message, and never a process that is killed."""

from pathlib import Path

import pytest

from app.telemetry.room import BYTES_OF_A_WORKER, NoRoomError, counting_directory, take_room


def test_a_place_without_room_is_refused_with_a_message(tmp_path):
    """More than any disk holds: it says how much is needed and what to set, and leaves nothing behind."""
    with pytest.raises(NoRoomError, match=r"MiB are needed .* SCEAU_METRICS_DIRECTORY"):
        counting_directory(tmp_path, workers=10**12)
    assert list(tmp_path.iterdir()) == []


def test_the_files_of_a_process_have_their_room_before_they_are_used(tmp_path, monkeypatch):
    """Each has all its blocks, so that no page of it can be missing later."""
    with counting_directory(tmp_path, workers=1) as made:
        monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", made)
        take_room()
        files = [each.stat() for each in Path(made).glob("*.db")]
    assert sum(each.st_size for each in files) == BYTES_OF_A_WORKER
    assert all(each.st_blocks * 512 >= each.st_size for each in files)


def test_a_process_that_counts_alone_needs_no_files(tmp_path, monkeypatch):
    """One worker keeps its counts in memory."""
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    take_room()
    assert list(tmp_path.iterdir()) == []
