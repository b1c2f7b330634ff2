import os

import psycopg
import pytest
from typer.testing import CliRunner

from app.cli import app as command
from tests.support.api import MASTER_KEY, PSEUDONYM_KEY, running


@pytest.fixture
def sceau(database, monkeypatch):
    """Run `sceau signing-keys …` on a database of its own: its output, once it has succeeded."""
    for name in [name for name in os.environ if name.startswith("SCEAU_")]:
        monkeypatch.delenv(name)  # the suite's own, which are no settings
    for name, value in (
        ("DATABASE_URL", database.app_url),
        ("DURABILITY", "local"),
        ("PSEUDONYM_KEY", PSEUDONYM_KEY),
        ("MASTER_KEY", MASTER_KEY),
    ):
        monkeypatch.setenv(f"SCEAU_{name}", value)

    def run(*words):
        done = CliRunner().invoke(command, ["signing-keys", *words])
        assert done.exit_code == 0, done.stderr
        return done.stdout

    return run


def test_a_key_of_tokens_is_rotated_at_the_machine(sceau, database):
    """The new key is listed before the old one and published by the service; the trail names it, done by a command."""
    with running(database):
        pass
    (first,) = sceau("list", "decision-tokens").splitlines()
    assert first.endswith("the newest")
    made = sceau("rotate", "decision-tokens").split(" ")[0]
    newest, before = sceau("list", "decision-tokens").splitlines()
    assert (newest.split(" ")[0], before.split(" ")[0]) == (made, first.split(" ")[0])
    assert "  until 2" in before
    with running(database) as api:
        published = [key["kid"] for key in api.ok("GET", "/.well-known/jwks.json")["keys"]]
    assert published == [made, first.split(" ")[0]]
    with psycopg.connect(database.owner_url) as connection:
        acts = connection.execute(
            "SELECT way, caller, thing_id FROM administrative_act WHERE act = 'signing_key.rotated'"
        ).fetchall()
    assert acts == [("command", None, made)]


@pytest.mark.parametrize("what", ["decision-tokens", "log", "receipts", "webhooks"])
def test_a_key_that_leaked_ends_at_once(sceau, what):
    """With --at-once only the new key is in force, whichever kind of message it signs."""
    sceau("rotate", what)
    made = sceau("rotate", what, "--at-once").split(" ")[0]
    (listed,) = sceau("list", what).splitlines()
    assert listed.startswith(made)
    assert listed.endswith("the newest")
