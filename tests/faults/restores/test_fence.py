"""A database that was set back permits nothing until an operator has dealt with the restore."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.restores.restorable import asked, narrow
from tests.faults.service import eventually
from tests.faults.words import decision, withdrawal


def test_a_service_that_ran_meanwhile_knows_it_without_a_journal(deployment):
    """A service without a journal whose database is exchanged while it runs notices that, and permits nothing."""
    nothing = {"SCEAU_STATE_DIRECTORY": ""}
    with deployment.serving(**nothing) as service:
        narrow(service)
        deployment.set_back()
        eventually(lambda: asked(service, "alice") == "restored-behind")
        assert asked(service, "alice", "filter") is True
        deployment.command("accept-restore", "--lost", "Withdrawals of an afternoon.")
        eventually(lambda: asked(service, "dora") is True)


def test_without_a_fence_it_permits_what_was_withdrawn(deployment):
    """Control: a new service without a journal does not notice, and permits what was withdrawn."""
    deployment.lose(narrow)
    with deployment.serving(SCEAU_STATE_DIRECTORY="") as service:
        assert asked(service, "alice") is True


def test_a_checkpoint_outside_knows_the_epoch(deployment, tmp_path):
    """Without its journal, a service learns from a checkpoint kept outside that the database was set back."""
    (heads := tmp_path / "heads").mkdir()
    settings = {"SCEAU_STATE_DIRECTORY": str(heads)}
    with deployment.serving(**settings) as service:
        epoch = service.ok("POST", "/v1/proposals", {"kind": "restore", "lost": "Nothing: a drill."})["epoch"]
        service.ok("POST", "/v1/consents", decision("alice"))
    deployment.settings |= settings
    deployment.command("proof", "stamp")
    assert f"\nepoch {epoch}\n" in (heads / "checkpoint").read_text()
    for each in heads.glob("journal-*"):
        each.unlink()
    deployment.set_back()
    with deployment.serving() as service:
        assert asked(service, "alice") == "restored-behind"


@pytest.mark.deep
def test_it_stays_set_back_however_much_is_noted_after_that(deployment):
    """A missing note is still noticed after two hundred later withdrawals, by this process and by the next one.

    The withdrawals are sent at once, because each has to wait for a lease to end.
    """
    deployment.lose(narrow)
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


def test_a_host_whose_journal_lacks_nothing_learns_it_from_another(deployment, elsewhere):
    """When one process finds that the database was set back, another process without the notes stops permitting too."""
    deployment.lose(narrow)
    with deployment.serving(SCEAU_STATE_DIRECTORY=str(elsewhere)) as unaware:
        assert asked(unaware, "dora") is True
        with deployment.serving() as service:
            assert asked(service, "alice") == "restored-behind"
            eventually(lambda: asked(unaware, "alice") == "restored-behind")
