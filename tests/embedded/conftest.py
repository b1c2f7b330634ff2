import shutil

import pytest

from tests.embedded.actors import ACTORS, actor, remove_reachable_copies, server_processes


@pytest.fixture(scope="session", autouse=True)
def _no_copy_left():
    yield
    remove_reachable_copies()


@pytest.fixture(params=[ACTORS[0], *(pytest.param(other, marks=pytest.mark.deep) for other in ACTORS[1:])])
def who(request):
    """Whoever runs the tests and, when that is root, a plain user as well: that one under `--deep`."""
    return actor(request.param)


@pytest.fixture
def place(who):
    """An empty 0700 directory of the actor, removed afterwards with everything in it."""
    made = who.directory()
    yield made
    shutil.rmtree(made)


@pytest.fixture
def data(place):
    """Where a data directory may be made."""
    return place / "data"


@pytest.fixture
def own_data(tmp_path):
    """Where this very process may make a data directory, with nothing of it running afterwards."""
    path = tmp_path / "data"
    yield path
    if path.exists():
        assert server_processes(path.stat().st_uid, path) == []
