"""Proof that is past its time is destroyed by the owner alone, as signed; all else stays, and the log verifies."""

import json

import psycopg
import pytest

from app.db.migrate import downgrade, upgrade
from app.db.owner import owner_engine
from tests.proof.logs import Log, lines_of
from tests.support.api import TestClock, running, subject, utc
from tests.support.commands import run_command
from tests.support.databases import administrator_url

GOOD_BUT_INCOMPLETE = 3
OLD = "2019-03-01T10:00:00Z"


@pytest.fixture
def old(database, tmp_path):
    """A deployment with two people who answered years ago and one who answers now, all in the log."""
    with running(database, clock=TestClock(utc(OLD))) as api:
        api.register("ads")
        api.register("stats", purpose="statistics")
        for name in ("alice", "chloe"):
            api.decide(name, "ads")
        api.withdraw("alice", "ads")
        api.decide("bruno", "stats", "refused")
    with running(database) as api:
        api.decide("chloe", "ads")
    log = Log(database, tmp_path)
    log.append()
    return log


def _owned(log, *words):
    done = run_command(log.database, "retention", *words, database_owner_url=log.database.owner_url)
    assert done[0] == 0, done
    return done[2]


def _known(log, name):
    with running(log.database) as api:
        answer = api.call("POST", "/v1/subjects/exports", {"subject": subject(name)}).json()
        api.call("POST", "/v1/subjects/exports", {"subject": subject("nobody")})
        return [each["kind"] for each in answer["events"]]


def _sign(log, *words):
    return _owned(log, "sign", "--by", "DPO", *words)


def test_nothing_is_destroyed_before_the_schedule_is_signed(old):
    """It is proposed, with its bases, and a run takes out nothing."""
    assert "proposed: nothing is destroyed" in _owned(old, "show").replace("Proposed", "proposed")
    assert _owned(old, "run") == "0 ledgers destroyed (0 of them of refusals only), 0 events.\n"
    assert _known(old, "alice") == ["granted", "withdrawn"]


def test_what_is_past_its_time_is_destroyed_and_named(old):
    """Ledgers and ids of people whose last word is years old are gone, and that is stated; nobody else's are."""
    before = old.bundle(name="before.zip")
    head = old.head()
    _sign(old)
    assert _owned(old, "run", "--dry-run") == "2 ledgers would be destroyed (1 of them of refusals only), 3 events.\n"
    assert _known(old, "alice") == ["granted", "withdrawn"]
    assert _owned(old, "run") == "2 ledgers destroyed (1 of them of refusals only), 3 events.\n"
    assert (_known(old, "alice"), _known(old, "bruno")) == ([], [])
    assert _known(old, "chloe") == ["granted", "granted"]
    old.append()
    (old.place / "head").write_text(head)
    status, said = old.verify(old.bundle(), old.place / "head")
    assert (status, "WRONG" in said) == (GOOD_BUT_INCOMPLETE, False), said
    assert "3 bodies were destroyed when their time was over, as retention runs in the log say" in said
    stated = [
        json.loads(line["body"])["body"]
        for line in lines_of(old.place / "bundle.zip")
        if "retention_run" in line["entry"]
    ]
    assert [(each["consents"], each["refusals"], len(each["positions"])) for each in stated] == [(1, 1, 3)]
    assert old.verify(before)[0] == GOOD_BUT_INCOMPLETE
    with running(old.database) as api:
        acts = [each["act"] for each in api.ok("POST", "/v1/audit-trail/search", {})["items"]]
        assert {"retention.signed", "retention.run"} <= set(acts)
        assert api.reason("alice", "ads") == "no_consent"
        api.decide("alice", "ads")  # the next answer begins a ledger of its own
        assert api.reason("alice", "ads") == "consent_in_force"


def test_nothing_leads_to_whom_was_taken_out(old):
    """Neither the id nor the pseudonym of somebody stands in any table but that of random names, which lead nowhere."""
    with psycopg.connect(administrator_url(old.database.name)) as connection:
        ((ref,),) = connection.execute("SELECT subject_ref FROM consent_event WHERE kind = 'withdrawn'").fetchall()
        _sign(old)
        _owned(old, "run")
        tables = connection.execute(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public' "
            "AND column_name = 'subject_ref' AND table_name NOT LIKE 'decision_log%'"
        ).fetchall()
        assert ("consent_event", "subject_ref") in tables
        found = [
            table
            for table, column in tables
            if connection.execute(f'SELECT 1 FROM "{table}" WHERE {column} = %s', [ref]).fetchone()
        ]
        # Events wait for receivers for thirty days; nobody is asked about who spoke so lately.
        assert set(found) - {"outbox"} == {"subject"}


@pytest.mark.parametrize("words", [(), ("--processing", "ads"), ("--consent", None)])
def test_what_is_held_stays(old, words):
    """A hold on everything, on a processing or on a person; once it is released, it goes."""
    with psycopg.connect(old.database.owner_url) as connection:
        ((consent,),) = connection.execute("SELECT id FROM consent_event WHERE kind = 'withdrawn'").fetchall()
    given = [str(consent) if word is None else word for word in words]
    _sign(old)
    identifier = _owned(old, "hold", "--reason", "Litigation.", "--by", "Legal", *given).split()[1]
    assert "Litigation." in _owned(old, "show")
    _owned(old, "run")
    assert _known(old, "alice") == ["granted", "withdrawn"]
    assert _known(old, "bruno") == (["refused"] if words == () else [])
    _owned(old, "release", identifier)
    _owned(old, "run")
    assert _known(old, "alice") == []


def test_a_hold_that_is_over_holds_nothing(old):
    """It ends by itself at its date."""
    _sign(old)
    _owned(old, "hold", "--reason", "Then.", "--by", "Legal", "--until", "2020-01-01")
    assert _owned(old, "run").startswith("2 ledgers destroyed")


def test_what_was_only_just_recorded_stays(old):
    """An import of old decisions, and what the log has not taken yet, are kept, however long ago they were made."""
    with running(old.database) as api:
        api.ok(
            "POST",
            "/v1/imports",
            {
                "import": "older",
                "rows": [
                    {
                        "source_id": "1",
                        "at": "2015-01-01T00:00:00Z",
                        "subject": subject("dora"),
                        "processing": "ads",
                        "decision": "refused",
                    }
                ],
            },
        )
    with psycopg.connect(administrator_url(old.database.name), autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(
            "DELETE FROM proof_entry WHERE kind = 'consent_event' AND id IN "
            "(SELECT id::text FROM consent_event WHERE kind = 'refused')"
        )
    _sign(old)
    assert _owned(old, "run") == "1 ledgers destroyed (0 of them of refusals only), 2 events.\n"
    assert (_known(old, "dora"), _known(old, "bruno")) == (["refused"], ["refused"])


def test_the_service_can_neither_sign_nor_destroy(old):
    """Its role may read the schedule; the ledger refuses everybody but the function, the owner too."""
    statements = (
        "UPDATE retention_rule SET signed_at = now(), signed_by = 'me'",
        "SELECT sceau_retain('', 10)",
        "DELETE FROM consent_event",
        "INSERT INTO retention_hold (reason, made_by) VALUES ('', '')",
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


def test_a_body_that_is_removed_beside_a_run_is_named(old, capsys):
    """A run excuses the places that it states, and no others; nor one that was too young for any schedule."""
    _sign(old)
    _owned(old, "run")
    old.append()
    (position,) = [
        line["position"]
        for line in lines_of(old.bundle())
        if '"kind":"consent_event"' in line["entry"] and "body" in line
    ][-1:]
    old.superuser(f"DELETE FROM proof_opening WHERE position = {position}")
    status, said = old.verify(old.bundle(name="forged.zip"))
    assert (status, "its body is gone" in said) == (1, True)
    old.superuser(
        "UPDATE proof_statement SET body = jsonb_set(body, '{positions}', body->'positions' || "
        f"to_jsonb({position})) WHERE kind = 'retention_run'"
    )
    status, said = old.verify(old.bundle(name="excused.zip"))
    assert (status, "what the database has is not what was recorded" in said) == (1, True)


def test_periods_are_those_of_the_owner(old):
    """Longer ones keep more; one below a year is refused, and nothing was changed."""
    assert "P20Y" in _sign(old, "--consents", "P20Y", "--refusals", "P20Y")
    assert _owned(old, "run").startswith("0 ledgers")
    status, said, _ = run_command(
        old.database, "retention", "sign", "--by", "DPO", "--refusals", "P1D", database_owner_url=old.database.owner_url
    )
    assert (status, "nothing was changed" in said) == (1, True)
    assert "P20Y" in _owned(old, "show")


def test_the_revision_goes_back_and_forth(old):
    """Down, the ledger refuses its owner whatever is set; up again, the schedule is proposed anew."""
    _sign(old)
    engine = owner_engine(old.database.owner_url)
    with engine.begin() as connection:
        downgrade(connection, "0033")
    with psycopg.connect(old.database.owner_url, autocommit=True) as connection:
        connection.execute("SELECT set_config('sceau.retaining', 'on', false)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="is append-only"):
            connection.execute("DELETE FROM consent_event")
    with engine.begin() as connection:
        upgrade(connection, "head")
    engine.dispose()
    assert "proposed" in _owned(old, "show").lower()
