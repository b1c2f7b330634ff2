"""`--json` of the commands that list or show something, and what they list by default."""

import json

import pytest

from tests.support.api import MASTER_KEY, PSEUDONYM_KEY, running
from tests.support.commands import run_bare


@pytest.fixture
def sceau(database):
    """Run a command on a database that a service has used: status, standard error, standard output."""
    with running(database):
        pass
    settings = {
        "SCEAU_DATABASE_URL": database.app_url,
        "SCEAU_DATABASE_OWNER_URL": database.owner_url,
        "SCEAU_PSEUDONYM_KEY": PSEUDONYM_KEY,
        "SCEAU_MASTER_KEY": MASTER_KEY,
        "SCEAU_DURABILITY": "local",
    }
    return lambda *words: run_bare(settings, *words)


def told(sceau, *words):
    """What a command prints as JSON."""
    status, error, output = sceau(*words, "--json")
    assert status == 0, error
    return json.loads(output)


def test_keys_are_listed_with_what_ended_only_when_asked(sceau):
    """A revoked caller is left out, and is there with --all; so is a revoked key of a caller in force."""
    _, errors, _ = sceau("keys", "create", "gone", "--scope", "register:read")
    gone = errors.split(";")[0].removeprefix("id ")
    _, errors, _ = sceau("keys", "create", "kept", "--scope", "register:read")
    kept = errors.split(";")[0].removeprefix("id ")
    sceau("keys", "revoke", gone)
    sceau("keys", "rotate", kept, "--compromised")
    shown = {each["name"]: each for each in told(sceau, "keys", "list")}
    assert (set(shown), len(shown["kept"]["keys"])) == ({"bootstrap", "kept"}, 1)
    every = {each["name"]: each for each in told(sceau, "keys", "list", "--all")}
    assert (set(every), len(every["kept"]["keys"])) == ({"bootstrap", "gone", "kept"}, 2)
    assert every["gone"]["revoked_at"] is not None
    assert "gone" not in sceau("keys", "list")[2]
    assert "gone" in sceau("keys", "list", "--all")[2]


@pytest.mark.parametrize(
    ("words", "members"),
    [
        (["limits", "show"], {"log_floor_days", "clock_tolerance_seconds"}),
        (["retention", "show"], {"rules", "holds"}),
        (["restore-check", "DIRECTORY"], {"epoch", "known_epoch", "notes", "missing", "set_back"}),
        (["rebuild-projection", "--check"], {"subjects", "differing", "repaired"}),
        (["status"], {"version", "schema", "mode", "replicas", "jobs", "log", "journal", "epoch"}),
    ],
)
def test_what_is_shown_is_one_object(sceau, tmp_path, words, members):
    """Each has the members that its lines for a person tell."""
    directory = str(tmp_path)
    assert told(sceau, *(directory if each == "DIRECTORY" else each for each in words)).keys() == members


@pytest.mark.parametrize(
    "words", [["identities", "list"], ["signing-keys", "list", "decision-tokens"], ["proof", "key"]]
)
def test_what_is_listed_is_one_list(sceau, words):
    """A list, empty where there is nothing."""
    assert isinstance(told(sceau, *words), list)


def test_an_id_that_nothing_has_is_named(sceau):
    """The line says which id, and which command lists the right ones."""
    identifier = "01a21d1e-0000-7000-8000-000000000000"
    status, error, _ = sceau("keys", "revoke", identifier)
    assert (status, identifier in error, "sceau keys list --all" in error) == (1, True, True)
    status, error, _ = sceau("retention", "release", identifier)
    assert (status, identifier in error, "sceau consents retention show" in error) == (1, True, True)


def test_status_for_a_person_tells_version_schema_and_epoch(sceau):
    """Lines without --json."""
    _, _, output = sceau("status")
    assert "schema 0" in output
    assert "epoch 1" in output
