"""A process notices the loss of notes that another host wrote, or that it wrote long before it looks."""

import json

import pytest

from tests.faults.restores.restorable import asked, withdraw
from tests.faults.service import eventually
from tests.faults.words import withdrawal

pytestmark = pytest.mark.deep

SET_BACK = "restored-behind"


def has_seen_all(journal, deployment):
    """Whether a host has seen the latest note that the database holds."""
    path = journal / "seen.json"
    with deployment.server.administrator() as admin:
        latest = admin.execute("SELECT id FROM journal_note ORDER BY number DESC LIMIT 1").fetchone()[0]
    return path.exists() and str(latest) in json.loads(path.read_text())["ids"]


@pytest.mark.parametrize("cache", ["leased", "strict"])
def test_a_host_that_saw_what_another_noted_notices_its_loss(deployment, elsewhere, cache):
    """A host that saw another host's note notices its loss and answers 503, and so does its next start."""
    of_the_second = {"SCEAU_STATE_DIRECTORY": str(elsewhere), "SCEAU_CACHE": cache}
    with deployment.serving(**of_the_second) as second:
        with deployment.serving(SCEAU_CACHE=cache) as first:
            withdraw(first)
            eventually(lambda: has_seen_all(elsewhere, deployment))
        deployment.set_back()
        eventually(lambda: asked(second, "dora") == SET_BACK)
        assert asked(second, "alice") == SET_BACK
    with deployment.serving(**of_the_second) as again:
        eventually(lambda: asked(again, "alice") == SET_BACK)


def test_a_host_that_nobody_asks_tells_the_others(deployment, elsewhere):
    """A host in strict mode that gets no questions notices that the database was set back, and tells another host."""
    with deployment.serving(SCEAU_CACHE="strict") as first:
        withdraw(first)
        deployment.set_back()
        with deployment.serving(SCEAU_STATE_DIRECTORY=str(elsewhere)) as unaware:
            # Within the half minute after which it would read by itself what exempt purposes need.
            assert eventually(lambda: asked(unaware, "alice") == SET_BACK, 15)


def test_what_no_journal_notes_is_said_to_be_lost(deployment, elsewhere):
    """A replay without a lost host's journal says how many notes it lacks, and begins no epoch."""
    with deployment.serving(SCEAU_STATE_DIRECTORY=str(elsewhere)), deployment.serving() as first:
        withdraw(first)
        eventually(lambda: has_seen_all(elsewhere, deployment))
    deployment.set_back()
    assert "A host saw 1 note in the database" in deployment.command("replay-journal", str(elsewhere), status=1)
    assert "has begun" in deployment.command("replay-journal", str(elsewhere), str(deployment.journal))


@pytest.mark.parametrize("cache", ["leased", "strict"])
def test_many_notes_before_the_first_look_hide_no_loss(deployment, cache):
    """Three hundred notes made before the first question do not hide that the database was set back."""
    with deployment.serving(SCEAU_CACHE=cache) as service:
        withdraw(service)
        deployment.set_back()
        items = [withdrawal(f"other{number}") for number in range(300)]

        def sent():
            answer = service.call("POST", "/v1/withdrawals/batch", {"items": items})
            return answer.status_code == 200 and all(each["status"] == 200 for each in answer.json()["items"])

        eventually(sent)
        answers = [asked(service, "alice") for _ in range(20)]
        assert True not in answers
        eventually(lambda: asked(service, "alice") == SET_BACK)


def test_a_watch_that_fails_goes_on(deployment, elsewhere):
    """Two hosts notice that a dump was restored over their database, although its tables were missing for a while."""
    dump = deployment.dump()
    with deployment.serving(SCEAU_STATE_DIRECTORY=str(elsewhere)) as second, deployment.serving() as first:
        withdraw(first)
        assert asked(second, "alice") is False
        deployment.restore_over(dump, seconds=2)  # each looks every second
        eventually(lambda: {asked(first, "alice"), asked(second, "alice")} == {SET_BACK})
        assert {asked(first, "alice"), asked(second, "alice")} == {SET_BACK}
