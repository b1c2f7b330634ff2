"""A running service whose database is exchanged records nothing that widens before it notices the exchange."""

import pytest

from tests.faults.restores.restorable import withdraw
from tests.faults.restores.test_revived_keys import SCOPES
from tests.faults.service import eventually
from tests.faults.words import decision

pytestmark = pytest.mark.deep

WRITES = {
    "grant": ("/v1/consents", decision("erin")),
    "key": ("/v1/keys", {"name": "again", "scopes": SCOPES}),
}


@pytest.mark.parametrize(("cache", "what"), [("strict", "grant"), ("leased", "grant"), ("strict", "key")])
def test_nothing_is_granted_before_the_restore_is_found(deployment, cache, what):
    """A grant or a new key by a key that the backup revived is never recorded, even as the first request."""
    path, body = WRITES[what]
    with deployment.serving(SCEAU_CACHE=cache) as service:
        leaver = service.ok("POST", "/v1/keys", {"name": "leaver", "scopes": SCOPES})
        deployment.back_up()
        eventually(lambda: service.call("DELETE", f"/v1/keys/{leaver['id']}").status_code == 204)
        withdraw(service)
        deployment.set_back()
        statuses = []

        def refused():
            answer = service.call("POST", path, body, leaver["key"])
            statuses.append(answer.status_code)
            return answer.status_code == 201 or answer.json()["type"].endswith("restored-behind")

        eventually(refused)
        assert 201 not in statuses
