"""A replay beside a running service is done once no process can permit what it has ended."""

import signal
from datetime import timedelta

import pytest

from tests.faults.restores.restorable import asked
from tests.faults.service import eventually
from tests.faults.words import decision, withdrawal

pytestmark = pytest.mark.deep

LEASE = timedelta(seconds=2)
_BETWEEN = """
    SELECT max(began_at) - (SELECT max(written_at) FROM outbox WHERE type LIKE '%withdrawn%') FROM deployment_epoch
"""


def test_a_replay_waits_for_a_process_that_stands_still(deployment):
    """A replay that ends a consent waits a lease's length for a frozen process that holds the consent in memory."""
    deployment.kept("/v1/consents", decision("rita"))
    with deployment.lost() as service:
        service.ok("POST", "/v1/withdrawals", withdrawal("rita"))
    with deployment.serving() as service:
        deployment.accept(service)
        eventually(lambda: asked(service, "rita") is True)
        service.process.send_signal(signal.SIGSTOP)
        try:
            output = deployment.command("replay-journal")
        finally:
            service.process.send_signal(signal.SIGCONT)
        assert "1 replayed" in output
        assert asked(service, "rita") is False
    with deployment.server.administrator() as admin:
        (between,) = admin.execute(_BETWEEN).fetchone()
    assert between >= LEASE
