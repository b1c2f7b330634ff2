"""One PostgreSQL for a run of the suite, one migrated template in it, and a database of its own for each test."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from urllib.parse import urlsplit, urlunsplit

import psycopg

from app.db.migrate import migrate

ADDRESS = "SCEAU_TEST_DATABASE_URL"
TEMPLATE = "sceau_template"
APP_ROLE = "sceau_app"

_numbers = count(1)


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


def make_template() -> None:
    """Migrate the template that test databases are copied from; an earlier run's is replaced."""
    name = f"{TEMPLATE}_{os.getpid()}"
    os.environ["SCEAU_TEST_TEMPLATE"] = name
    with psycopg.connect(administrator_url("postgres"), autocommit=True) as connection:
        if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [APP_ROLE]).fetchone() is None:
            connection.execute(f"CREATE ROLE {APP_ROLE} LOGIN")
        connection.execute(f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
    migrate(administrator_url(name), administrator_url(name, role=APP_ROLE))


def drop_template() -> None:
    """Drop the template and whatever databases of this run are left."""
    name = os.environ["SCEAU_TEST_TEMPLATE"]
    with psycopg.connect(administrator_url("postgres"), autocommit=True) as connection:
        left = connection.execute("SELECT datname FROM pg_database WHERE datname ^@ %s", [name]).fetchall()
        for (database,) in left:
            connection.execute(f"DROP DATABASE {database} WITH (FORCE)")


@contextmanager
def new_database(*, template: str | None = None) -> Iterator[TestDatabase]:
    """A database of its own, migrated (or empty, from `template0`), dropped afterwards."""
    base = os.environ["SCEAU_TEST_TEMPLATE"]
    worker = re.sub(r"\W", "", os.environ.get("PYTEST_XDIST_WORKER", "main"))
    name = f"{base}_{worker}_{next(_numbers)}"
    with psycopg.connect(administrator_url("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template or base} STRATEGY file_copy")
        try:
            yield TestDatabase(name, administrator_url(name), administrator_url(name, role=APP_ROLE))
        finally:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
