"""How Synapse starts with the module: in which process it acts, what a wrong configuration says, whom it trusts."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.chat.homeserver import homeserver, module_settings, refused_start
from tests.e2e.chat.register import ADS
from tests.e2e.chat.tls import in_front_of, make_authority


def test_a_process_that_is_not_named_asks_nothing(folder, python, wire, tmp_path):
    """Where `worker` names another process, this one delivers and leaves asking to that one."""
    module = module_settings(folder, wire.address)
    module["config"]["worker"] = "analyst"
    (tmp_path / "word_counts.py").write_text((folder / "word_counts.py").read_text())
    with homeserver(tmp_path, python, module) as server:
        eve, mark = server.register("eve"), len(wire.heard)
        room = eve.create_room()
        eve.receives(eve.send(room, "to myself"))
        assert server.outcomes(ADS) == {}
        assert "another process asks Sceau: analyst" in server.log.read_text()
    assert wire.since(mark) == []


def test_a_wrong_configuration_ends_the_start_with_a_line_that_says_why(folder, python, tmp_path):
    """A key that cannot be read is named as such."""
    module = module_settings(folder, "http://127.0.0.1:1")
    module["config"]["key_file"] = str(tmp_path / "none")
    (tmp_path / "word_counts.py").write_text((folder / "word_counts.py").read_text())
    refusal = refused_start(tmp_path, python, module)
    assert "sceau: key_file is no path of a file that can be read: FileNotFoundError" in refusal


@pytest.mark.parametrize("trusted", [True, False], ids=["trusted", "unknown"])
def test_over_tls_only_a_trusted_sceau_is_asked(python, wire, tmp_path, trusted):
    """With its authority named it answers with a status; without, nothing reaches it."""
    authority, mark = make_authority(tmp_path), len(wire.heard)
    variables = {"SSL_CERT_FILE": str(authority)} if trusted else {}
    with in_front_of(wire.port, authority) as port:
        line = [python, Path(__file__).with_name("ask_once.py"), f"https://127.0.0.1:{port}/access/v1/evaluations"]
        done = subprocess.run(line, env={**os.environ, **variables}, capture_output=True, text=True, check=True)
    assert done.stdout.strip().isdigit() is trusted
    assert len(wire.since(mark)) == trusted
