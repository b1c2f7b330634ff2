"""A key that was revoked, and which of two keys counts."""

import os

from typer.testing import CliRunner

from app.cli import app as command
from tests.support.api import question, running


def holder(api):
    """A processing, a subject who consents to it, and a key that asks: its id and itself."""
    api.agreed("ads", "alice")
    made = api.ok("POST", "/v1/keys", {"name": "test", "scopes": ["decisions:evaluate"]})
    return made["id"], made["key"]


def test_the_command_revokes_before_it_says_so(database, monkeypatch):
    """When `sceau keys revoke` returns, a running service that knew the key refuses it."""
    for name in [name for name in os.environ if name.startswith("SCEAU_")]:
        monkeypatch.delenv(name)  # the suite's own, which are no settings
    monkeypatch.setenv("SCEAU_DATABASE_URL", database.app_url)
    monkeypatch.setenv("SCEAU_DURABILITY", "local")
    with running(database, lease="PT10S") as api:
        identifier, key = holder(api)
        assert api.with_key(key).evaluate("alice", "ads")["decision"]
        assert CliRunner().invoke(command, ["keys", "revoke", identifier]).exit_code == 0
        assert api.with_key(key).call("POST", "/access/v1/evaluation", question("alice", "ads")).status_code == 401


def test_the_first_of_two_keys_counts(database):
    """Of two Authorization headers, both evaluation endpoints take the first."""
    with running(database) as api:
        _, key = holder(api)
        both = [("Authorization", f"Bearer {key}"), ("Authorization", "Bearer sceau_unknown")]
        for headers, status in ((both, 200), (both[::-1], 401)):
            for path in ("/access/v1/evaluation", "/access/v1/evaluations"):
                sent = [*headers, ("Content-Type", "application/json")]
                answer = api.client.post(path, json=question("alice", "ads"), headers=sent)
                assert answer.status_code == status
