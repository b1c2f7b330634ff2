"""Entries commit to each column that decides or proves; each column that is left out is listed."""

import pytest

import app.audit.store
import app.ledger.link_store
import app.ledger.tables
import app.proof.store
import app.register.store
import app.staff
from app.db.schema import metadata
from app.proof.sources import SOURCES
from tests.support.databases import rows

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
    """Each column of an entered table is in the body, or is listed as left out."""
    source = SOURCES[kind]
    columns = {column.name for column in metadata.tables[_table(source)].columns}
    named = {sql.rpartition(".")[2] for sql in source.members().values()}
    assert columns - named == LEFT_OUT.get(kind, set())


def test_each_source_is_queued_by_a_trigger(database):
    """The database queues each row of each source by a trigger."""
    triggers = rows(database, "SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'queue_for_proof'")
    assert {table for (table,) in triggers} == {_table(source) for source in SOURCES.values()}
