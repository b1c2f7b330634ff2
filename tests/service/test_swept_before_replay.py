"""A restored database that was swept before its journal is replayed: what the sweep derived is no act of a person."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from tests.consents.imports.test_imports import row
from tests.support.api import running, subject
from tests.support.commands import run_command
from tests.support.consents import written
from tests.support.databases import new_database
from tests.support.sweeping import sweep


def _retired(api):
    """A processing that Alice consented to is retired."""
    api.decide("alice", "ads")
    api.ok("PATCH", "/v1/processings/ads", {"status": "retired"})


def _lapsed(api):
    """A consent of Alice's has lapsed."""
    past = datetime.now(UTC) - timedelta(days=400)
    rows = [row(1, "alice", at=past)]
    api.ok("POST", "/v1/imports", {"import": "crm", "until": written(datetime.now(UTC)), "rows": rows})


@pytest.mark.parametrize("before", [_retired, _lapsed])
@pytest.mark.parametrize("acts", [["closures"], ["erasures"], ["closures", "erasures"]])
def test_what_was_closed_or_erased_stays_so(database, tmp_path, before, acts):
    """After a restore, a sweep and a replay the next holder of a name is handed nothing of who had it before."""
    about = {"subject": subject("alice")}
    settings: dict[str, Any] = {"state_directory": str(tmp_path)}
    with running(database, **settings) as api:
        api.register("ads")
        api.register("stats", purpose="statistics")
        before(api)
    with new_database(template=database.name) as backup:
        with running(database, **settings) as api:
            for act in acts:
                api.ok("POST", f"/v1/subjects/{act}", about)
        sweep(backup)
        status, _, said = run_command(backup, "recovery", "replay", tmp_path, **settings)
        assert (status, "by hand" in said) == (0, False), said
        with running(backup, **settings) as api:
            api.decide("alice", "stats", "refused")
            told = api.ok("POST", "/v1/subjects/exports", about)
            assert [each["kind"] for each in told["events"]] == ["refused"]


def _rows(database, statement):
    with psycopg.connect(database.owner_url) as connection:
        return set(connection.execute(statement).fetchall())


def test_erasures_come_out_the_same_after_a_replay(database, tmp_path):
    """A replay erases a closed person with every name, a name without an account, and somebody whom the backup lacks.

    The days that stay of their names are those of the erasures, and a second replay changes nothing.
    """
    settings: dict[str, Any] = {"state_directory": str(tmp_path)}
    with running(database, **settings) as api:
        api.register("ads")
        parent = {"parent": subject("dad"), "parent_checked_how": "declaration"}
        api.decide("kid", "ads", capacity={"age_band": "under_15", "given_by": "both", **parent})
        for name in ("ali", "alice"):
            api.decide(name, "ads")
        api.ok("POST", "/v1/subjects/links", {"from": subject("ali"), "to": subject("alice"), "basis": "user_proved"})
        api.ok("POST", "/v1/subjects/closures", {"subject": subject("alice")})
    kept = "SELECT locator, ended_at FROM subject_locator UNION SELECT sealed_for, NULL FROM subject_vault"
    with new_database(template=database.name) as backup:
        with running(database, **settings) as api:
            api.decide("zoe", "ads")
            for name in ("alice", "dad", "zoe"):
                api.ok("POST", "/v1/subjects/erasures", {"subject": subject(name)})
            assert api.ok("POST", "/v1/subjects/exports", {"subject": subject("dad")})["as_parent"] == []
        assert _rows(backup, kept) != _rows(database, kept)
        for replayed in (True, False):
            status, _, said = run_command(backup, "recovery", "replay", tmp_path, **settings)
            assert (status, "by hand" in said, "replayed\n" in said) == (0, False, replayed), said
            assert _rows(backup, kept) == _rows(database, kept)
