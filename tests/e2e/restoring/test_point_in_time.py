"""A backup is restored to a moment before a withdrawal, as an operator does it (docs/recovery.md), with pgBackRest."""

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.restoring.backed_up import BackedUp
from tests.faults.restores.restorable import asked
from tests.faults.service import COMMAND, ROOT, Service, environment, eventually
from tests.faults.words import ADS, FILTER, decision, withdrawal


@pytest.fixture(scope="module")
def server() -> Iterator[BackedUp]:
    """A server with consents of two people in its backup; one has withdrawn since, and it was restored to before."""
    place = Path(tempfile.mkdtemp(prefix="sceau-restoring-"))
    place.chmod(0o755)
    for name in ("server", "journal"):
        (place / name).mkdir()
    made = BackedUp(place / "server")
    try:
        with serving(made, place) as service:
            for processing in (FILTER, ADS):
                service.ok("POST", "/v1/processings", processing)
            for name in ("alice", "bob"):
                service.ok("POST", "/v1/consents", decision(name))
            made.back_up()
            made.restore_point("before")
            service.ok("POST", "/v1/withdrawals", withdrawal("alice"))
            assert asked(service, "alice") is False
        made.restore("before")
        yield made
    finally:
        made.stop()
        shutil.rmtree(place, ignore_errors=True)


def settings(server: BackedUp, place: Path) -> dict[str, str]:
    """Those of a deployment that keeps a journal beside its database."""
    return {
        "SCEAU_DATABASE_URL": server.url("sceau_app"),
        "SCEAU_JOBS": "false",
        "SCEAU_STATE_DIRECTORY": str(place / "journal"),
    }


@contextmanager
def serving(server: BackedUp, place: Path, **more: str) -> Iterator[Service]:
    """A service on the server."""
    service = Service(place / "service.log", {**settings(server, place), **more}).wait_until_it_listens()
    try:
        yield service
    finally:
        service.end(signal.SIGTERM)


def command(server: BackedUp, place: Path, *words: str) -> int:
    """The exit status of a command of the operator's."""
    env = environment(**settings(server, place))
    return subprocess.run([*COMMAND, *words], env=env, cwd=ROOT, check=False, timeout=120).returncode


def test_without_a_fence_the_restored_database_permits(server):
    """Control: for a service that knows nothing of the time since, Alice's consent is back."""
    with serving(server, server.place.parent, SCEAU_STATE_DIRECTORY="") as service:
        assert asked(service, "alice") is True


def test_a_restored_database_denies_once_its_journal_is_replayed(server):
    """Until then nobody is answered about consent, and exempt purposes are; then Alice's has ended and Bob's stands."""
    place = server.place.parent
    with serving(server, place) as service:
        assert [asked(service, name) for name in ("alice", "bob")] == ["restored-behind"] * 2
        assert asked(service, "alice", "filter") is True
        assert command(server, place, "restore-check") == 1
        assert command(server, place, "replay-journal") == 0
        eventually(lambda: asked(service, "bob") is True)
        assert asked(service, "alice") is False
        assert command(server, place, "restore-check") == 0
