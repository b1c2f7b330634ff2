"""A restored database that was swept before its journal is replayed: what the sweep derived is no act of a person."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from tests.support.api import running, subject
from tests.support.commands import run_command
from tests.support.consents import written
from tests.support.databases import new_database
from tests.support.imports import row
from tests.support.sweeping import sweep

ACTS = (("closures",), ("erasures",), ("closures", "erasures"))


def test_what_was_closed_or_erased_stays_so(database, tmp_path):
    """After a restore, a sweep and a replay the next holder of a name is handed nothing of who had it before.

    The sweep has a consent to end of each: one to a processing that is retired, or one that has lapsed.
    """
    retired, lapsed = ({f"{before}-{number}": acts for number, acts in enumerate(ACTS)} for before in ("old", "late"))
    settings: dict[str, Any] = {"state_directory": str(tmp_path)}
    past = datetime.now(UTC) - timedelta(days=400)
    with running(database, **settings) as api:
        for name in ("ads", "old"):
            api.register(name)
        api.register("stats", purpose="statistics")
        for name in retired:
            api.decide(name, "old")
        api.ok("PATCH", "/v1/processings/old", {"status": "retired"})
        rows = [row(number, name, at=past) for number, name in enumerate(lapsed)]
        api.ok("POST", "/v1/imports", {"import": "crm", "until": written(datetime.now(UTC)), "rows": rows})
    with new_database(template=database.name) as backup:
        with running(database, **settings) as api:
            for name, acts in (retired | lapsed).items():
                for act in acts:
                    api.ok("POST", f"/v1/subjects/{act}", {"subject": subject(name)})
        sweep(backup)
        status, _, output = run_command(backup, "recovery", "replay", tmp_path, **settings)
        assert (status, "by hand" in output) == (0, False), output
        with running(backup, **settings) as api:
            for name in retired | lapsed:
                api.decide(name, "stats", "refused")
                body = api.ok("POST", "/v1/subjects/exports", {"subject": subject(name)})
                assert [each["kind"] for each in body["events"]] == ["refused"], name


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
            status, _, output = run_command(backup, "recovery", "replay", tmp_path, **settings)
            assert (status, "by hand" in output, "replayed\n" in output) == (0, False, replayed), output
            assert _rows(backup, kept) == _rows(database, kept)
