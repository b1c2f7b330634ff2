import pytest

from tests.support.api import running
from tests.support.databases import new_database
from tests.webhooks.courier import Post, Stage


@pytest.fixture
def stage():
    """An event loop for couriers and receivers."""
    made = Stage()
    try:
        yield made
    finally:
        made.end()


@pytest.fixture
def post(stage):
    """An application that may reach receivers on loopback, with one processing to consent to."""
    with new_database() as database, running(database, webhook_networks="127.0.0.0/8") as api:
        api.register("ads")
        yield Post(api, database, stage)


@pytest.fixture(scope="module")
def office():
    """The same application, shared by tests that have endpoints of their own, to which nothing is sent."""
    with new_database() as database, running(database, webhook_networks="127.0.0.0/8") as api:
        api.register("ads")
        yield api
