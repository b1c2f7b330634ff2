"""A deployment is upgraded under load, and back: old code on the new schema, new beside old, then old again."""

import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.e2e.upgrading.load import Living
from tests.e2e.upgrading.old_code import old_code
from tests.faults.service import COMMAND, ROOT, Server, Service, environment
from tests.faults.words import ADS, FILTER

LIVES = 60
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
def old(place):
    """The code that is upgraded from."""
    return old_code(place / "old")


@pytest.fixture(scope="module")
def server(place, old):
    """A database that the old code has made."""
    made = Server(place, {"synchronous_commit": "on"}, schema=None)
    run(old, made, "migrate")
    yield made
    made.embedded.stop()


def run(tree, server, *words):
    """Run a command of some version to its end."""
    env = {**environment(**server.settings), "PYTHONPATH": str(tree)}
    subprocess.run([*COMMAND, *words], env=env, cwd=tree, check=True, timeout=120)


class Versioned:
    """Starts services of either version on one database."""

    def __init__(self, place, server):
        """Start none yet."""
        self.place, self.server, self.number = place, server, 0

    @contextmanager
    def serving(self, tree):
        """Two workers of the code in a tree."""
        self.number += 1
        settings = {**self.server.settings, "SCEAU_JOBS": "false", "PYTHONPATH": str(tree)}
        command = [sys.executable, "-c", f"import os; os.chdir({str(tree)!r}); from app.cli import main; main()"]
        log = self.place / f"service{self.number}.log"
        service = Service(log, settings, command=command, workers=2).wait_until_it_listens()
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
                (found,) = connection.execute(LOCKS).fetchone() or (None,)
                longest[0] = max(longest[0], float(found or 0.0))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        act()
    finally:
        done.set()
        watching.join()
    return longest[0]


def test_an_upgrade_under_load_and_back(place, server, old):
    """Nothing is permitted that was withdrawn, nothing denied that was granted; what is refused is 503, sent again."""
    versions = Versioned(place, server)
    with versions.serving(old) as before:
        for processing in (FILTER, ADS):
            before.ok("POST", "/v1/processings", processing)
        with Living([before]).going_on() as people:
            people.wait_for(LIVES)
            held = held_while(server, lambda: run(ROOT, server, "migrate"))  # old code on the new schema
            people.wait_for(LIVES)
            with versions.serving(ROOT) as after:
                told = [each.call("POST", "/v1/restores", {}).status_code for each in (before, after)]
                assert told == [404, 422], "each runs the code that it should"
                people.exchange([before, after])  # both side by side
                people.wait_for(LIVES)
                people.exchange([after])  # the new one alone
                people.wait_for(LIVES)
                people.exchange([before])  # and back
                people.wait_for(LIVES)
    load = people.load
    print(f"{load.lives} lives; locks held for {held:.3f} s; refused: {load.refused()}")
    assert load.wrong == []
    assert {status for _, status in load.refused()} <= {503}
    assert not any(kind == "ask exempt" for kind, _ in load.refused())
    assert held < LOCK_TIMEOUT


LOCK_TIMEOUT = 5.0
"""Seconds after which a migration gives up to wait (app/db/migrate.py): nobody may wait longer for it either."""


def test_the_watch_sees_a_lock_that_is_held(server):
    """Control: a table that the owner holds for a second and a half is seen."""

    def hold():
        with psycopg.connect(server.owner_url) as owner:
            owner.execute("LOCK TABLE consent IN ACCESS EXCLUSIVE MODE")
            owner.execute("SELECT pg_sleep(1.5)")

    assert held_while(server, hold) > 1.0
