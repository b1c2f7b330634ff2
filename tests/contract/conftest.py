from collections.abc import Iterator

import pytest

from tests.contract.facts import Facts
from tests.support.api import Api, running
from tests.support.databases import new_database


@pytest.fixture
def facts(api: Api) -> Facts:
    """An application with a register, consents and keys, and their ids."""
    return Facts.made_by(api)


@pytest.fixture(scope="module")
def shared() -> Iterator[Facts]:
    """One for requests that need not succeed: what one of them changes is nothing to the next."""
    with new_database() as database, running(database) as called:
        yield Facts.made_by(called)
