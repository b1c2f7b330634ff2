"""A stranger learns nothing about how a request should look."""

import pytest

from app.api.http import security
from tests.faults.service import eventually
from tests.support.api import running
from tests.support.issuer import new_key

FIRST, BATCH = "/access/v1/evaluation", "/access/v1/evaluations"


@pytest.fixture(scope="module")
def shared(token_taking):
    """An application that takes the tokens of `provider`."""
    return token_taking


@pytest.mark.parametrize(
    ("method", "path"), [("POST", FIRST), ("POST", BATCH), ("POST", "/v1/consents"), ("PATCH", "/v1/processings/ads")]
)
@pytest.mark.parametrize("body", [b"{", b"[]", b"{}", b'{"subject": 1, "subject": 2}'])
def test_a_stranger_learns_nothing_of_a_malformed_body(shared, provider, method, path, body):
    """A stranger gets 401 for a malformed body; a caller gets what is wrong with it."""
    for stranger in (None, "sceau_" + "x" * 43, provider.token("stranger"), provider.token(key=new_key())):
        assert shared.with_key(stranger).call(method, path, body).status_code == 401
    assert shared.call(method, path, body).status_code in {400, 422}


def test_a_stranger_learns_nothing_of_media_types(shared):
    """Who is nobody gets 401 for a body that is not said to be JSON, too; a caller is told."""
    for path, told in ((FIRST, 400), ("/v1/consents", 415)):
        for key, status in (("sceau_" + "x" * 43, 401), (shared.key, told)):
            headers = {"Authorization": f"Bearer {key}", "Content-Type": "text/plain"}
            assert shared.client.post(path, content=b"{}", headers=headers).status_code == status


def test_what_is_wrong_with_a_request_costs_a_known_caller_no_look_up(database, monkeypatch):
    """Under a lease the caller is in memory; the control: without one each such request looks it up."""
    looked_up = []

    async def counted(services, database, presented):
        looked_up.append(presented)
        return await real(services, database, presented)

    def of_three(api):
        looked_up.clear()
        assert [api.call("POST", FIRST, b"{}").status_code for _ in range(3)] == [400] * 3
        return len(looked_up)

    real = security._authenticated
    monkeypatch.setattr(security, "_authenticated", counted)
    with running(database, cache="leased") as api:
        eventually(lambda: of_three(api) == 0)  # on a loaded machine the lease may just be lost
    with running(database, cache="strict") as api:
        assert of_three(api) == 3
