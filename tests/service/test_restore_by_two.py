"""Who accepts a restore: two persons by the API where two decide, and then no command."""

import psycopg
import pytest

from tests.support.api import running
from tests.support.commands import run_command


def _epochs(database):
    with psycopg.connect(database.owner_url) as connection:
        return len(connection.execute("SELECT number FROM deployment_epoch").fetchall())


@pytest.mark.parametrize(("approval", "status", "begun"), [("two", 1, 0), ("one", 0, 1)])
def test_a_command_accepts_a_restore_only_where_one_decides(database, approval, status, begun):
    """With `two` it is refused, names the way out, and begins no epoch."""
    before = _epochs(database)
    done = run_command(database, "accept-restore", "--lost", "An afternoon.", register_approval=approval)
    assert (done[0], "/v1/proposals" in done[1]) == (status, approval == "two")
    assert _epochs(database) == before + begun


def test_no_command_accepts_a_restore_once_two_decide(database):
    """What its own setting says does not matter from then on."""
    with running(database, register_approval="two"):
        pass
    before = _epochs(database)
    done = run_command(database, "accept-restore", "--lost", "An afternoon.", register_approval="one")
    assert (done[0], "SCEAU_REGISTER_APPROVAL is one" in done[1]) == (1, True), done
    assert _epochs(database) == before


@pytest.mark.parametrize(("approval", "status", "begun"), [("two", 1, 0), ("one", 0, 1)])
def test_a_replay_records_and_its_acceptance_waits_for_two(database, tmp_path, approval, status, begun):
    """What the journal notes is recorded again either way; with `two` no epoch begins, and the replay says so."""
    with running(database, state_directory=tmp_path) as api:
        made = api.ok("POST", "/v1/keys", {"name": "leaver", "scopes": ["decisions:evaluate"]})["id"]
        api.call("DELETE", f"/v1/keys/{made}")
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        connection.execute("UPDATE caller SET revoked_at = NULL, revoked_by = NULL")
        connection.execute("DELETE FROM journal_note")  # as a backup of before has it
        before = _epochs(database)
        settings = {"state_directory": str(tmp_path), "register_approval": approval}
        done = run_command(database, "replay-journal", **settings)
        assert (done[0], "1 replayed" in done[2]) == (status, True), done
        assert ("The acceptance waits" in done[1], "/v1/proposals" in done[1]) == (approval == "two",) * 2
        assert connection.execute("SELECT count(*) FROM caller WHERE revoked_at IS NOT NULL").fetchone() == (1,)
    assert _epochs(database) == before + begun
