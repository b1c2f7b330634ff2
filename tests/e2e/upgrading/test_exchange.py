"""A deployment's processes are exchanged under load: `sceau migrate` runs, new ones join the old, and serve alone."""

import subprocess
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.e2e.upgrading.load import Living
from tests.faults.service import COMMAND, ROOT, Server, Service, environment
from tests.faults.words import ADS, FILTER

LIVES = 60
LOCK_TIMEOUT = 5.0
"""Seconds after which a migration gives up to wait (app/db/migrate.py): nobody may wait longer for it either."""
LOCKS = """
    SELECT max(extract(epoch FROM clock_timestamp() - a.xact_start))
    FROM pg_stat_activity AS a JOIN pg_locks AS l USING (pid)
    WHERE a.usename = 'sceau_owner' AND l.granted AND l.mode = 'AccessExclusiveLock' AND l.relation >= 16384
"""
"""For how long the migration has held a table against everybody, at most (its whole transaction counts)."""


@pytest.fixture(scope="module")
def place():
    """A directory of this module's own."""
    with tempfile.TemporaryDirectory(prefix="sceau-upgrading-", ignore_cleanup_errors=True) as made:
        yield Path(made)


@pytest.fixture(scope="module")
def server(place):
    """A migrated database."""
    made = Server(place, {"synchronous_commit": "on"})
    yield made
    made.embedded.stop()


def migrate_again(server):
    """Run `sceau migrate` to its end, as each release's is run: it gives the application its rights anew."""
    subprocess.run([*COMMAND, "migrate"], env=environment(**server.settings), cwd=ROOT, check=True, timeout=120)


@contextmanager
def serving(server, log):
    """Two workers."""
    service = Service(log, {**server.settings, "SCEAU_JOBS": "false"}, workers=2).wait_until_it_listens()
    try:
        yield service
    finally:
        service.end()


def held_while(server, act):
    """Do something; the longest that the owner held a table of ours against everybody meanwhile, in seconds."""
    longest, done = [0.0], threading.Event()

    def watch():
        with psycopg.connect(server.embedded.url(role="postgres", database="sceau"), autocommit=True) as connection:
            while not done.wait(0.005):
                (age,) = connection.execute(LOCKS).fetchone() or (None,)
                longest[0] = max(longest[0], float(age or 0.0))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        act()
    finally:
        done.set()
        watching.join()
    return longest[0]


def test_processes_are_exchanged_under_load(place, server):
    """Nothing is permitted that was withdrawn, nothing denied that was granted; what is refused is 503, sent again."""
    with serving(server, place / "before.log") as before:
        for processing in (FILTER, ADS):
            before.ok("POST", "/v1/processings", processing)
        with Living([before]).going_on() as people:
            people.wait_for(LIVES)
            locks = held_while(server, lambda: migrate_again(server))
            people.wait_for(LIVES)
            with serving(server, place / "after.log") as after:
                for each in ([before, after], [after], [before]):  # side by side, the new one alone, and back
                    people.exchange(each)
                    people.wait_for(LIVES)
    load = people.load
    print(f"{load.lives} lives; locks held for {locks:.3f} s; refused: {load.refused()}")
    assert load.wrong == []
    assert {status for _, status in load.refused()} <= {503}
    assert not any(kind == "ask exempt" for kind, _ in load.refused())
    assert locks < LOCK_TIMEOUT


def test_the_watch_sees_a_lock_that_is_held(server):
    """Control: a table that the owner holds for a second and a half is seen."""

    def hold():
        with psycopg.connect(server.owner_url) as owner:
            owner.execute("LOCK TABLE consent IN ACCESS EXCLUSIVE MODE")
            owner.execute("SELECT pg_sleep(1.5)")

    assert held_while(server, hold) > 1.0
