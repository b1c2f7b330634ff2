"""Import rows that are sent again are answered only once their first recording is confirmed and noted."""

import time
from datetime import UTC, datetime

import pytest

from tests.faults.restores.restorable import asked
from tests.faults.service import eventually
from tests.support.consents import notice_of, proof, written
from tests.support.imports import row

pytestmark = pytest.mark.deep

UNTIL = written(datetime.now(UTC))


def _row(name, kind="withdrawn", **more):
    """A decision that another system had."""
    return row(time.monotonic_ns(), name, kind, at=datetime.now(UTC), processing="ads-mail", **more)


def _send(service, *rows):
    return service.call("POST", "/v1/imports", {"import": "older", "until": UNTIL, "rows": list(rows)})


@pytest.mark.parametrize("others", [[], ["dora"]], ids=["alone", "beside a new grant"])
def test_rows_that_are_sent_again_are_not_answered_while_nothing_can_be_noted(deployment, others):
    """While the journal's directory is missing, an imported withdrawal is a 503 each time that it is sent."""
    with deployment.serving() as service:
        eventually(lambda: asked(service, "dora") is True)  # the database was looked at, with the journal there
        row = _row("alice")
        again = [row, *(_row(each, "granted", evidence=proof(notice_of("ads-mail"))) for each in others)]
        with deployment.unmounted():
            assert [_send(service, row).status_code, _send(service, *again).status_code] == [503, 503]
        answer = _send(service, *again)
        assert (answer.status_code, answer.json()["unchanged"]) == (200, len(again))


def test_rows_that_are_sent_again_are_confirmed_like_the_first_time(deployment):
    """A repeated row waits for a silent process's lease to end, as the first sending does."""
    dead = "INSERT INTO replica (id, lease_ms, seen_at, about) VALUES (gen_random_uuid(), 2000, clock_timestamp(), '')"
    with deployment.serving() as service:
        row = _row("alice")
        for _ in range(2):
            with deployment.server.administrator() as admin:
                admin.execute(dead)
            begun = time.monotonic()
            assert _send(service, row).status_code == 200
            assert time.monotonic() - begun > 1
