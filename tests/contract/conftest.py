from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from tests.contract.facts import ISSUER, Facts
from tests.faults.service import eventually
from tests.support.api import UNLIMITED, running
from tests.support.databases import TestDatabase, new_database

TOKENS: dict[str, Any] = {"oidc_issuer": ISSUER, "oidc_audience": "sceau"}


@pytest.fixture(scope="module")
def prepared() -> Iterator[tuple[TestDatabase, Facts]]:
    """A database with a register, consents and keys, and their ids: made once, and copied by whoever needs one."""
    with new_database() as database:
        with running(database, **TOKENS) as called:
            made = Facts.made_by(called)
        yield database, made


@contextmanager
def _copied(prepared: tuple[TestDatabase, Facts], **settings: Any) -> Iterator[Facts]:
    source, made = prepared
    with new_database(template=source.name) as database, running(database, **TOKENS, **settings) as called:
        application: Any = called.client.app
        pool = application.state.services.memory.replica.pool._pool
        # While it connects it draws from `random`, which Hypothesis would take for the strategies' doing.
        eventually(lambda: pool.get_stats()["pool_available"] >= 1)
        yield replace(made, api=called)


@pytest.fixture(scope="module")
def read(prepared) -> Iterator[Facts]:
    """One for operations that change nothing."""
    with _copied(prepared, **UNLIMITED) as copied:
        yield copied


ASKED = ("/search", "/search/subject", "/search/action", "/evaluation", "/evaluations", "/explanations", "/exports")
"""How paths end whose POST changes nothing that another request needs."""
RECORDED = ("/v1/consents", "/v1/consents/batch", "/v1/withdrawals", "/v1/withdrawals/batch")
ADDED = (
    "/v1/processings",
    "/v1/processings/{id}/versions",
    "/v1/imports",
    "/v1/keys",
    "/v1/signing-keys",
    "/v1/subjects/ages",
    "/v1/webhooks",
    "/v1/webhooks/{id}/replays",
    "/v1/staff/members",
    "/v1/staff/notices",
    "/v1/proposals",
    "/v1/acknowledgements",
)
"""To which a POST adds what no other request is refused for."""


@pytest.fixture
def facts(prepared, request, operation) -> Iterator[Facts]:
    """An application on a copy of its own, where the operation may take away what another one needs."""
    method = operation.method.upper()
    if method == "GET" or (method == "POST" and operation.path.endswith(ASKED)):
        yield request.getfixturevalue("read")
        return
    if method == "POST" and operation.path in (*RECORDED, *ADDED):
        yield request.getfixturevalue("shared")
        return
    with _copied(prepared) as copied:
        yield copied


@pytest.fixture(scope="module")
def shared(prepared) -> Iterator[Facts]:
    """One for requests that need not succeed: what one of them changes is nothing to the next."""
    with _copied(prepared, **UNLIMITED) as copied:
        yield copied
