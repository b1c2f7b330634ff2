"""Entries commit to every column that decides or proves: one that is left out is left out on purpose."""

import psycopg
import pytest

import app.audit.store
import app.ledger.link_store
import app.ledger.tables
import app.proof.store
import app.register.store
import app.staff
from app.db.schema import metadata
from app.proof.sources import SOURCES

__all__ = ["app"]
LEFT_OUT = {
    # A hash of the request that made an act, so that a repetition makes no second one.
    "administrative_act": {"once"},
    # It stands there by its hash.
    "anchor": {"content"},
}


def _table(source):
    return source.tables.split()[0]


@pytest.mark.parametrize("kind", SOURCES)
def test_each_column_of_a_source_is_in_the_body(kind):
    """A column that is added to a table later must be entered, or said to be left out: this is where one is told."""
    source = SOURCES[kind]
    columns = {column.name for column in metadata.tables[_table(source)].columns}
    named = {sql.rpartition(".")[2] for sql in source.members().values()}
    assert columns - named == LEFT_OUT.get(kind, set())


def test_each_source_is_queued_by_a_trigger(database):
    """No kind is entered by luck: the database queues each row itself."""
    with psycopg.connect(database.owner_url) as connection:
        triggers = connection.execute(
            "SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'queue_for_proof'"
        ).fetchall()
    assert {table for (table,) in triggers} == {_table(source) for source in SOURCES.values()}
