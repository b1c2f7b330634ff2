from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from app.db.migrate import migrate
from tests.support.databases import TestDatabase, new_database


@contextmanager
def connected(url: str):
    """A SQLAlchemy connection in one transaction, committed at the end."""
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


@pytest.fixture
def empty() -> Iterator[TestDatabase]:
    """A database with nothing in it."""
    with new_database(template="template0") as made:
        yield made


@pytest.fixture
def owner(database) -> Iterator[psycopg.Connection]:
    """The owner's connection to a migrated database."""
    with psycopg.connect(database.owner_url) as connection:
        yield connection


@pytest.fixture
def application(database) -> Iterator[psycopg.Connection]:
    """The application role's connection to a migrated database."""
    with psycopg.connect(database.app_url) as connection:
        yield connection


@pytest.fixture(scope="module")
def lasting() -> Iterator[TestDatabase]:
    """A migrated database for a file of tests that commit nothing."""
    with new_database() as made:
        yield made


@pytest.fixture(scope="module")
def _owner_of_lasting(lasting) -> Iterator[psycopg.Connection]:
    with psycopg.connect(lasting.owner_url) as connection:
        yield connection


@pytest.fixture(scope="module")
def _application_of_lasting(lasting) -> Iterator[psycopg.Connection]:
    with psycopg.connect(lasting.app_url) as connection:
        yield connection


@pytest.fixture
def passing_owner(_owner_of_lasting) -> Iterator[psycopg.Connection]:
    """The owner's connection to `lasting`, in a transaction that is rolled back after the test."""
    yield _owner_of_lasting
    _owner_of_lasting.rollback()


@pytest.fixture
def passing_application(_application_of_lasting) -> Iterator[psycopg.Connection]:
    """The application role's connection to `lasting`, in a transaction that is rolled back after the test."""
    yield _application_of_lasting
    _application_of_lasting.rollback()


@pytest.fixture
def migrated(empty):
    """A database that was empty, migrated here."""
    migrate(empty.owner_url, empty.app_url)
    return empty
