"""`sceau doctor` on real servers: what it says of roles, clocks, standbys and WAL, each once as it should not be."""

import psycopg
import pytest

from app.db.revisions import known_revisions
from tests.faults.service import eventually, free_port

CHECKS = {
    *("settings", "database", "database rights", "owner", "clock", "ledger's times", "durability", "WAL archive"),
    *("pooler", "direct DSN", "schema", "time zones", "pseudonym key", "master key", "restores", "webhooks"),
    *("issuers", "public URL", "journal", "outage file", "disk"),
}


def grades(checks):
    """The grades of each check."""
    return {check: {grade for grade, _, _ in results} for check, results in checks.items()}


@pytest.fixture
def primary(pair):
    """The primary, whose superuser a test may be."""
    return pair.primary


def test_a_good_deployment_is_green_throughout(examined, primary):
    """With a standby in sync, archived WAL and a service that answers, every check is ok, and the exit status 0."""
    primary.sql("SELECT pg_switch_wal()")
    eventually(lambda: primary.sql("SELECT archived_count > 0 FROM pg_stat_archiver")[0][0])
    status, checks = examined()
    assert (status, grades(checks)) == (0, {check: {"ok"} for check in CHECKS})
    assert checks["durability"][0][1] == "synchronous: a standby has confirmed a COMMIT"


def test_a_server_that_does_not_answer_is_told(examined):
    """Nothing listens for any DSN: one line names where, with the remedy; nothing of the database is said well."""
    away = f"postgresql://sceau_app@127.0.0.1:{free_port()}/sceau"
    status, checks = examined(database_url=away, database_owner_url=away)
    assert (status, checks["database"][0][0]) == (1, "wrong")
    assert "nothing answers at 127.0.0.1" in checks["database"][0][1]
    assert "check SCEAU_DATABASE_URL" in checks["database"][0][2]
    assert "pooler" not in checks


def test_a_standby_is_no_place_to_write(examined, pair):
    """A DSN that leads to a standby is told by name of the setting."""
    status, checks = examined(database_url=pair.standby.url("sceau_app"))
    assert (status, checks["database"][0][0]) == (1, "wrong")
    assert "leads to a standby" in checks["database"][0][1]


@pytest.mark.parametrize(
    ("done", "undone", "message"),
    [
        ("DELETE FROM alembic_version", f"INSERT INTO alembic_version VALUES ('{known_revisions()[-1]}')",
         "the database's schema is behind this version: run `sceau migrate`"),
        ("GRANT UPDATE ON consent_event TO sceau_app", "REVOKE UPDATE ON consent_event FROM sceau_app",
         "UPDATE on consent_event"),
        ("GRANT UPDATE (created_by) ON caller TO sceau_app", "REVOKE UPDATE (created_by) ON caller FROM sceau_app",
         "UPDATE of created_by on caller"),
        ("REVOKE SELECT ON caller FROM sceau_app", "GRANT SELECT ON caller TO sceau_app", "lacks SELECT on caller"),
        ("REVOKE EXECUTE ON FUNCTION sceau_make_log_partition(date) FROM sceau_app, PUBLIC",
         "GRANT EXECUTE ON FUNCTION sceau_make_log_partition(date) TO sceau_app", "lacks EXECUTE on sceau_make"),
        ("ALTER ROLE sceau_app CREATEROLE", "ALTER ROLE sceau_app NOCREATEROLE", "may make roles"),
        ("GRANT CREATE ON SCHEMA public TO sceau_app", "REVOKE CREATE ON SCHEMA public FROM sceau_app",
         "may make tables"),
        ("GRANT sceau_owner TO sceau_app", "REVOKE sceau_owner FROM sceau_app", "owns tables, or is a member"),
        ("ALTER ROLE sceau_app SUPERUSER", "ALTER ROLE sceau_app NOSUPERUSER", "is a superuser"),
    ],
)  # fmt: skip
def test_what_differs_is_named(examined, primary, done, undone, message):
    """A schema that is behind, or a right that the service's role should not have, or lacks; the line names it."""
    primary.sql(done)
    try:
        status, checks = examined()
    finally:
        primary.sql(undone)
    about = "schema" if "schema" in message else "database rights"
    wrong = [f"{line}: {remedy}" for grade, line, remedy in checks[about] if grade == "wrong"]
    assert (status, len(wrong)) == (1, 1)
    assert message in wrong[0]


@pytest.mark.parametrize(
    ("role", "message"),
    [("sceau_app", "does not own"), ("nobody_at_all", "refuses the login")],
    ids=["other", "unknown"],
)
def test_another_role_than_the_owner_is_told(examined, pair, role, message):
    """A role that owns no tables cannot migrate, and one that does not exist cannot log in."""
    status, checks = examined(database_owner_url=pair.primary.url(role))
    (result,) = checks["owner"]
    assert (status, result[0]) == (1, "wrong")
    assert message in result[1]


def test_an_owner_that_is_not_named_is_no_fault(examined):
    """The host of the service needs no DSN of the owner."""
    status, checks = examined(database_owner_url=None)
    assert (status, checks["owner"][0][0]) == (0, "ok")


def test_a_server_that_is_too_old_is_told(examined, monkeypatch):
    """By its version, with the one that is needed."""
    monkeypatch.setattr("app.db.migrate.OLDEST_SERVER", 1_000)
    status, checks = examined()
    assert (status, checks["database"][0][0], "1000 or newer" in checks["database"][0][2]) == (1, "wrong", True)


@pytest.mark.parametrize(("minutes", "grade"), [(10, "wrong"), (-10, "wrong"), (0.1, "warning")])
def test_clocks_that_differ_are_told(examined, primary, minutes, grade):
    """A database whose clock runs ten minutes fast or slow is wrong, and six seconds are a warning."""
    primary.sql(
        "CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS "
        f"$$ SELECT pg_catalog.clock_timestamp() + {minutes} * interval '1 minute' $$"
    )
    primary.sql("ALTER ROLE sceau_app SET search_path = public, pg_catalog")
    try:
        status, checks = examined()
    finally:
        primary.sql("ALTER ROLE sceau_app RESET search_path")
        primary.sql("DROP FUNCTION public.clock_timestamp()")
    (result,) = checks["clock"]
    assert (status, result[0]) == (int(grade == "wrong"), grade)
    assert "differ by" in result[1]


def test_entries_of_the_future_are_counted(examined, primary):
    """Two entries that are later than the database's clock are wrong, and are counted."""
    with psycopg.connect(primary.url("postgres"), autocommit=True) as connection:
        columns = connection.execute(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
            "WHERE attrelid = 'consent_event'::regclass AND attnum > 0 AND attnotnull AND NOT attisdropped"
        ).fetchall()
        connection.execute("CREATE TABLE kept AS SELECT * FROM consent_event")
        connection.execute("ALTER TABLE consent_event RENAME TO aside")
        made = ", ".join(f"{name} {kind}" for name, kind in columns)
        connection.execute(f"CREATE TABLE consent_event ({made})")
        connection.execute("GRANT SELECT, INSERT ON consent_event TO sceau_app")
        connection.execute(
            "INSERT INTO consent_event (recorded_at) "
            "SELECT now() + n * interval '1 day' FROM generate_series(0, 2) AS n"
        )
    try:
        status, checks = examined()
    finally:
        for statement in ("DROP TABLE consent_event", "ALTER TABLE aside RENAME TO consent_event", "DROP TABLE kept"):
            primary.sql(statement)
    (result,) = checks["ledger's times"]
    assert (status, result[0]) == (1, "wrong")
    assert result[1].startswith("2 entries of the ledger are later")


@pytest.mark.parametrize(
    ("names", "message"),
    [("", "synchronous_standby_names is empty"), ("somebody_else", "no synchronous standby confirmed")],
)
def test_a_standby_that_confirms_nothing_is_told(examined, primary, names, message):
    """Without synchronous_standby_names the line says so; where the standby is away, that no COMMIT was confirmed."""
    primary.set("synchronous_standby_names", names)
    try:
        status, checks = examined()
    finally:
        primary.set("synchronous_standby_names", "standby")
    (result,) = checks["durability"]
    assert (status, result[0]) == (1, "wrong")
    assert message in result[1]


def test_wal_that_cannot_be_archived_is_told(examined, primary):
    """An archive_command that fails is wrong once it has failed after it last worked."""
    primary.set("archive_command", "/bin/false")
    try:
        primary.sql("SELECT pg_switch_wal() FROM pg_logical_emit_message(true, 'sceau', 'x')")
        eventually(
            lambda: primary.sql(
                "SELECT last_failed_time > coalesce(last_archived_time, '-infinity') FROM pg_stat_archiver"
            )[0][0]
        )
        status, checks = examined()
    finally:
        primary.set("archive_command", "/bin/true")
    (result,) = checks["WAL archive"]
    assert (status, result[0]) == (1, "wrong")
    assert "archiving failed last" in result[1]
