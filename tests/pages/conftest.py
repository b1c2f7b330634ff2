"""One application for a file of tests whose subjects and processings have names of their own."""

import pytest

from tests.support.api import running
from tests.support.databases import new_database


@pytest.fixture(scope="module")
def shared():
    """An application on the database's own clock, with three processings that ask."""
    with new_database() as database, running(database) as called:
        called.register("ads-mail", data_recipients=["Régie SA"], data_protection_contact="dpo@exemple.example")
        called.register("stats-mail", purpose="statistics", elements=["correspondent_identity"])
        called.register("better-mail", purpose="service_improvement", consent_validity="P6M")
        yield called
