"""A narrowing write is recorded in a database that was set back, with or beside anything else."""

import subprocess
import threading

import pytest

from app.db.embedded.binaries import find_binaries
from tests.faults.restores.restorable import asked, withdraw
from tests.faults.service import eventually
from tests.faults.words import decision, withdrawal
from tests.support.api import subject

pytestmark = pytest.mark.deep

ADULT = {"capacity": {"age_band": "adult", "given_by": "self"}}
MINOR = {"capacity": {"age_band": "minor_15_plus", "given_by": "self"}}
SET_BACK = "restored-behind"
_DEAD = "INSERT INTO replica (id, lease_ms, seen_at, about) VALUES (gen_random_uuid(), 2000, now(), 'another host')"


def test_it_is_recorded_with_an_age_that_is_told_beside(deployment):
    """Refusals and withdrawals with an age, a child's age and the end of a link are recorded without an operator."""
    with deployment.lost() as service:
        service.ok("POST", "/v1/consents", {**decision("mila", "refused"), **MINOR})
        names = {"from": subject("mila"), "to": subject("milla")}
        service.ok("POST", "/v1/subjects/links", {**names, "basis": "provider_account"})
        deployment.back_up()
        eventually(lambda: service.call("POST", "/v1/withdrawals", withdrawal("alice")).status_code == 200)
    child = {"age_band": "under_15", "stated_by": "operator", "checked_how": "account_data"}
    with deployment.serving() as service:
        eventually(lambda: asked(service, "alice") == SET_BACK)
        service.ok("POST", "/v1/withdrawals", {**withdrawal("dora"), **ADULT})
        service.ok("POST", "/v1/withdrawals", {**withdrawal("carol"), **MINOR})
        service.ok("POST", "/v1/consents", {**decision("bob", "refused"), **MINOR})
        service.ok("POST", "/v1/subjects/ages", {"subject": subject("alice"), **child})
        service.ok("POST", "/v1/subjects/links", {**names, "linked": False})


def test_it_is_recorded_beside_a_grant(deployment):
    """In the first batch after the database was exchanged, the grant is a 503 and forty refusals are recorded."""
    with deployment.server.administrator() as admin:
        admin.execute(_DEAD)  # each confirmation waits a lease for it: they must have one together
    deployment.back_up()
    with deployment.serving(SCEAU_CACHE="strict") as service:
        withdraw(service)
        items = [decision("erin"), *[decision(f"one{number}", "refused") for number in range(40)]]
        deployment.set_back()
        statuses: list[int] = []

        def answered():
            answer = service.call("POST", "/v1/consents/batch", {"items": items})
            statuses[:] = [each["status"] for each in answer.json()["items"]] if answer.status_code == 200 else []
            return statuses

        eventually(answered)
        assert statuses == [503, *[201] * 40]


def test_nothing_is_permitted_while_a_dump_is_restored_in_one_transaction(deployment):
    """In strict mode, no question gets a permit while a dump is restored in one transaction, or after it."""
    url, plain = deployment.server.embedded.url(role="postgres", database="sceau"), deployment.place / "dump.sql"
    programs = find_binaries()
    subprocess.run([programs / "pg_dump", f"--file={plain}", url], check=True)
    anew = ("-c", "DROP SCHEMA public CASCADE", "-c", "CREATE SCHEMA public", "-f", plain)
    line = [programs / "psql", "-1", "-q", "-v", "ON_ERROR_STOP=1", "-d", url, *anew]
    with deployment.serving(SCEAU_CACHE="strict") as service:
        withdraw(service)
        answers = [asked(service, "alice")]
        done: list[int] = []

        def restore():
            while not done or done[-1] != 0:  # what the service holds may deadlock with it
                done.append(subprocess.run(line, check=False, capture_output=True).returncode)

        restoring = threading.Thread(target=restore)
        restoring.start()
        while restoring.is_alive():
            answers.append(asked(service, "alice"))
        answers += [asked(service, "alice") for _ in range(5)]
        assert True not in answers, answers
        eventually(lambda: asked(service, "alice") == SET_BACK)
