import pytest

from tests.support.api import running
from tests.support.commands import run_command
from tests.support.databases import rows


@pytest.fixture
def sceau(database):
    """Run `sceau signing-keys …` on a database of its own: its output, once it has succeeded."""

    def run(*words):
        status, refused, output = run_command(database, "signing-keys", *words)
        assert status == 0, refused
        return output

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
    acts = rows(database, "SELECT way, caller, thing_id FROM administrative_act WHERE act = 'signing_key.rotated'")
    assert acts == [("command", None, made)]


@pytest.mark.parametrize("what", ["decision-tokens", "log", "receipts", "webhooks"])
def test_a_key_that_leaked_ends_at_once(sceau, what):
    """With --at-once only the new key is in force, whichever kind of message it signs."""
    sceau("rotate", what)
    made = sceau("rotate", what, "--at-once").split(" ")[0]
    (listed,) = sceau("list", what).splitlines()
    assert listed.startswith(made)
    assert listed.endswith("the newest")
