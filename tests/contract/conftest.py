from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.facts import ISSUER, Facts
from tests.support.api import UNLIMITED, running
from tests.support.databases import new_database

TOKENS: dict[str, Any] = {"oidc_issuer": ISSUER, "oidc_audience": "sceau"}


@pytest.fixture
def facts(database) -> Iterator[Facts]:
    """An application with a register, consents and keys, and their ids."""
    with running(database, **TOKENS) as called:
        yield Facts.made_by(called)


@pytest.fixture(scope="module")
def shared() -> Iterator[Facts]:
    """One for requests that need not succeed: what one of them changes is nothing to the next."""
    with new_database() as database, running(database, **TOKENS, **UNLIMITED) as called:
        yield Facts.made_by(called)
