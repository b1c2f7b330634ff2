"""Only the database's owner destroys proof, by the signed schedule; the rest stays, and the log verifies."""

import json
from datetime import timedelta
from unittest.mock import ANY

import psycopg
import pytest

from app.proof.verifier.bodies import _before
from tests.proof.logs import INCOMPLETE, ended, lines_of
from tests.proof.retained import event_kinds, owned, sign, signed_run
from tests.support.api import running, utc
from tests.support.commands import run_command
from tests.support.databases import administrator_url, new_database, rows
from tests.support.exports import key_of, restored
from tests.support.imports import imported, row
from tests.support.two_persons import answer, person


def test_nothing_is_destroyed_before_the_schedule_is_signed(old):
    """A schedule that is only proposed is shown, and a run destroys nothing."""
    assert "proposed: nothing is destroyed" in owned(old, "show").replace("Proposed", "proposed")
    assert owned(old, "run") == "0 ledgers destroyed (0 of them of refusals only), 0 events.\n"
    assert event_kinds(old, "alice") == [["granted", "withdrawn"]]


def test_what_is_past_its_time_is_destroyed_and_named(old):
    """A run destroys the ledgers and ids of people whose last decision is years old, states it, and spares others."""
    before = old.bundle(name="before.zip")
    head = old.kept("head")
    sign(old)
    assert owned(old, "run", "--dry-run") == "2 ledgers would be destroyed (1 of them of refusals only), 3 events.\n"
    assert event_kinds(old, "alice") == [["granted", "withdrawn"]]
    assert owned(old, "run") == "2 ledgers destroyed (1 of them of refusals only), 3 events.\n"
    assert event_kinds(old, "alice", "bruno", "chloe") == [[], [], ["granted", "granted"]]
    old.append()
    destroyed = "3 bodies were destroyed when their time was over, as retention runs in the log say"
    assert ended(old.verify(old.bundle(), head), INCOMPLETE, destroyed)
    runs = [line["body"] for line in lines_of(old.place / "bundle.zip") if "retention_run" in line["entry"]]
    stated = [json.loads(body)["body"] for body in runs]
    assert [(each["consents"], each["refusals"], len(each["positions"])) for each in stated] == [(1, 1, 3)]
    assert old.verify(before)[0] == INCOMPLETE
    with running(old.database) as api:
        acts = [each["act"] for each in api.ok("POST", "/v1/audit-trail/search", {})["items"]]
        assert {"retention.signed", "retention.run"} <= set(acts)
        assert api.reason("alice", "ads") == "no_consent"
        api.decide("alice", "ads")  # the next answer begins a ledger of its own
        assert api.reason("alice", "ads") == "consent_in_force"


def test_nothing_leads_to_whom_was_taken_out(old):
    """After a run, no table leads to a destroyed person, by id or by pseudonym."""
    with psycopg.connect(administrator_url(old.database.name)) as connection:
        ((ref,),) = connection.execute("SELECT subject_ref FROM consent_event WHERE kind = 'withdrawn'").fetchall()
        signed_run(old)
        tables = connection.execute(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public' "
            "AND column_name = 'subject_ref' AND table_name NOT LIKE 'decision_segment%'"
        ).fetchall()
        assert ("consent_event", "subject_ref") in tables
        acts = [
            table
            for table, column in tables
            if connection.execute(f'SELECT 1 FROM "{table}" WHERE {column} = %s', [ref]).fetchone()
        ]
        # Events wait for receivers for thirty days; nobody is asked about who spoke so lately.
        assert set(acts) - {"outbox"} == {"subject"}


@pytest.mark.parametrize("words", [(), ("--processing", "ads"), ("--consent", None)])
def test_what_is_held_stays(old, words):
    """A hold on all, on a processing or on a person keeps its ledgers until it is released."""
    consent = old.value("SELECT id FROM consent_event WHERE kind = 'withdrawn'")
    arguments = [str(consent) if word is None else word for word in words]
    sign(old)
    identifier = owned(old, "hold", "--reason", "Litigation.", "--by", "Legal", *arguments).split()[1]
    assert "Litigation." in owned(old, "show")
    owned(old, "run")
    assert event_kinds(old, "alice", "bruno") == [["granted", "withdrawn"], ["refused"] if words == () else []]
    owned(old, "release", identifier)
    owned(old, "run")
    assert event_kinds(old, "alice") == [[]]


def test_a_hold_that_is_over_holds_nothing(old):
    """A hold ends by itself at its date."""
    sign(old)
    owned(old, "hold", "--reason", "Then.", "--by", "Legal", "--until", "2020-01-01")
    assert owned(old, "run").startswith("2 ledgers destroyed")


def test_what_was_only_just_recorded_stays(old):
    """A run keeps old decisions that were just imported, and events that are not in the log yet."""
    with running(old.database) as api:
        imported(api, row(1, "dora", "refused", at=utc("2015-01-01T00:00:00Z")))
    with psycopg.connect(administrator_url(old.database.name), autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(
            "DELETE FROM proof_entry WHERE kind = 'consent_event' AND id IN "
            "(SELECT id::text FROM consent_event WHERE kind = 'refused')"
        )
    assert signed_run(old) == "1 ledgers destroyed (0 of them of refusals only), 2 events.\n"
    assert event_kinds(old, "dora", "bruno") == [["refused"], ["refused"]]


def test_the_service_can_neither_sign_nor_destroy(old):
    """The service's role may only read the schedule; the ledger refuses even its owner a DELETE outside a run."""
    statements = (
        "UPDATE retention_rule SET signed_at = now(), signed_by = 'me'",
        "SELECT sceau_retain('', 10)",
        "DELETE FROM consent_event",
        "UPDATE retention_hold SET released_at = now()",
    )
    with psycopg.connect(old.database.app_url, autocommit=True) as connection:
        connection.execute("SELECT set_config('sceau.retaining', 'on', false)")
        assert connection.execute("SELECT count(*) FROM retention_rule").fetchone() == (2,)
        for statement in statements:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
    with (
        psycopg.connect(old.database.owner_url, autocommit=True) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="is append-only"),
    ):
        connection.execute("DELETE FROM consent_event")
    with psycopg.connect(old.database.owner_url, autocommit=True) as connection:
        connection.execute("SELECT set_config('sceau.retaining', 'on', false)")
        for statement in ("UPDATE consent_event SET seq = seq", "TRUNCATE consent_event CASCADE"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="is append-only"):
                connection.execute(statement)


def test_periods_are_those_of_the_owner(old):
    """A longer period keeps more, and one that is too short or in bad form is refused and changes nothing."""
    assert "P20Y" in sign(old, "--consents", "P20Y", "--refusals", "P20Y", "--basis", "Archives.")
    assert owned(old, "run").startswith("0 ledgers")
    for short in ("P1D", "P1Y", "P12M", "P360D", "P13M-30D", "P2Y-1D", "P2Y1D", "banana"):
        words = ("retention", "sign", "--by", "DPO", "--refusals", short)
        status, errors, _ = run_command(old.database, *words, database_owner_url=old.database.owner_url)
        assert (status, "a period is in years and months" in errors) == (2, True), short
        with psycopg.connect(old.database.owner_url) as connection, pytest.raises(psycopg.errors.DatabaseError):
            connection.execute("UPDATE retention_rule SET period = %s", [short])
    assert "P20Y" in owned(old, "show")


def _sign(database, *words, approval="one"):
    return run_command(
        database,
        *("retention", "sign", "--by", "DPO", *words),
        database_owner_url=database.owner_url,
        register_approval=approval,
    )


def test_six_years_are_proposed_and_another_period_needs_its_basis(old):
    """A period other than the proposed six years needs a basis, which the schedule then prints."""
    shown = owned(old, "show")
    assert (shown.count("P6Y"), shown.count("code de procédure pénale art. 8")) == (2, 2)
    status, errors, _ = _sign(old.database, "--consents", "P8Y")
    assert (status, "--basis" in errors, "Proposed: nothing" in owned(old, "show")) == (1, True, True)
    other = sign(old, "--consents", "P8Y", "--basis", "Ten-year contracts.")
    assert ("consent: P8Y" in other, "Basis: Ten-year contracts." in other, "refusal: P6Y" in other) == (True,) * 3
    assert owned(old, "show") == other
    assert "Ten-year contracts." in sign(old, "--consents", "P8Y")  # what is signed already keeps its basis
    assert "Ten-year contracts." not in sign(old, "--consents", "P6Y")


def test_a_shorter_period_takes_two_persons_once(old):
    """Under `two`, a shorter period is signed only once, after a second person approved it; a longer one needs none."""
    shorter = ("--consents", "P4Y", "--basis", "Shorter contracts.")
    with running(old.database, register_approval="two") as api:
        ada, bob = person(api, "Ada"), person(api, "Bob")

        def propose(**periods):
            return ada.call("POST", "/v1/proposals", {"kind": "retention", **periods}).json()["id"]

        def approve(proposal):
            answer(bob, proposal).raise_for_status()

        def refused(*words):
            status, errors, _ = _sign(old.database, *words, approval="two")
            return (status, "POST /v1/proposals" in errors) == (1, True)

        assert refused(*shorter)
        # What a command says does not matter where two decide.
        assert _sign(old.database, *shorter, approval="one")[0] == 1
        proposal = propose(consent="P4Y")
        assert refused(*shorter)
        approve(proposal)
        assert refused(*shorter, "--refusals", "P4Y")
        assert refused("--consents", "P3Y", "--basis", "Shorter still.")
        assert "consent: P6Y" in owned(old, "show")
        assert _sign(old.database, *shorter, approval="two")[0] == 0
        assert _sign(old.database, "--consents", "P9Y", "--basis", "Longer.", approval="two")[0] == 0
        assert refused(*shorter)  # the approval was used
        approve(propose(consent="P4Y"))
        assert _sign(old.database, *shorter, approval="two")[0] == 0
    assert "consent: P4Y" in owned(old, "show")


def test_a_restored_deployment_knows_what_was_signed(old, tmp_path):
    """Under `two`, an approval is used up in a restored deployment too, and a shorter period than the last is one."""
    shorter = ("--consents", "P4Y", "--basis", "Shorter contracts.")
    with running(old.database, register_approval="two") as api:
        ada, bob = person(api, "Ada"), person(api, "Bob")
        proposal = ada.call("POST", "/v1/proposals", {"kind": "retention", "consent": "P4Y"}).json()["id"]
        answer(bob, proposal).raise_for_status()
    assert _sign(old.database, *shorter, approval="two")[0] == 0
    assert _sign(old.database, "--consents", "P9Y", "--basis", "Longer.", approval="two")[0] == 0
    assert run_command(old.database, "export", tmp_path / "all.ndjson")[0] == 0
    with new_database() as empty:
        assert restored(empty, tmp_path / "all.ndjson", key_of(old.database), register_approval="two")[0] == 0
        for words in (shorter, ("--consents", "P6Y"), ()):
            status, errors, _ = _sign(empty, *words, approval="two")
            assert (status, "POST /v1/proposals" in errors) == (1, True)
        assert _sign(empty, "--consents", "P9Y", "--basis", "Longer.", approval="two")[0] == 0


def test_one_person_signs_a_shorter_period_where_one_decides(old):
    """Control: with `one`, a shorter period is signed at once."""
    assert _sign(old.database, "--consents", "P4Y", "--basis", "Shorter contracts.")[0] == 0


def test_a_hold_is_restored_with_the_rest(old, tmp_path):
    """A restore brings back holds, both open and released."""
    identifier = owned(old, "hold", "--reason", "Over.", "--by", "Legal").split()[1]
    owned(old, "release", identifier)
    owned(old, "hold", "--reason", "Litigation.", "--by", "Legal", "--processing", "ads")
    assert run_command(old.database, "export", tmp_path / "all.ndjson")[0] == 0
    with new_database() as empty:
        assert restored(empty, tmp_path / "all.ndjson", key_of(old.database))[:2] == (0, ANY)
        holds = rows(empty, "SELECT reason FROM retention_hold ORDER BY made_at")
    assert holds == [("Over.",), ("Litigation.",)]


def test_every_day_of_a_month_is_past_its_period_as_postgresql_counts(database):
    """The verifier counts months back as PostgreSQL does, for each day of a month."""
    series = "generate_series('2022-12-25 10:00+00'::timestamptz, '2024-04-02', '1 day')"
    days = f"SELECT at, at + interval '3 years' FROM {series} AS at"
    counted = rows(database, days)
    assert len(counted) > 400
    for stated, over in counted:
        assert _before(over.isoformat(), "P3Y") >= stated
        assert _before((over - timedelta(days=8)).isoformat(), "P3Y") < stated
    assert _before("2026-01-31T00:00:00+00:00", "P12M").year == 1


def test_a_hold_on_what_there_is_not_is_refused(old):
    """A hold on an unknown processing is refused, because it would keep nothing."""
    words = ("retention", "hold", "--reason", "r", "--by", "b", "--processing", "nope")
    status, errors, _ = run_command(old.database, *words, database_owner_url=old.database.owner_url)
    assert (status, errors) == (1, "there is no processing nope")
