import psycopg
import pytest

from tests.support.databases import execute, fresh_database

PUT = """
INSERT INTO outbox (subject_ref, id, type, occurred_at, data)
SELECT sha256(n::text::bytea), gen_random_uuid(), 'fr.sceau.consent.expired', now(), '{}'
FROM generate_series(%s::int, %s::int) AS n
"""
READ = "SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables WHERE relname = 'outbox'"


@pytest.fixture
def database():
    """A database whose tables nobody has analysed, nor will."""
    with fresh_database() as made:
        execute(made, "ALTER TABLE outbox SET (autovacuum_enabled = off)")
        yield made


@pytest.fixture
def rows_read(database):
    """How many rows of an outbox of five thousand are read while two hundred new subjects' events are written."""

    def count():
        execute(database, PUT, 1, 5000)
        with psycopg.connect(database.owner_url) as connection:
            connection.execute(PUT, [5001, 5200])
            return sum(read for (read,) in connection.execute(READ))

    return count


def test_an_event_finds_its_place_among_its_own(rows_read):
    """Giving new subjects' events their places reads none of the others' events."""
    assert rows_read() == 0


def test_without_offset_it_passes_over_all_the_others(rows_read, database):
    """Control: where the planner may choose, it reads all the others' events on a table that was not analysed yet."""
    with psycopg.connect(database.owner_url) as connection:
        [(body,)] = connection.execute("SELECT pg_get_functiondef('sceau_order_outbox()'::regprocedure)").fetchall()
        assert "OFFSET 0" in body
        connection.execute(body.replace("OFFSET 0", ""))
    assert rows_read() > 5000
