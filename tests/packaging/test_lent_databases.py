import psycopg
import pytest

from tests.support.databases import execute, new_database
from tests.support.emptying import as_it_is

WRITE = """
INSERT INTO caller (id, name, scopes, created_at)
VALUES (gen_random_uuid(), 'x', '{register:read}', now())"""


def _used(statement, parameters=None):
    """The name of a database that was lent, and in which somebody did something."""
    with new_database() as made, psycopg.connect(made.owner_url, autocommit=True) as connection:
        connection.execute(statement, parameters)
    return made.name


def test_rows_are_taken_away_and_the_database_is_lent_again():
    """A row written, and a number drawn, in one test are not there in the next, which has the same database."""
    with new_database() as made, psycopg.connect(made.owner_url, autocommit=True) as connection:
        before = as_it_is(made.owner_url)
        connection.execute("SELECT nextval('procrastinate_jobs_id_seq')")
        connection.execute(WRITE)
        assert as_it_is(made.owner_url) != before
    with new_database() as again, psycopg.connect(again.owner_url) as connection:
        assert again.name == made.name
        assert as_it_is(again.owner_url) == before
        assert connection.execute("SELECT nextval('procrastinate_jobs_id_seq')").fetchone() == (1,)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE more (id int)",
        "ALTER TABLE caller ADD COLUMN more int",
        "ALTER TABLE consent_event DISABLE TRIGGER ALL",
        "REVOKE SELECT ON caller FROM sceau_app",
        "CREATE FUNCTION more() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE INDEX more ON caller (name)",
        "DROP VIEW IF EXISTS nothing; CREATE VIEW more AS SELECT 1",
        "ALTER TABLE caller ALTER COLUMN name SET DEFAULT 'x'",
        "CREATE SCHEMA more",
    ],
)
def test_an_altered_database_is_not_lent_again(statement):
    """Whatever of its shape was changed: another one is made."""
    used = _used(statement)
    with new_database() as other:
        assert other.name != used


def test_a_copy_is_lent_again_as_it_was_copied_and_only_while_its_original_lasts():
    """Rows of the original are back in the next copy; when the original is given back its copies are dropped."""
    caller = "SELECT name FROM caller"
    with new_database() as original:
        execute(original, WRITE)
        names = set()
        for _ in range(2):
            with new_database(template=original.name) as copy, psycopg.connect(copy.owner_url) as connection:
                assert connection.execute(caller).fetchall() == [("x",)]
                connection.execute("UPDATE caller SET name = 'y'")
                connection.commit()
                names.add(copy.name)
        assert len(names) == 1
    with new_database() as other, psycopg.connect(other.owner_url) as connection:
        existing = connection.execute("SELECT FROM pg_database WHERE datname = ANY(%s)", [list(names)]).fetchall()
    assert existing == []
