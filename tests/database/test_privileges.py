import re

import psycopg
import pytest
from psycopg import sql

import app.db.retention
import app.main  # noqa: F401 - declares every table
from app.db.migrate import PRIVILEGES, SEQUENCES, migrate
from app.db.schema import LIBRARY_PREFIX, metadata
from tests.database.catalogue import BOOKKEEPING
from tests.support.databases import APP_ROLE

APPEND_ONLY = (
    "processing",
    "processing_version",
    "processing_status_change",
    "processing_invalidation",
    "invalidation_told",
    "controller",
    "controller_version",
    "subject",
    "consent_event",
    "administrative_act",
    "staff_notice",
    "staff_acknowledgement",
    "proof_anchor",
)
WORDS = ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"]
WORDS_OF_COLUMNS = ["SELECT", "INSERT", "UPDATE", "REFERENCES"]


def _changes(table: str) -> tuple[sql.Composed, ...]:
    name = sql.Identifier(table)
    column = sql.Identifier(next(iter(metadata.tables[table].primary_key.columns)).name)
    return (
        sql.SQL("UPDATE {} SET {} = {}").format(name, column, column),
        sql.SQL("DELETE FROM {}").format(name),
        sql.SQL("TRUNCATE {} CASCADE").format(name),
    )


def _refused(connection: psycopg.Connection, statement: sql.Composed) -> str:
    with pytest.raises(psycopg.errors.InsufficientPrivilege) as caught, connection.transaction():
        connection.execute(statement)
    return str(caught.value)


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_the_application_cannot_change_what_is_recorded(passing_application, table):
    """UPDATE, DELETE and TRUNCATE of the ledger, the register and the subjects are refused to the application."""
    for statement in _changes(table):
        _refused(passing_application, statement)


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_triggers_refuse_it_to_the_owner_too(passing_owner, table):
    """The owner, whom no privilege binds, is refused by a trigger that says so, on an empty table as well."""
    for statement in _changes(table):
        assert "is append-only" in _refused(passing_owner, statement)


def test_only_append_only_tables_refuse_their_owner(passing_owner):
    """Control: the same statements on a table that is no ledger go through."""
    for statement in _changes("outbox"):
        assert passing_owner.execute(statement).statusmessage


def test_the_map_covers_every_table(passing_owner):
    """Every declared table and every one of a library has its line, and no line is for a table that is not there."""
    brought = passing_owner.execute(
        "SELECT tablename FROM pg_tables WHERE tablename ^@ %s", [LIBRARY_PREFIX]
    ).fetchall()
    assert brought
    assert set(PRIVILEGES) == {*metadata.tables, BOOKKEEPING, *(name for (name,) in brought)}


def test_the_application_numbers_rows_but_sets_no_sequence(passing_application):
    """The application may draw numbers for jobs, and may not set them back."""
    for sequence in SEQUENCES:
        passing_application.execute("SELECT nextval(%s)", [sequence])
        _refused(passing_application, sql.SQL("SELECT setval({}, 1)").format(sql.Literal(sequence)))


def test_a_table_without_a_line_is_out_of_reach(database, owner, application):
    """Control: a table that the map forgets, even one granted by hand, is closed to the application by `migrate`."""
    owner.execute("CREATE TABLE forgotten (id int)")
    owner.execute(f"GRANT ALL ON forgotten TO {APP_ROLE}")
    owner.commit()
    migrate(database.owner_url, database.app_url)
    _refused(application, sql.SQL("SELECT FROM {}").format(sql.Identifier("forgotten")))


RIGHTS = """
WITH mapped AS (SELECT oid, relname FROM pg_class
                WHERE relname = ANY(%(tables)s) AND relnamespace = 'public'::regnamespace),
     of_table AS (SELECT oid, relname, word FROM mapped, unnest(%(words)s::text[]) AS word
                  WHERE has_table_privilege(%(role)s::name, oid, word))
SELECT relname, word FROM of_table
UNION ALL
SELECT relname, format('%%s (%%s)', asked.word, attname)
FROM mapped JOIN pg_attribute ON attrelid = oid, unnest(%(words_of_columns)s::text[]) AS asked (word)
WHERE attnum > 0 AND NOT attisdropped AND has_column_privilege(%(role)s::name, oid, attnum, asked.word)
    AND NOT EXISTS (SELECT FROM of_table WHERE of_table.oid = mapped.oid AND of_table.word = asked.word)"""


@pytest.fixture(scope="module")
def granted(lasting):
    """What the application role may do with each table, by whatever way; a right on columns only names them."""
    parameters = {"role": APP_ROLE, "tables": sorted(PRIVILEGES), "words": WORDS, "words_of_columns": WORDS_OF_COLUMNS}
    with psycopg.connect(lasting.owner_url) as connection:
        rights = connection.execute(RIGHTS, parameters).fetchall()
    granted: dict[str, set[str]] = {table: set() for table in PRIVILEGES}
    for table, right in rights:
        granted[table].add(right)
    return granted


def _written(line: str) -> set[str]:
    """A line of the map in the words of `granted`."""
    rights = re.findall(r"([A-Z]+)(?: \(([^)]*)\))?", line)
    return {f"{word} ({each.strip()})" if each else word for word, columns in rights for each in columns.split(",")}


@pytest.mark.parametrize("table", sorted(PRIVILEGES))
def test_the_application_has_exactly_what_the_map_says(granted, table):
    """No right on a table comes from elsewhere: not from PUBLIC, a role or an earlier grant."""
    assert granted[table] == _written(PRIVILEGES[table])


def test_the_application_makes_nothing(passing_application):
    """The application can create no table, schema or function, and becomes no other role."""
    for statement in (
        "CREATE TABLE mine (id int)",
        "CREATE SCHEMA mine",
        "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "ALTER TABLE consent_event DISABLE TRIGGER ALL",
        "SET session_replication_role = replica",
    ):
        _refused(passing_application, sql.SQL(statement).format())


def test_the_role_has_no_attribute_and_no_membership(passing_owner):
    """The application's role is nobody special, and a member of no role."""
    assert passing_owner.execute(
        "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls,"
        " (SELECT count(*) FROM pg_auth_members WHERE member = pg_roles.oid) FROM pg_roles WHERE rolname = %s",
        [APP_ROLE],
    ).fetchone() == (False, False, False, False, False, 0)
