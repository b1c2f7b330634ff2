import re
from hashlib import sha256
from runpy import run_path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from procrastinate.schema import SchemaManager
from sqlalchemy import Column, Integer, MetaData, Table, text

import app.main  # noqa: F401 - declares every table
from app.db.migrate import configuration, migrate, upgrade
from app.db.revisions import known_revisions, migrations
from app.db.schema import is_declared_here, metadata
from tests.database.catalogue import everything, tables
from tests.database.conftest import connected
from tests.support.acts import trail
from tests.support.databases import new_database
from tests.support.migrations import NEXT, know_one_more

BASELINE = migrations() / "versions" / "0001_baseline.py"
LONGEST_REVISION = 32
"""Characters that Alembic's table has room for."""


def _drift(url: str, wanted: MetaData) -> list[object]:
    options = {"compare_type": True, "compare_server_default": True, "include_name": is_declared_here}
    with connected(url) as connection:
        differences: list[object] = compare_metadata(MigrationContext.configure(connection, opts=options), wanted)
    return differences


def test_nothing_is_left_to_generate(migrated):
    """Alembic finds no difference between a migrated database and the declared tables."""
    assert _drift(migrated.owner_url, metadata) == []


def test_the_drift_check_sees_a_new_table(migrated):
    """Control: a table that no migration makes is a difference."""
    more = MetaData(naming_convention=metadata.naming_convention)
    for table in metadata.sorted_tables:
        table.to_metadata(more)
    Table("forgotten", more, Column("id", Integer, primary_key=True))
    assert len(_drift(migrated.owner_url, more)) == 1


def test_migrations_make_the_declared_schema(migrated):
    """Columns, constraints (checks too) and indexes are those of the metadata, as PostgreSQL itself prints them."""
    with new_database(template="template0") as scratch, connected(scratch.owner_url) as connection:
        metadata.create_all(connection)
        declared = tables(connection)
    with connected(migrated.owner_url) as connection:
        assert tables(connection) == declared


def test_up_down_up(empty):
    """Downgrading removes all that was made, and upgrading again makes it all again."""
    with connected(empty.owner_url) as connection:
        upgrade(connection)
        first = everything(connection)
        command.downgrade(configuration(connection), "base")
        assert not any(everything(connection).values())
        upgrade(connection)
        assert everything(connection) == first


def test_migrating_twice_changes_nothing(migrated):
    """A second `migrate` finds everything done."""
    with connected(migrated.owner_url) as connection:
        first = everything(connection)
    migrate(migrated.owner_url, migrated.app_url)
    with connected(migrated.owner_url) as connection:
        assert everything(connection) == first


def test_the_names_of_the_migrations_say_their_order():
    """What a start tells from file names is what Alembic reads in the files: the same revisions in the same order."""
    scripts = ScriptDirectory.from_config(configuration())
    assert known_revisions() == [script.revision for script in reversed(list(scripts.walk_revisions()))]
    assert max(map(len, known_revisions())) <= LONGEST_REVISION


def test_migrating_declares_every_table_by_itself():
    """Each module that declares tables is imported by `migrations/env.py`: none depends on what else was imported."""
    root = migrations().parent
    declaring = {
        ".".join(path.relative_to(root).with_suffix("").parts)
        for path in (root / "app").rglob("*.py")
        if re.search(r"^from app\.db\.schema import .*\bmetadata\b", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    imported = re.findall(r"^import (app\.\S+)$", (migrations() / "env.py").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(imported) == declaring


def test_the_baseline_is_made_from_the_declarations_only_while_it_is_alone():
    """A second revision wants the tables of the first written out: the declarations go on, and the first must not."""
    assert len(known_revisions()) == 1 or "metadata.create_all" not in BASELINE.read_text(encoding="utf-8")


def test_a_database_is_taken_one_revision_further(migrated, monkeypatch, tmp_path):
    """The next release migrates what this one made, records from where to where, and this one accepts the result."""
    before = known_revisions()[-1]
    with monkeypatch.context() as next_release:
        know_one_more(next_release, tmp_path)
        migrate(migrated.owner_url, migrated.app_url)
    assert [each["detail"] for each in trail(migrated)][1:] == [{"before": before, "after": NEXT}]
    migrate(migrated.owner_url, migrated.app_url)
    with connected(migrated.owner_url) as connection:
        assert "synthetic" in {name for name, *_ in tables(connection)["columns"]}


def test_migrations_work_in_any_time_zone(empty):
    """A server whose default time zone is odd gets the same schema."""
    with connected(empty.owner_url) as connection:
        connection.execute(text("SET timezone = 'Pacific/Apia'"))
        upgrade(connection)
    assert _drift(empty.owner_url, metadata) == []


def test_the_installed_library_brings_the_schema_of_the_migration():
    """The migration takes Procrastinate's schema only if it is the one that it was written for, and it is.

    When this fails the library was upgraded: write a migration out of the files in its `sql/migrations`.
    """
    baseline = run_path(str(BASELINE))
    assert sha256(SchemaManager.get_schema().encode()).hexdigest() == baseline["PROCRASTINATE_SHA256"]


def test_another_schema_of_the_library_is_refused(monkeypatch):
    """A database is never given a schema that no migration was written for."""
    baseline = run_path(str(BASELINE))
    monkeypatch.setattr(SchemaManager, "get_schema", staticmethod(lambda: "SELECT 1"))
    with pytest.raises(RuntimeError, match=r"requirements\.txt"):
        baseline["upgrade"]()


def test_a_migration_is_recorded_when_it_changed_something(empty):
    """Migrating an empty database is one entry, and again is none."""
    migrate(empty.owner_url, empty.app_url)
    migrate(empty.owner_url, empty.app_url)
    acts = [(each["act"], each["detail"]) for each in trail(empty)]
    assert acts == [("schema.migrated", {"after": known_revisions()[-1]})]
