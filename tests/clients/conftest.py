import pytest

from tests.clients.askers import Awaited, Waiting
from tests.webhooks.courier import Stage


@pytest.fixture(scope="module")
def stage():
    """An event loop for servers that misbehave, and for what is awaited."""
    made = Stage()
    try:
        yield made
    finally:
        made.end()


@pytest.fixture(params=["waiting", "awaited"])
def asker_for(request, stage):
    """Make a client of either kind, patient unless the test says otherwise; closed after the test."""
    made = []

    def make(url, key="sceau_" + "k" * 43, **options):
        options = {"refresh": None, "deadline": 60, **options}
        asker = Waiting(url, key, **options) if request.param == "waiting" else Awaited(stage, url, key, **options)
        made.append(asker)
        return asker

    yield make
    for asker in made:
        asker.close()
