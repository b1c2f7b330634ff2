"""Data of the first release is migrated to this schema, and served: twenty thousand people, or E2E_ROWS of them."""

import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from tests.e2e.upgrading.first_schema import PROCESSING, fill, make_first, name_of
from tests.faults.service import COMMAND, ROOT, Server, Service, environment
from tests.support.api import question, subject

ROWS = int(os.environ.get("E2E_ROWS", "20000"))
HANGS = 60 + ROWS / 200
"""Seconds after which the first process is taken for hung: it writes all people down anew before it listens."""


@pytest.fixture(scope="module")
def server():
    """A server whose database is as the first release left it."""
    with tempfile.TemporaryDirectory(prefix="sceau-first-", ignore_cleanup_errors=True) as place:
        made = Server(Path(place), {"max_wal_size": "4GB", "maintenance_work_mem": "256MB"}, schema=None)
        make_first(made.owner_url)
        fill(made.embedded.url(role="postgres", database="sceau"), ROWS)
        yield made
        made.embedded.stop()


def _command(server, *words):
    env = environment(**server.settings, SCEAU_JOBS="false")
    return subprocess.run([*COMMAND, *words], env=env, cwd=ROOT, check=False, capture_output=True, text=True)


def test_the_first_release_s_data_is_migrated_and_served(server, tmp_path):
    """Every consent of before permits, ends when it is withdrawn, and the projection is what the ledger says."""
    begun = time.monotonic()
    done = _command(server, "migrate")
    assert done.returncode == 0, done.stderr
    migrated = time.monotonic()
    service = Service(tmp_path / "service.log", {**server.settings, "SCEAU_JOBS": "false"})
    try:
        service.wait_until_it_listens(HANGS)
        served = time.monotonic()
        assert _rewritten(server)
        print(f"{ROWS:,} consents: migrated in {migrated - begun:.1f} s, served {served - migrated:.1f} s after that")
        for number in {0, ROWS // 2, ROWS - 1}:
            told = service.ok("POST", "/access/v1/evaluation", question(name_of(number), PROCESSING))
            assert told["decision"] is True, told
            withdrawal = {"subject": subject(name_of(number)), "processing": PROCESSING}
            assert service.ok("POST", "/v1/withdrawals", withdrawal)["matched"] is True
            assert (
                service.ok("POST", "/access/v1/evaluation", question(name_of(number), PROCESSING))["decision"] is False
            )
    finally:
        service.end(signal.SIGTERM)
    assert _command(server, "rebuild-projection", "--check").returncode == 0


def _rewritten(server) -> bool:
    """Whether no row is left that finds people as the first release did."""
    with server.administrator() as connection:
        left = connection.execute("SELECT count(*) FROM subject_locator WHERE made_by = 'casefold'").fetchone()
    return bool(left == (0,))
