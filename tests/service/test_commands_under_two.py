"""No command is a way round the gate: each only reads, only narrows, or waits for a second person where two decide."""

import psycopg
import pytest
import typer

from app.cli import app
from app.operations.service.check_deployment import DeploymentRefusedError
from tests.command_line.test_help import commands
from tests.faults.service import eventually
from tests.support.api import question, running
from tests.support.commands import run_command
from tests.support.databases import new_database
from tests.support.exports import key_of, restored
from tests.support.two_persons import answer, person

READS = "it records nothing that decides"
SERVES = "it runs the service, behind whose API the gate is"
ASKS = "it asks a running service, with a key: the API's gate holds"
KEYS = "it makes, narrows or ends callers; who made a key may stand behind it, and at the machine nobody proposes"
WAITS = "with two persons deciding it waits, as the tests below and those of retention show"
WHAT = {
    "doctor": READS,
    "doctor status": READS,
    "doctor settings": READS,
    "register plan": READS,
    "register apply": ASKS,
    "log watch": ASKS,
    "people link": ASKS,
    "consents evaluate": READS,
    "consents import": ASKS,
    "recovery export": "it enters what was recorded in the log, and reads the rest",
    "recovery restore": WAITS,
    "recovery check": READS,
    "recovery replay": WAITS,
    "recovery accept": WAITS,
    "report": READS,
    "doctor probe": ASKS,
    "people export": READS,
    "register export": READS,
    "keys create": KEYS,
    "keys list": READS,
    "keys change": KEYS,
    "keys rotate": KEYS,
    "keys revoke": KEYS,
    "keys identities register": KEYS,
    "keys identities list": READS,
    "keys identities issuers": READS,
    "log limits show": READS,
    "log limits set": "the owner of the database keeps the decision log for longer or shorter: it decides nothing",
    "consents retention show": READS,
    "consents retention sign": WAITS,
    "consents retention hold": "it keeps proof for longer",
    "consents retention release": "it ends a hold; what is destroyed then is past its period",
    "consents retention run": "it destroys what is past its signed period",
    "keys signing list": READS,
    "keys signing rotate": "another key signs answers: it decides nothing",
    "log export": READS,
    "proof key": READS,
    "proof bundle": READS,
    "proof verify": READS,
    "proof watch": READS,
    "proof replay": READS,
    "proof stamp": READS,
    "test": READS,
    "consents rebuild": "it computes again, from the events, what follows from them",
    "serve": SERVES,
    "migrate": "it brings the schema to this version",
}


def test_every_command_is_told_of():
    """A command that is added says here why it is no way round the gate."""
    assert set(commands(typer.main.get_command(app))) == set(WHAT)


def _new_key(database, name):
    """An export holds no key: at the machine its callers are given new ones."""
    with psycopg.connect(database.owner_url) as connection:
        (caller,) = connection.execute("SELECT id FROM caller WHERE name = %s", (name,)).fetchone() or ("",)
    return run_command(database, "keys", "rotate", caller)[2].split()[-1]


def test_no_process_goes_back_to_one(database):
    """Once a process said that two decide, another that says `one` does not start; one that says `two` does."""
    for approval in ("one", "two", "two"):
        with running(database, register_approval=approval) as api:
            assert api.call("GET", "/v1/keys").is_success
    with pytest.raises(DeploymentRefusedError, match="SCEAU_REGISTER_APPROVAL is one"), running(database):
        pass


@pytest.mark.parametrize("approval", ["one", "two"])
def test_a_restored_export_answers_once_two_have_accepted_it(database, tmp_path, approval):
    """Where two persons decide, a restored consent permits nothing until a second one approved the restore."""
    file = tmp_path / "all.ndjson"
    with running(database) as api:
        api.register("ads")
        api.register("spam", purpose="malware_detection")
        api.decide("alice", "ads")
        for name in ("Ada", "Bob"):
            person(api, name, "register:approve", "deployment:recover")
    assert run_command(database, "export", file)[0] == 0
    with new_database() as empty:
        done = restored(empty, file, key_of(database), register_approval=approval)
        assert done[0] == 0, done
        with running(empty, register_approval=approval) as keyless:
            api = keyless.with_key(_new_key(empty, "bootstrap"))
            assert api.evaluate("alice", "spam")["decision"] is True
            asked = api.call("POST", "/access/v1/evaluation", question("alice", "ads"))
            if approval == "one":
                assert asked.json()["decision"] is True
                return
            assert asked.status_code == 503
            ada, bob = (api.with_key(_new_key(empty, name)) for name in ("Ada", "Bob"))
            waits = ada.call("POST", "/v1/proposals", {"kind": "restore", "lost": "Nothing: it is an export."})
            assert waits.status_code == 202, waits.text
            assert api.call("POST", "/access/v1/evaluation", question("alice", "ads")).status_code == 503
            answer(bob, waits.json()["id"]).raise_for_status()
            eventually(lambda: api.call("POST", "/access/v1/evaluation", question("alice", "ads")).status_code == 200)
            assert api.evaluate("alice", "ads")["decision"] is True
