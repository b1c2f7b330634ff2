"""One PostgreSQL for a run of the suite, one migrated template in it, and a database of its own for each test."""

import atexit
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

from tests.support.emptying import AsMade, as_it_is, emptied

ADDRESS = "SCEAU_TEST_DATABASE_URL"
TEMPLATE = "sceau_template"
APP_ROLE = "sceau_app"

_PARTITIONS = """
SELECT sceau_make_log_partition((now() AT TIME ZONE 'UTC')::date + ahead) FROM generate_series(0, 1) AS ahead"""
"""What each application would make as it starts, and what would keep its database from being lent again."""

_ANY_CLOCK = """
SET session_replication_role = replica; -- no trigger: the trail of a test begins with what the test does
UPDATE owner_limit SET clock_tolerance = '1000 years'"""
"""Tests set their application's clock years ahead of the database's; what refuses that has tests of its own."""

_numbers = count(1)
_free: dict[str, list[tuple["TestDatabase", AsMade]]] = {}
"""Databases that wait to be lent again, by the template that they were copied from."""
_emptying: dict[str, psycopg.Connection[Any]] = {}
"""The connection that empties a database, by its name: kept, since a new one reads the whole catalogue each time."""


@dataclass(frozen=True)
class TestDatabase:
    """A database as its owner, as the application and as the server's administrator see it."""

    __test__ = False

    name: str
    owner_url: str
    app_url: str


def administrator_url(database: str, *, role: str | None = None) -> str:
    """The server of this run, as its administrator or as another role."""
    parts = urlsplit(os.environ[ADDRESS])
    netloc = parts.netloc
    if role is not None:
        netloc = f"{role}@{netloc.rpartition('@')[2]}"
    return urlunsplit(parts._replace(path=f"/{database}", netloc=netloc))


def rows(database: TestDatabase, query: Any, *values: Any) -> list[Any]:
    """What a query finds, as the database's owner."""
    with psycopg.connect(database.owner_url) as owner:
        return owner.execute(query, values or None).fetchall()


def execute(database: TestDatabase, statement: Any, *values: Any) -> None:
    """Run a statement as the database's owner."""
    with psycopg.connect(database.owner_url) as owner:
        owner.execute(statement, values or None)


def make_template() -> None:
    """Migrate the template that test databases are copied from; an earlier run's is replaced."""
    from app.db.migrate import migrate

    name = f"{TEMPLATE}_{os.getpid()}"
    os.environ["SCEAU_TEST_TEMPLATE"] = name
    with psycopg.connect(administrator_url("postgres"), autocommit=True) as connection:
        if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [APP_ROLE]).fetchone() is None:
            connection.execute(f"CREATE ROLE {APP_ROLE} LOGIN")
        connection.execute(f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
    migrate(administrator_url(name), administrator_url(name, role=APP_ROLE))
    with psycopg.connect(administrator_url(name), autocommit=True) as connection:
        connection.execute(_PARTITIONS)
        connection.execute(_ANY_CLOCK)


def drop_template() -> None:
    """Drop the template and all databases of this run that are left."""
    name = os.environ["SCEAU_TEST_TEMPLATE"]
    with psycopg.connect(administrator_url("postgres"), autocommit=True) as connection:
        left = connection.execute("SELECT datname FROM pg_database WHERE datname ^@ %s", [name]).fetchall()
        for (database,) in left:
            connection.execute(f"DROP DATABASE {database} WITH (FORCE)")


@contextmanager
def new_database(*, template: str | None = None) -> Iterator[TestDatabase]:
    """A database of its own: migrated, or a copy of a template such as `template0`.

    One in which only rows were changed is emptied afterwards and lent again: a tenth of the time of another copy.
    """
    source = template or os.environ["SCEAU_TEST_TEMPLATE"]
    waiting = _free.setdefault(source, [])
    database, as_made = waiting.pop() if waiting else _new(source)
    try:
        yield database
    finally:
        for copied, _ in _free.pop(database.name, ()):  # of what it is no more
            _drop(copied)
        if _emptied(database, as_made):
            waiting.append((database, as_made))
        else:
            _drop(database)


@contextmanager
def fresh_database() -> Iterator[TestDatabase]:
    """A new migrated database, because one that is lent again keeps its planner's statistics."""
    database = _copy(os.environ["SCEAU_TEST_TEMPLATE"])
    try:
        yield database
    finally:
        _drop(database)


def _new(template: str) -> tuple[TestDatabase, AsMade]:
    made = _copy(template)
    return made, as_it_is(made.owner_url)


def _emptied(database: TestDatabase, as_made: AsMade) -> bool:
    try:
        return emptied(_emptying[database.name], as_made)
    except (KeyError, psycopg.OperationalError):  # there is none yet, or a test ended it with all the others
        _leave(database.name)
        connection = _emptying[database.name] = psycopg.connect(database.owner_url, autocommit=True)
        return emptied(connection, as_made)


@atexit.register
def _leave_all() -> None:
    for name in [*_emptying]:
        _leave(name)


def _leave(name: str) -> None:
    if (connection := _emptying.pop(name, None)) is not None:
        connection.close()


def _drop(database: TestDatabase) -> None:
    _leave(database.name)
    with psycopg.connect(administrator_url("postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {database.name} WITH (FORCE)")


def _copy(template: str) -> TestDatabase:
    worker = re.sub(r"\W", "", os.environ.get("PYTEST_XDIST_WORKER", "main"))
    name = f"{os.environ['SCEAU_TEST_TEMPLATE']}_{worker}_{next(_numbers)}"
    _leave(template)  # nobody may be in it while it is copied
    with psycopg.connect(administrator_url("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    return TestDatabase(name, administrator_url(name), administrator_url(name, role=APP_ROLE))
