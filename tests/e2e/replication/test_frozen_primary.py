"""A primary that freezes, is replaced and thaws: nothing is permitted on what only it still believes."""

from concurrent.futures import ThreadPoolExecutor

from tests.faults.service import eventually
from tests.faults.words import ADS, decision, question, withdrawal

USERS = [f"user{number}" for number in range(40)]


def _leased(service):
    answer = service.call("GET", "/readyz")
    return answer.status_code == 200 and answer.json()["leased"]


def _permitted(service):
    """Who is permitted; everybody is answered in the end, and nobody twice."""

    def answer(user):
        return eventually(lambda: _answered(service.call("POST", "/access/v1/evaluation", question(user, "ads-mail"))))

    return [user for user in USERS if answer(user)["decision"]]


def _answered(answer):
    return answer.json() if answer.status_code == 200 else None


def _withdraw(service, user):
    return eventually(lambda: service.call("POST", "/v1/withdrawals", withdrawal(user)).status_code == 200)


def _replace(nodes, decides, writes):
    """Freeze the primary, promote its standby, have everybody withdraw there, and let the old primary go on."""
    primary, standby = nodes
    writes.ok("POST", "/v1/processings", ADS)
    for user in USERS:
        writes.ok("POST", "/v1/consents", decision(user))
    assert _permitted(writes) == USERS
    eventually(lambda: _leased(decides))
    for user in ("somebody", "anybody"):  # opens connections of every pool to the primary
        decides.call("POST", "/access/v1/evaluation", question(user, "ads-mail"))
    primary.freeze()
    standby.promote()
    eventually(lambda: _leased(decides) and _leased(writes))
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda user: _withdraw(writes, user), USERS))
    primary.thaw()


def test_a_primary_that_was_frozen_and_thaws_permits_nothing(nodes, serve):
    """Connections to it outlive the freeze; what it says of users who withdrew is neither kept nor believed."""
    decides = serve()
    _replace(nodes, decides, serve())
    assert _permitted(decides) == []
    assert _permitted(decides) == []


def test_whoever_believes_any_server_permits(nodes, serve):
    """Control: a service that does not look which server answers permits those who withdrew, and goes on to."""
    decides = serve(without="any server")
    _replace(nodes, decides, serve())
    permitted = _permitted(decides)
    assert permitted
    assert set(permitted) <= set(_permitted(decides))
