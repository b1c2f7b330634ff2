"""A primary with a synchronous standby, a service on it, and the command as an operator runs it."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.replication.nodes import Node, give_away
from tests.faults.service import Service
from tests.support.api import MASTER_KEY, PSEUDONYM_KEY
from tests.support.commands import run_bare


class Pair:
    """A primary that archives its WAL, its synchronous standby, and a service; `settings` are the service's."""

    def __init__(self, place: Path) -> None:
        """Start all three."""
        self.place = place
        self.primary = Node(place, "primary", archive_mode="on")
        self.standby = Node(place, "standby")
        self.primary.make()
        self.standby.copy(self.primary)
        self.primary.set("archive_command", "/bin/true")
        self.primary.set("synchronous_standby_names", "standby")
        (place / "state").mkdir()
        self.settings = {
            "SCEAU_DATABASE_URL": self.primary.url("sceau_app"),
            "SCEAU_DATABASE_OWNER_URL": self.primary.owner_url,
            "SCEAU_DURABILITY": "synchronous",
            "SCEAU_REGISTER_APPROVAL": "one",
            "SCEAU_STATE_DIRECTORY": str(place / "state"),
        }
        self.service = Service(place / "service.log", {**self.settings, "SCEAU_JOBS": "false"}).wait_until_it_listens()
        self.settings |= {
            "SCEAU_PUBLIC_URL": f"http://127.0.0.1:{self.service.port}",
            "SCEAU_PSEUDONYM_KEY": PSEUDONYM_KEY,
            "SCEAU_MASTER_KEY": MASTER_KEY,
        }

    def stop(self) -> None:
        """End all three."""
        self.service.end()
        self.standby.stop()
        self.primary.stop()


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """The servers of these tests."""
    place = Path(tempfile.mkdtemp(prefix="sceau-doctor-"))
    give_away(place)
    made = Pair(place)
    yield made
    made.stop()
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def examined(pair):
    """What `sceau doctor --json` finds with these settings changed (None: not set): status, and results by check."""

    def run(**changed: str | None):
        environment = {**pair.settings, **{f"SCEAU_{name.upper()}": value for name, value in changed.items()}}
        status, error, output = run_bare(environment, "doctor", "--json")
        assert error == ""
        checks: dict[str, list[tuple[str, str, str]]] = {}
        for each in json.loads(output):
            checks.setdefault(each["check"], []).append((each["grade"], each["said"], each["remedy"]))
        return status, checks

    return run
