"""Retention under attack: runs that never were, races, and what a run must not take out."""

import json
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from app.operations.proof import append_entries
from tests.faults.service import eventually
from tests.proof.asking import replayed
from tests.proof.forged import later_of, state
from tests.proof.logs import WRONG, ended, lines_of, replaced
from tests.proof.retained import OLD, event_kinds, owned, sign, signed_run
from tests.support.api import TestClock, question, running, subject, utc
from tests.support.commands import run_command
from tests.support.databases import administrator_url


def _forge_run(old, positions):
    """State a run of the future, as the owner of the schema can, and empty the places that it names."""
    body = json.dumps({"positions": positions, "schedule": {"consent": "P13M", "refusal": "P13M"}})
    with psycopg.connect(old.database.owner_url, autocommit=True) as connection:
        put = "INSERT INTO proof_statement VALUES (gen_random_uuid(), 'retention_run', '2040-01-01', %s)"
        connection.execute(put, [body])
        connection.execute("DELETE FROM proof_opening WHERE position = ANY (%s)", [positions])


def _places(old, kind):
    return [line["position"] for line in lines_of(old.bundle()) if f'"kind":"{kind}"' in line["entry"]]


def test_a_run_of_the_future_is_not_entered(old):
    """A run dated in the future is not entered, because it would make young entries look old."""
    place = _places(old, "consent_event")[-1]
    _forge_run(old, [place])
    old.append()
    status, output = old.verify(old.bundle(name="forged.zip"))
    waits = "waits to be entered" in output or "wait to be entered" in output
    assert (status, "its body is gone" in output, waits) == (1, True, True)


def test_a_run_that_is_stated_is_not_changed_afterwards(old):
    """A stated run to which places are added later no longer fits what the log committed to."""
    signed_run(old)
    place = _places(old, "consent_event")[-1]
    old.superuser(
        f"DELETE FROM proof_opening WHERE position = {place}",
        f"""UPDATE proof_statement SET body = jsonb_set(body, '{{positions}}', body->'positions' || to_jsonb({place}))
        WHERE kind = 'retention_run'""",
    )
    assert ended(old.verify(old.bundle(name="excused.zip")), WRONG, "what the database has is not what was recorded")


@pytest.mark.parametrize("is_relabelled", [True, False])
def test_a_forged_row_under_the_name_of_an_emptied_entry_is_named(old, is_relabelled):
    """A bundle and a replay name a row that claims an emptied entry, by its own id or by one that was written over."""
    place = _places(old, "consent_event")[0]
    gone = old.value(f"SELECT id FROM proof_entry WHERE position = {place}")
    signed_run(old)
    old.append()
    forged = "11111111-1111-7111-8111-111111111111" if is_relabelled else gone
    old.superuser(
        f"""INSERT INTO consent_event SELECT (jsonb_populate_record(event, jsonb_build_object('id', '{forged}',
        'seq', 90))).* FROM consent_event AS event WHERE kind = 'granted' LIMIT 1""",
        f"UPDATE proof_entry SET id = '{forged}' WHERE position = {place}",
    )
    told = old.verify(old.bundle(name="forged.zip"))
    assert ended(told, WRONG, f"consent_event {forged}: recorded, and not in the log")
    assert ended(replayed(old), WRONG, "1 rows were recorded, and are not in the log")


def test_a_bundle_that_ends_before_the_run_knows_of_it(old):
    """A bundle that ends before a run holds the run with its proof, and a changed or foreign run is named."""
    signed_run(old)
    bundle = old.bundle("--until", "2020-01-01")  # up to the first checkpoint, which was signed before the run
    later = later_of(bundle)
    status, output = old.verify(bundle)
    assert (status, "WRONG" in output, "were destroyed when their time was over" in output) == (3, False, True)
    entry = later["entries"][0]
    for change in (
        {"body": entry["body"].replace("P6Y", "P4Y")},
        {"proof": entry["proof"].replace("index ", "index 1")},
    ):
        content = json.dumps({**later, "entries": [{**entry, **change}, *later["entries"][1:]]}).encode()
        altered = replaced(bundle, old.place / "forged.zip", "later.json", content)
        assert ended(old.verify(altered), WRONG, "is not what the log holds")


def test_a_child_stays_known_as_one(old):
    """A run keeps a stated age below fifteen, so that the child still cannot consent alone."""
    with running(old.database, clock=TestClock(utc(OLD))) as api:
        api.state_age("kid", "under_15")
    old.append()
    signed_run(old)
    with running(old.database) as api:
        api.decide("kid", "ads")
        assert api.reason("kid", "ads") == "consent_invalid"


def test_what_was_said_about_every_processing_is_held_with_each(old):
    """A hold on one processing also keeps a withdrawal from all processings."""
    with running(old.database, clock=TestClock(utc(OLD))) as api:
        api.ok("POST", "/v1/withdrawals", {"subject": subject("emma")})
    old.append()
    sign(old)
    owned(old, "hold", "--reason", "Litigation.", "--by", "Legal", "--processing", "ads")
    owned(old, "run")
    assert event_kinds(old, "emma") == [["withdrawn"]]


def test_a_hold_waits_for_a_run_and_is_true_when_it_is_answered(old):
    """A hold waits for a run under way, and is refused for what that run has destroyed."""
    sign(old)
    with psycopg.connect(old.database.owner_url) as connection:
        ((consent,),) = connection.execute("SELECT id FROM consent_event WHERE kind = 'withdrawn'").fetchall()
        connection.execute("SELECT * FROM sceau_retain('', 500)")
        words = ("retention", "hold", "--reason", "r", "--by", "b", "--consent", str(consent))
        watched = administrator_url(old.database.name)  # a command has an environment of its own while it runs
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(run_command, old.database, *words, database_owner_url=old.database.owner_url)
            waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            with psycopg.connect(watched, autocommit=True) as watcher:
                eventually(lambda: watcher.execute(waiting).fetchone())
            connection.commit()
            status, errors, _ = running.result()
    assert (status, errors) == (1, "there is no such consent")


def test_a_link_that_was_just_made_keeps_its_ledger(old):
    """A run keeps the ledger of a person who was just sent a link."""
    with running(old.database) as api:
        body = {"subject": subject("alice"), "kind": "overview", "authentication": "signed_in"}
        api.ok("POST", "/v1/consent-links", body)
    signed_run(old)
    assert event_kinds(old, "alice") == [["granted", "withdrawn"]]


def test_a_replay_says_what_a_run_took(old):
    """Decisions that rested on what a run destroyed are not reproducible, and are not called different."""
    with running(old.database, decision_log="durable") as api:
        api.register("joint", party_mode="all_local_users")
        answer = question("alice", "joint")
        answer["resource"]["properties"]["participants"] = [{"type": "user", "id": "chloe", "local": True}]
        api.ok("POST", "/access/v1/evaluation", answer)
        api.ok("POST", "/access/v1/evaluation", question("alice", "ads"))
        eventually(lambda: len(api.ok("POST", "/v1/decisions/search", {})["items"]) == 2)
    signed_run(old)
    status, output = replayed(old)
    assert (status, "DIFFERENT" in output, "NOT REPRODUCIBLE: 2: events that it rested on" in output) == (
        3,
        False,
        True,
    )


def test_rows_that_are_never_entered_do_not_stop_what_waits_behind_them(old, monkeypatch):
    """Rows dated in the future are never entered, and do not stop the rows behind them."""
    monkeypatch.setattr(append_entries, "MOST", 3)
    for _ in range(4):
        _forge_run(old, [])
    with running(old.database) as api:
        consent = api.decide("late", "ads")["id"]
    old.append()
    entries = [line["entry"] for line in lines_of(old.bundle())]
    assert [each for each in entries if consent in each]


@pytest.mark.parametrize(("positions", "schedule"), [([[1]], {"consent": "P5Y"}), ([0], [])])
def test_a_run_in_bad_form_is_named(old, positions, schedule):
    """A malformed run is named, and leaves the bundle readable."""
    state(old, "retention_run", {"positions": positions, "schedule": schedule})
    old.append()
    assert ended(old.verify(old.bundle()), WRONG, "what it states is no run of retention")
