"""One application for a file of tests, each of which uses its own subjects and processings."""

import pytest

from tests.support.api import running


@pytest.fixture(scope="module")
def shared(shared_database):
    """An application on the database's own clock, with three processings that ask."""
    with running(shared_database) as called:
        called.register("ads-mail", data_recipients=["Régie SA"], data_protection_contact="dpo@exemple.example")
        called.register("stats-mail", purpose="statistics", elements=["correspondent_identity"])
        called.register("better-mail", purpose="service_improvement", consent_validity="P6M")
        yield called
