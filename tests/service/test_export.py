"""`sceau export` and `sceau restore`: an empty deployment gives the same decisions, and nothing is taken half."""

import gzip
import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.cli.data_directory import _make_keys
from app.cli.output import written_whole
from app.db.transfer import TABLES
from app.journal.files import KeptHeads
from app.proof.notes import Signer, signed_checkpoint
from app.proof.verifier.notes import Checkpoint
from tests.support.api import running, subject
from tests.support.commands import run_command
from tests.support.consent_page import Person, link
from tests.support.databases import new_database
from tests.support.exports import key_of, restored
from tests.support.imports import imported, row
from tests.support.invalidations import invalidate
from tests.support.staff import publish

NAMES = ("alice", "bob", "carol", "dave", "erin", "reception", "yves", "ali", "nobody")
PROCESSINGS = ("ads", "stats", "filter", "nowhere")
NUMBERED = {"journal_note": "number", "proof_queue": "n"}
CARRIED = [each for each in (*TABLES, "proof_tile") if each != "proof_queue"]


def live(api):
    """A deployment in which everything has happened once."""
    api.register("ads")
    api.register("stats", purpose="statistics")
    api.register("filter", purpose="malware_detection")
    api.register("struck", purpose="statistics")
    assert invalidate(api, "struck").is_success
    api.ok("PATCH", "/v1/processings/stats", {"status": "suspended"})
    for name, processing in product(NAMES[:-1], ("ads", "stats")):
        if processing == "ads":
            api.decide(name, processing)
    api.withdraw("bob", "ads")
    api.decide("carol", "ads", "refused")
    api.ok("POST", "/v1/subjects/closures", {"subject": subject("dave")})
    api.ok("POST", "/v1/subjects/erasures", {"subject": subject("erin")})
    api.ok("POST", "/v1/subjects/mailboxes", {"subject": subject("reception"), "shared": True})
    api.ok("POST", "/v1/subjects/links", {"from": subject("alice"), "to": subject("ali"), "basis": "user_proved"})
    age = {"age_band": "minor_15_plus", "stated_by": "operator", "checked_how": "account_data"}
    api.ok("POST", "/v1/subjects/ages", {"subject": subject("yves"), **age})
    imported(api, row(1, "frank"), row(2, "alice", "withdrawn"))
    api.ok("PATCH", "/v1/processings/stats", {"status": "active"})
    gina = Person(api, link(api, "gina", "stats", by_person=True, request_reference="ticket-1"))
    assert gina.press("accept", "stats").status == 200
    publish(api)
    api.ok("POST", "/v1/staff/members", {"name": "Ada"})


def decisions(api):
    """What is answered of everybody and everything, but for the ids of the answers."""
    contents = {}
    for name, processing in product((*NAMES, "frank", "gina"), PROCESSINGS):
        context = api.evaluate(name, processing)["context"]
        contents[name, processing] = [context.get(each) for each in ("reason", "valid_until", "expires_at", "consent")]
    return contents


def _rows(database, table):
    """The rows of a table, but for numbers that a database gives, and for what it did itself."""
    own = "('schema.migrated', 'deployment.restored')"
    which = f" WHERE act NOT IN {own}" if table == "administrative_act" else ""
    with psycopg.connect(database.owner_url) as connection:
        rows = connection.execute(
            f"SELECT to_jsonb(each) - '{NUMBERED.get(table, '')}' FROM {table} AS each{which}"
        ).fetchall()
        return sorted(json.dumps(row, sort_keys=True) for (row,) in rows)


@pytest.fixture(scope="module")
def database():
    """One database for the tests of this file, which only read it."""
    with new_database() as made:
        yield made


@pytest.fixture(scope="module")
def exported(database, tmp_path_factory):
    """A deployment's export, and what it decides."""
    with running(database) as api:
        place = api.ok("GET", "/v1/events")["next"]
        live(api)
        decided = decisions(api)
    file = tmp_path_factory.mktemp("exported") / "deployment.ndjson.gz"
    status, errors, _ = run_command(database, "export", file)
    assert status == 0, errors
    return file, decided, place


def test_an_empty_deployment_gives_the_same_decisions(database, exported):
    """Every table that is carried over holds the same, but for keys; everybody is answered as before.

    Receivers owe what they owed after each end of a consent, be it that no event was dispatched.
    """
    file, decided, _ = exported
    assert len(_rows(database, "effect_owed")) >= 5
    assert {reason for reason, *_ in decided.values()} >= {
        "consent_in_force",
        "consent_withdrawn",
        "consent_refused",
        "no_consent",
        "other_party",
        "exempt",
        "unknown_processing",
    }
    with new_database() as empty:
        status, errors, _ = restored(empty, file, key_of(database))
        assert status == 0, errors
        for table in CARRIED:
            assert _rows(empty, table) == _rows(database, table), table
        with running(empty) as api:
            assert api.call("GET", "/v1/keys").status_code == 401  # callers are there, and their keys are not
            assert decisions(api.with_key(_new_key(empty))) == decided
        assert restored(empty, file, key_of(database))[0] == 1


def test_a_place_between_the_events_of_another_database_is_refused(database, exported):
    """A receiver that goes on with its cursor in a restored deployment is told that it would miss events: 410."""
    file, _, place = exported
    with new_database() as empty:
        assert restored(empty, file, key_of(database))[0] == 0
        with running(empty) as api:
            answer = api.with_key(_new_key(empty)).call("GET", f"/v1/events?after={place}")
    assert (answer.status_code, answer.json()["type"]) == (410, "urn:sceau:problem:cursor-too-old")


def test_an_export_holds_no_id_and_no_key(exported):
    """Ids of subjects stay sealed, and callers have no keys; the file is for its owner only."""
    file, *_ = exported
    content = gzip.decompress(file.read_bytes()).decode()
    assert '"table": "consent_event"' in content
    assert [name for name in (*NAMES, "frank", "gina", "key_sha256") if f'"{name}"' in content] == []
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [each.name for each in file.parent.iterdir()] == [file.name]


def _new_key(database):
    with psycopg.connect(database.owner_url) as connection:
        every = "SELECT id FROM caller WHERE scopes @> ARRAY['keys:manage'] LIMIT 1"
        (caller,) = connection.execute(every).fetchone() or ("",)
    return run_command(database, "keys", "rotate", caller)[2].strip()


def _spoiled(file, place, change):
    lines = gzip.decompress(file.read_bytes()).decode().splitlines(keepends=True)
    spoiled = place / "spoiled.ndjson"
    spoiled.write_text("".join(change(lines)))
    return spoiled


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: lines[:-1], "its end is missing"),
        (lambda lines: [*lines, lines[1]], "it goes on after its end"),
        (lambda lines: [*lines[:-3], *lines[-2:]], "the export is not what its log's key signed"),
        (
            lambda lines: [line.replace('"granted"', '"refused"', 1) for line in lines],
            "rows of consent_event that cannot be",
        ),
        (lambda lines: [lines[0].replace('"format": 2', '"format": 1'), *lines[1:]], "of another version"),
        (lambda lines: lines[1:], "it is no export"),
        (lambda lines: [*lines[:5], "{\n"], "it cannot be read"),
    ],
)
def test_a_spoiled_export_leaves_nothing(database, exported, tmp_path, change, message):
    """Cut off, changed, of another version, no export: it is said, and the database is as empty as before."""
    file, *_ = exported
    with new_database() as empty:
        status, errors, _ = restored(empty, _spoiled(file, tmp_path, change), key_of(database))
        assert status == 1
        assert message in errors
        assert not any(_rows(empty, table) for table in ("processing", "subject", "consent_event"))


def test_other_keys_are_refused(database, exported):
    """By another pseudonym key nobody would be found: nothing is restored."""
    file, *_ = exported
    with new_database() as empty:
        status, errors, _ = restored(empty, file, key_of(database), pseudonym_key="33" * 32)
        assert status == 1
        assert "SCEAU_PSEUDONYM_KEY is not a key by which every subject" in errors
        assert _rows(empty, "subject") == []


def test_what_is_no_regular_file_is_written_to_and_not_replaced(database, exported, tmp_path):
    """A named pipe stays one, and a device, though the command runs as root; that one is full is told in a line."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor() as pool:
        read = pool.submit(pipe.read_text)
        assert run_command(database, "export", pipe)[0] == 0
        # Before the device of this machine is named: a command that replaces what it writes to has failed here.
        assert stat.S_ISFIFO(pipe.stat().st_mode)
        assert json.loads(read.result().splitlines()[-1])["end"]
    status, errors, _ = run_command(database, "export", "/dev/full")
    assert status == 1
    assert "/dev/full: it cannot be written: No space left on device" in errors


def test_a_link_to_a_file_leads_to_the_whole_export(database, exported, tmp_path):
    """A symbolic link stays one, and the file it leads to holds the export; nothing half lies beside it."""
    there = tmp_path / "there"
    there.mkdir()
    (tmp_path / "link.ndjson").symlink_to(there / "export.ndjson")
    assert run_command(database, "export", tmp_path / "link.ndjson")[0] == 0
    assert (tmp_path / "link.ndjson").is_symlink()
    assert [each.name for each in there.iterdir()] == ["export.ndjson"]
    status, errors, _ = run_command(database, "export", tmp_path / "nowhere" / "export.ndjson")
    assert (status, "nowhere" in errors) == (1, True)


def _by_command(name, **how):
    def write(directory):
        with written_whole(directory / name, **how) as sink:
            sink.write(b"secret" if how else "secret")
        return directory / name

    return write


def _kept_head(directory):
    signer = Signer.of("x", Ed25519PrivateKey.generate())
    KeptHeads(directory).keep(signed_checkpoint(Checkpoint("x", 1, bytes(32)), [signer]))
    return directory / "checkpoint"


def _made_key(directory):
    _make_keys(directory)
    return directory / "pseudonym"


@pytest.mark.parametrize(
    "write",
    [
        _by_command("out.ndjson"),
        _by_command("out.ndjson.gz"),
        _by_command("out.zip", binary=True),
        _kept_head,
        _made_key,
    ],
    ids=["text", "zipped", "binary", "checkpoint", "keys"],
)
def test_nobody_else_can_make_a_file_first(write, tmp_path, monkeypatch):
    """Every name beside the file is taken by a link of somebody else's: nothing is written to where they lead."""
    theirs = tmp_path / "theirs"
    theirs.touch(0o666)
    directory = tmp_path / "shared"
    directory.mkdir()
    for name in ("out.ndjson", "out.ndjson.gz", "out.zip", "checkpoint", "pseudonym", "master", "bootstrap"):
        for draft in (f".{name}", f".{name}.part", f".{name}.{os.getpid()}"):
            (directory / draft).symlink_to(theirs)
    for variable in ("PSEUDONYM_KEY", "MASTER_KEY", "BOOTSTRAP_KEY"):
        monkeypatch.setenv(f"SCEAU_{variable}", "x")  # so that no test after this one reads the keys that are made
    written = write(directory)
    assert (theirs.read_bytes(), written.is_symlink()) == (b"", False)
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert written.read_bytes()


def test_a_running_service_is_not_restored_under(database, exported):
    """What its memory holds would be wrong: it is to be stopped first."""
    file, *_ = exported
    with new_database() as empty, running(empty, cache="leased") as api:
        assert api.ok("GET", "/readyz")
        status, errors, _ = restored(empty, file, key_of(database))
        assert (status, "a service runs on this database" in errors) == (1, True)
