"""Who is nobody learns nothing about how a request should look."""

import pytest

from tests.support.api import running
from tests.support.databases import new_database
from tests.support.issuer import issuing, new_key

FIRST, BATCH = "/access/v1/evaluation", "/access/v1/evaluations"


@pytest.fixture(scope="module")
def provider():
    """One provider for the tests that do not change it for good."""
    with issuing() as made:
        yield made


@pytest.fixture(scope="module")
def shared(provider):
    """An application that takes its tokens."""
    with new_database() as database, running(database, **provider.settings) as called:
        called.register("filter", purpose="sorting")
        called.register("ads")
        yield called


@pytest.mark.parametrize(
    ("method", "path"), [("POST", FIRST), ("POST", BATCH), ("POST", "/v1/consents"), ("PATCH", "/v1/processings/ads")]
)
@pytest.mark.parametrize("body", [b"{", b"[]", b"{}", b'{"subject": 1, "subject": 2}'])
def test_a_stranger_learns_nothing_of_a_malformed_body(shared, provider, method, path, body):
    """Who is nobody gets 401 whatever the body is like; a caller is told what is wrong with it."""
    for stranger in (None, "sceau_" + "x" * 43, provider.token("stranger"), provider.token(key=new_key())):
        assert shared.with_key(stranger).call(method, path, body).status_code == 401
    assert shared.call(method, path, body).status_code in {400, 422}


def test_a_stranger_learns_nothing_of_media_types(shared):
    """Who is nobody gets 401 for a body that is not said to be JSON, too; a caller is told."""
    for path, told in ((FIRST, 400), ("/v1/consents", 415)):
        for key, status in (("sceau_" + "x" * 43, 401), (shared.key, told)):
            headers = {"Authorization": f"Bearer {key}", "Content-Type": "text/plain"}
            assert shared.client.post(path, content=b"{}", headers=headers).status_code == status
