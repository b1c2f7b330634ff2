"""What the benchmark copies into the tables of an import."""

import pytest

from app.db.schema import metadata
from bench.rows.imports import _TABLES, _row


@pytest.mark.parametrize("written", _TABLES)
def test_what_is_copied_has_each_column_that_a_table_requires(written):
    """The rows beside which an import is measured fill every column that has no value of its own."""
    name, columns = written.rstrip(")").split(" (")
    required = {
        each.name for each in metadata.tables[name].columns if not each.nullable and each.server_default is None
    }
    assert required <= set(columns.split(", "))
    assert next(line for table, line in zip(_TABLES, _row(), strict=True) if table == written).count("\t") == (
        columns.count(",")
    )
