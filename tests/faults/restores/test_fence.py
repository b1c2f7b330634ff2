"""A database that was set back permits nothing that was withdrawn since, until somebody has dealt with it."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.restores.restorable import asked, narrow
from tests.faults.service import eventually
from tests.faults.words import decision, withdrawal


def test_a_service_that_ran_meanwhile_knows_it_without_a_journal(deployment):
    """What its workers remember is enough: the database under them is exchanged, and they permit nothing."""
    nothing = {"SCEAU_STATE_DIRECTORY": ""}
    with deployment.serving(**nothing) as service:
        narrow(service)
        deployment.set_back()
        eventually(lambda: asked(service, "alice") == "restored-behind")
        assert asked(service, "alice", "filter") is True
        assert deployment.command("accept-restore", "--lost", "Withdrawals of an afternoon.")[0] == 0
        eventually(lambda: asked(service, "dora") is True)


def test_without_a_fence_it_permits_what_was_withdrawn(deployment):
    """Control: a new service that has no journal knows of nothing, and the test above would fail."""
    with deployment.serving() as service:
        narrow(service)
    deployment.set_back()
    with deployment.serving(SCEAU_STATE_DIRECTORY="") as service:
        assert asked(service, "alice") is True


def test_a_checkpoint_outside_knows_the_epoch(deployment, tmp_path):
    """The journal is lost; a checkpoint of the proof log that was kept elsewhere tells that the database went back."""
    (heads := tmp_path / "heads").mkdir()
    settings = {"SCEAU_STATE_DIRECTORY": str(heads)}
    with deployment.serving(**settings) as service:
        epoch = service.ok("POST", "/v1/proposals", {"kind": "restore", "lost": "Nothing: a drill."})["epoch"]
        service.ok("POST", "/v1/consents", decision("alice"))
    deployment.settings |= settings
    assert deployment.command("proof", "stamp")[0] == 0
    assert f"\nepoch {epoch}\n" in (heads / "checkpoint").read_text()
    for each in heads.glob("journal-*"):
        each.unlink()
    deployment.set_back()
    with deployment.serving() as service:
        assert asked(service, "alice") == "restored-behind"


@pytest.mark.deep
def test_it_stays_set_back_however_much_is_noted_after_that(deployment):
    """Two hundred later withdrawals do not push what is missing out of sight, for this process and for the next one.

    Each waits for a lease to end, for nothing can be confirmed meanwhile: so they are sent at the same time.
    """
    with deployment.serving() as service:
        narrow(service)
    deployment.set_back()
    for _ in range(2):
        with deployment.serving() as service:
            assert asked(service, "alice") == "restored-behind"
            with ThreadPoolExecutor(22) as sending:
                calls = [
                    sending.submit(service.ok, "POST", "/v1/withdrawals", withdrawal(f"other{number}"))
                    for number in range(110)
                ]
            assert all(call.result() for call in calls)
            assert asked(service, "alice") == "restored-behind"


def test_a_host_whose_journal_lacks_nothing_learns_it_from_another(deployment, tmp_path):
    """One process finds that the database was set back; another, which knows of nothing, answers no more either."""
    with deployment.serving() as service:
        narrow(service)
    deployment.set_back()
    (elsewhere := tmp_path / "elsewhere").mkdir()
    with deployment.serving(SCEAU_STATE_DIRECTORY=str(elsewhere)) as unaware:
        assert asked(unaware, "dora") is True
        with deployment.serving() as service:
            assert asked(service, "alice") == "restored-behind"
            eventually(lambda: asked(unaware, "alice") == "restored-behind")
