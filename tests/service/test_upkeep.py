"""What processes look after together: rows of dead replicas are taken away, at a cost that does not grow with them."""

import asyncio
import uuid
from collections.abc import Callable

import psycopg
import pytest

from app.db.database import Database
from app.snapshot.feed import Pace
from app.snapshot.tables import take_away_dead
from tests.support.databases import administrator_url

AT_ONCE = Pace(lease=0, heartbeat=0, margin=0)
ADD = """
INSERT INTO replica (id, lease_ms, seen_at, about, beat)
SELECT gen_random_uuid(), 2000, clock_timestamp(), 'test', 0 FROM generate_series(1, %s)
"""


@pytest.fixture
def rows(database):
    """The rows of replicas, as an administrator."""
    with psycopg.connect(administrator_url(database.name), autocommit=True) as connection:
        connection.execute("DELETE FROM replica")
        yield connection


class Counted(Database):
    """A database that counts its sessions, and calls `between` when the second one is asked for."""

    sessions = 0
    between: Callable[[], object] | None = None

    def read(self, *args, **named):
        """A session for reading, counted."""
        if self.sessions == 1 and self.between is not None:
            self.between()
        self.sessions += 1
        return super().read(*args, **named)

    def write(self, *args, **named):
        """One for writing, counted."""
        self.sessions += 1
        return super().write(*args, **named)


def taken_away(database, *, moving=None):
    """How many sessions it took; `moving` is called between the two looks."""

    async def run():
        made = Counted(database.app_url)
        made.between = moving
        try:
            await take_away_dead(made, AT_ONCE)
        finally:
            await made.close()
        return made.sessions

    return asyncio.run(run())


@pytest.mark.parametrize("number", [2, 50, 150])
def test_it_costs_as_much_for_many_replicas_as_for_two(database, rows, number):
    """Three sessions where all are dead, two where all beat."""
    rows.execute(ADD, [number])
    assert taken_away(database, moving=lambda: rows.execute("UPDATE replica SET beat = beat + 1")) == 2
    assert rows.execute("SELECT count(*) FROM replica").fetchone() == (number,)
    assert taken_away(database) == 3
    assert rows.execute("SELECT count(*) FROM replica").fetchone() == (0,)


def test_only_the_dead_are_taken_away(database, rows):
    """One that beat meanwhile keeps its row."""
    rows.execute(ADD, [3])
    alive = uuid.uuid4()
    rows.execute("INSERT INTO replica (id, lease_ms, seen_at, about) VALUES (%s, 2000, now(), 'alive')", [alive])
    beat = "UPDATE replica SET beat = beat + 1 WHERE about = 'alive'"
    assert taken_away(database, moving=lambda: rows.execute(beat)) == 3
    assert rows.execute("SELECT id FROM replica").fetchall() == [(alive,)]
