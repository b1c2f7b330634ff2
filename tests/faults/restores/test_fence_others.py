"""What else is kept back while a database that was set back has not been dealt with."""

from tests.faults.restores.restorable import asked, narrow
from tests.faults.service import eventually
from tests.faults.words import question
from tests.support.api import subject

SEARCHES = ("/access/v1/search/subject", "/access/v1/search/action")


def _searched(service, path):
    answer = service.call("POST", path, question("alice", "ads-mail"))
    return answer.json() if answer.status_code == 200 else answer.json()["type"].rpartition(":")[2]


def test_searches_find_nobody_until_the_restore_is_dealt_with(deployment):
    """Neither who withdrew nor who was erased is listed; afterwards only those whose consent stands are."""
    with deployment.serving() as service:
        narrow(service)
    deployment.set_back()
    with deployment.serving() as service:
        assert asked(service, "alice") == "restored-behind"
        assert [_searched(service, path) for path in SEARCHES] == ["restored-behind"] * 2
        assert deployment.command("replay-journal")[0] == 0
        eventually(lambda: asked(service, "dora") is True)
        found = [each["id"] for each in _searched(service, SEARCHES[0])["results"]]
        assert subject("dora")["id"] in found
        assert not {subject(name)["id"] for name in ("alice", "bob", "carol")} & set(found)
