import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from sqlalchemy import text

from app.db.migrate import migrate, upgrade
from app.db.revisions import MigrationRefusedError
from tests.database.catalogue import everything
from tests.database.conftest import connected
from tests.support.databases import APP_ROLE

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


def test_a_blocked_migration_gives_up_and_leaves_nothing(empty):
    """A migration that would queue behind another's lock fails after a few seconds, in words, with nothing made."""
    with psycopg.connect(empty.owner_url) as holder:
        holder.execute("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
        holder.commit()
        holder.execute("LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(MigrationRefusedError, match="held a lock"):
            migrate(empty.owner_url, empty.app_url)
    with connected(empty.owner_url) as connection:
        assert {name for name, *_ in everything(connection)["columns"]} == set()
    migrate(empty.owner_url, empty.app_url)


def test_a_migration_that_fails_late_leaves_nothing(empty):
    """All of it is one transaction: what was made before the failure is gone."""
    with connected(empty.owner_url) as connection:
        before = everything(connection)
    with connected(empty.owner_url) as connection:
        upgrade(connection)
        connection.rollback()
    with connected(empty.owner_url) as connection:
        assert everything(connection) == before


def test_two_migrations_at_once_are_one_after_the_other(empty):
    """Two processes that migrate an empty database at once both succeed: the second finds everything done."""
    start = threading.Barrier(4)

    def run(_: int) -> None:
        start.wait()
        migrate(empty.owner_url, empty.app_url)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(4)))
    with psycopg.connect(empty.app_url) as connection:
        assert connection.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)


def test_a_second_migration_waits_for_the_first(empty):
    """While one migration is under way, another waits at its door, before it looks at anything."""
    with connected(empty.owner_url) as connection, ThreadPoolExecutor(1) as pool:
        upgrade(connection)
        second = pool.submit(migrate, empty.owner_url, empty.app_url)
        with psycopg.connect(empty.owner_url, autocommit=True) as watcher:
            while watcher.execute(WAITING).fetchone() == (0,):
                assert not second.done()
        connection.commit()
        second.result()


def test_migrating_needs_the_owner(empty):
    """As the application's role, migrating is refused in words."""
    with connected(empty.owner_url) as connection:
        connection.execute(text("REVOKE CREATE ON SCHEMA public FROM PUBLIC"))
    with pytest.raises(MigrationRefusedError, match=APP_ROLE):
        migrate(empty.app_url, empty.app_url)


def test_the_application_role_must_exist(empty):
    """A role that SCEAU_DATABASE_URL names and nobody made is named in the refusal, and nothing is made."""
    with pytest.raises(MigrationRefusedError, match="the role nobody_here of SCEAU_DATABASE_URL does not exist"):
        migrate(empty.owner_url, empty.app_url.replace(APP_ROLE, "nobody_here"))
    with connected(empty.owner_url) as connection:
        assert not any(everything(connection).values())


def test_an_unreachable_owner_is_named():
    """A database that is not there is a refusal that names the owner's setting."""
    url = "postgresql://sceau_owner@127.0.0.1:1/sceau"
    with pytest.raises(MigrationRefusedError, match="check SCEAU_DATABASE_OWNER_URL"):
        migrate(url, url)


def test_a_schema_ahead_is_left_alone(database):
    """Older code finds a schema of newer code, and takes neither tables nor rights away from it."""
    with psycopg.connect(database.owner_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'from the future'")
        connection.execute("CREATE TABLE of_the_future (id int)")
        connection.execute(f"GRANT SELECT ON of_the_future TO {APP_ROLE}")
    migrate(database.owner_url, database.app_url)
    with psycopg.connect(database.app_url) as connection:
        assert connection.execute("SELECT count(*) FROM of_the_future").fetchone() == (0,)


def test_a_server_that_is_too_old_is_refused(migrated, monkeypatch):
    """With its version, and before anything is changed."""
    monkeypatch.setattr("app.db.migrate.OLDEST_SERVER", 1_000)
    with pytest.raises(MigrationRefusedError, match="Sceau needs 1000 or newer"):
        migrate(migrated.owner_url, migrated.app_url)
