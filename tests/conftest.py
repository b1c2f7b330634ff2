"""The suite's PostgreSQL: the oldest supported, started once by the process that was called, shared by the workers.

SCEAU_TEST_DATABASE_URL (an administrator's DSN) uses another server instead. The tests of the rules need none, and no
application: what the others need is imported when it is needed.
"""

import gc
import os
import shutil
import signal
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.db.embedded.server import EmbeddedServer
from tests.support.clusters import IN_MEMORY, PLACE, oldest_server
from tests.support.databases import ADDRESS, drop_template, make_template, new_database
from tests.support.properties import load_profile

pytest_plugins = ("tests.support.applications",)

RULES = ("tests/core/", "tests/conformance/")
PROCESSES = (
    *("tests/demo/", "tests/edge/test_faults", "tests/embedded/", "tests/faults/", "tests/watching/"),
    *("tests/command_line/test_doctor", "tests/database/test_cancelled", "tests/database/test_silent_hosts"),
    *("tests/freshness/test_idle", "tests/jobs/test_killed_sweeps", "tests/jobs/test_worker"),
    *("tests/packaging/test_bill_of_materials", "tests/packaging/test_dev", "tests/packaging/test_light_starts"),
    *("tests/service/test_unprotected", "tests/traces/test_off"),
    *("tests/webhooks/test_killed", "tests/webhooks/test_served"),
)
"""One test in twenty, and a third of the time: services and servers are started, killed, frozen or left alone."""
LONGEST = ("tests/secrecy", "tests/faults", "tests/contract", "tests/freshness")
ROOM = 6 * 2**30
"""Bytes: a run takes less than a tenth of it."""
_PLACE = pytest.StashKey[Path]()
_SERVER = pytest.StashKey[EmbeddedServer]()
load_profile()
if os.environ.get("SCEAU_TEST_YIELDS"):  # at night: psycopg lets others run at each step, as on a busy event loop
    import psycopg.waiting

    psycopg.waiting.MAX_BUSY_TIME = 0


def pytest_configure(config):
    """Start the server and make the template, in the process that was called and not in its workers."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell that starts the suite in the background has it ignore Ctrl-C, and so would all that the tests start.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: what was started is ended, not left running
    for name in [name for name in os.environ if name.startswith("SCEAU_") and not name.startswith("SCEAU_TEST_")]:
        del os.environ[name]  # what the caller's shell sets for a service of its own is not the suite's
    if hasattr(config, "workerinput") or config.option.collectonly or _of_the_rules(config):
        return
    place = config.stash[_PLACE] = _place(config)
    os.environ[PLACE] = str(place)
    if ADDRESS not in os.environ:
        server = config.stash[_SERVER] = oldest_server(place / "postgres")
        server.start()
        os.environ[ADDRESS] = server.url(role="postgres", database="postgres")
    make_template()


def _place(config):
    """A directory for the databases of this run: in memory where there is room, but for those of tests/e2e.

    Hundreds of databases are copied and dropped. On ext4 each new file looks for an inode that was not deleted in the
    last seconds, and among so many that took 28 % of the time of all processors.
    """
    for left in IN_MEMORY.glob("sceau-tests-*-*"):  # of a run that was killed
        if not Path("/proc", left.name.split("-")[2]).exists():
            shutil.rmtree(left, ignore_errors=True)
    small = not any("e2e" in each for each in config.args)
    roomy = small and IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free > ROOM
    return Path(tempfile.mkdtemp(prefix=f"sceau-tests-{os.getpid()}-", dir=IN_MEMORY if roomy else None))


def _of_the_rules(config):
    """Whether only tests of the rules were asked for."""
    return all(f"{each}/".startswith(RULES) for each in config.args)


def pytest_collection():
    """Collect no garbage while modules are read: Python 3.11.7 may fail to make a syntax tree meanwhile."""
    gc.disable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark tests by where they stand, and begin with what takes longest, so that no worker is left alone with it."""
    for item in items:
        for mark, paths in (("rules", RULES), ("processes", PROCESSES)):
            if item.nodeid.startswith(paths):
                item.add_marker(mark)
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


@pytest.fixture(scope="session")
def anyio_backend():
    """The event loop of production, for tests that are coroutines."""
    return "asyncio", {"use_uvloop": True}


def pytest_collection_finish():
    """Collect garbage again, and look no more through what is there now: modules and tests stay to the end."""
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_unconfigure(config):
    """Drop what this run made and stop what it started."""
    if _PLACE not in config.stash:
        return
    if "SCEAU_TEST_TEMPLATE" in os.environ:
        drop_template()
    if _SERVER in config.stash:
        config.stash[_SERVER].stop()
        del os.environ[ADDRESS]
    del os.environ[PLACE]
    shutil.rmtree(config.stash[_PLACE], ignore_errors=True)


@pytest.fixture
def database():
    """A migrated database of this test's own."""
    with new_database() as made:
        yield made


@pytest.fixture
def api(database):
    """The application on a database of its own, called with every scope."""
    from tests.support.api import running

    with running(database) as called:
        yield called


@pytest.fixture
def clock():
    """A clock in the database's place, standing at 15 June 2026, noon UTC, until a test sets it."""
    from tests.support.api import TestClock

    return TestClock(datetime(2026, 6, 15, 12, tzinfo=UTC))


@pytest.fixture
def clocked(database, clock):
    """The application whose clock is `clock`."""
    from tests.support.api import running

    with running(database, clock=clock) as called:
        yield called
