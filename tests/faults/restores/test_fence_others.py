"""What else is refused, or goes on, until an operator has dealt with a database that was set back."""

import json

import pytest

from tests.faults.restores.restorable import asked, narrow, withdraw
from tests.faults.service import eventually
from tests.faults.words import question
from tests.support.api import subject

pytestmark = pytest.mark.deep

SEARCHES = ("/access/v1/search/subject", "/access/v1/search/action")


def _searched(service, path):
    answer = service.call("POST", path, question("alice", "ads-mail"))
    return answer.json() if answer.status_code == 200 else answer.json()["type"].rpartition(":")[2]


def test_searches_find_nobody_until_the_restore_is_dealt_with(deployment):
    """Searches get 503 until the restore is dealt with, and then list only people whose consent is in force."""
    deployment.lose(narrow)
    with deployment.serving() as service:
        assert asked(service, "alice") == "restored-behind"
        assert [_searched(service, path) for path in SEARCHES] == ["restored-behind"] * 2
        deployment.replay(service)
        ids = [each["id"] for each in _searched(service, SEARCHES[0])["results"]]
        assert subject("dora")["id"] in ids
        assert not {subject(name)["id"] for name in ("alice", "bob", "carol")} & set(ids)


def test_the_command_line_permits_nothing_from_a_database_that_was_set_back(deployment):
    """`sceau evaluate` refuses a question of IV with a reason, and answers an exempt one, without an id of the log."""
    deployment.lose(withdraw)
    (file := deployment.place / "question.json").write_text(json.dumps(question("alice", "ads-mail")))
    output = deployment.command("evaluate", str(file), status=1)
    assert ("the database was set back" in output, "decision" in output) == (True, False), output
    file.write_text(json.dumps(question("alice", "filter")))
    answer, _ = json.JSONDecoder().raw_decode(deployment.command("evaluate", str(file)))
    assert (answer["decision"], "id" in answer["context"]) == (True, False)


@pytest.mark.parametrize("how", ["made anew", "restored over"])
def test_strict_mode_notices_that_the_database_was_exchanged(deployment, how):
    """In strict mode, a running service notices that its database was made anew or that a dump was restored over it."""
    dump = deployment.dump()
    with deployment.serving(SCEAU_CACHE="strict") as service:
        withdraw(service)
        assert asked(service, "alice") is False
        if how == "made anew":
            deployment.set_back()
            eventually(lambda: isinstance(asked(service, "alice", "filter"), bool))
        else:
            deployment.restore_over(dump)
        assert {asked(service, "alice") for _ in range(6)} == {"restored-behind"}


@pytest.mark.parametrize("cache", ["leased", "strict"])
def test_exempt_purposes_go_on_when_a_database_that_was_set_back_goes_away(deployment, cache):
    """Exempt purposes are answered during an outage, also while a restore has not been dealt with."""
    deployment.lose(withdraw)
    with deployment.serving(SCEAU_CACHE=cache) as service:
        assert asked(service, "alice") == "restored-behind"
        assert asked(service, "alice", "filter") is True
        with deployment.server.stopped():
            assert {asked(service, "alice", "filter") for _ in range(4)} == {True}
        eventually(lambda: asked(service, "alice") == "restored-behind")
        service.ok("PATCH", "/v1/processings/filter", {"status": "suspended"})
        try:
            assert asked(service, "alice", "filter") is False
        finally:
            service.ok("PATCH", "/v1/processings/filter", {"status": "active"})
