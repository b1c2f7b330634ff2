"""An export that somebody edited is refused, whoever signed it: by its signature, and then by what its log entered."""

import json
from datetime import datetime, timedelta
from uuid import uuid4

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.proof.notes import Signer, signed_note
from app.proof.verifier.notes import Note
from tests.proof.logs import Log
from tests.proof.retained import OLD, owned, sign
from tests.service.test_export import live
from tests.support.api import TestClock, running, utc
from tests.support.commands import run_command
from tests.support.databases import administrator_url, new_database
from tests.support.exports import key_of, line_of, lines_of, restored, rows_of, signed_anew, with_digest


@pytest.fixture(scope="module")
def moved(tmp_path_factory):
    """A deployment in which everything has happened once, its key, and the lines of its export."""
    place = tmp_path_factory.mktemp("export")
    with new_database() as database:
        with running(database) as api:
            live(api)
        assert run_command(database, "export", place / "all.ndjson")[0] == 0
        yield database, key_of(database), lines_of(place / "all.ndjson"), place


@pytest.fixture(scope="module")
def refused(moved):
    """What is said of an edited export by a database that stays empty: it leaves nothing there."""
    _, of_the_log, _, place = moved
    with new_database() as empty:

        def said_of(lines, key=of_the_log):
            file = place / "edited.ndjson"
            file.write_text("".join(lines), newline="")
            status, errors, _ = restored(empty, file, key)
            with psycopg.connect(empty.owner_url) as connection:
                assert connection.execute("SELECT FROM subject").fetchall() == []
            assert (status, "\n" in errors) == (1, False), errors
            return errors

        yield said_of


def _changed(lines, table, wanted, change):
    """The lines with one row changed, or without it where it is changed into None."""
    place, row = next((place, row) for place, row in rows_of(lines, table) if wanted(row))
    made = change(row)
    return [*lines[:place], *([line_of(table, made)] if made is not None else []), *lines[place + 1 :]]


def _is(**wanted):
    return lambda row: all(row[name] == value for name, value in wanted.items())


def _without_withdrawal(lines):
    """As if nobody had withdrawn: the event is gone, and the consent stands in the projection."""
    lines = _changed(lines, "consent_event", _is(kind="withdrawn"), lambda _: None)
    return _changed(
        lines, "consent", _is(ended_by="withdrawn"), lambda row: {**row, "ended_by": None, "ended_at": None}
    )


def _withdrawal_as_a_statement(lines):
    """A withdrawal turned into what ends nothing."""

    def other(row):
        return {**row, "kind": "age_stated", "processing": None, "version": None, "capacity": {"age_band": "adult"}}

    return _changed(lines, "consent_event", _is(kind="withdrawn"), other)


def _earlier(row):
    """A grant that lapses a day before it did: PostgreSQL takes none that lasts longer than a year."""
    return {**row, "expires_at": (datetime.fromisoformat(row["expires_at"]) - timedelta(days=1)).isoformat()}


def _another_expiry(lines):
    return _changed(lines, "consent_event", _is(kind="granted"), _earlier)


def _another_expiry_in_the_projection(lines):
    return _changed(lines, "consent", _is(decision="granted"), _earlier)


def _one_more_grant(lines):
    place, row = next(each for each in rows_of(lines, "consent_event") if each[1]["kind"] == "granted")
    more = {**row, "id": str(uuid4()), "seq": 900}
    return [*lines[: place + 1], line_of("consent_event", more), *lines[place + 1 :]]


def _without_a(table, wanted=lambda _: True):
    def left_out(lines):
        return _changed(lines, table, wanted, lambda _: None)

    left_out.__name__ = f"without a row of {table}"
    return left_out


def _note_without_fact(lines):
    return _changed(lines, "journal_note", lambda row: row["fact_id"], lambda row: {**row, "fact_id": str(uuid4())})


def _what_waits_is_gone(lines):
    queued = line_of("proof_queue", {"n": 1, "kind": "consent_event", "id": str(uuid4()), "queued_at": OLD})
    return [*lines[:-1], queued, lines[-1]]


def _another_entry(lines):
    """The last entry, with another id in it than was hashed."""

    def other(row):
        entry = json.loads(bytes.fromhex(row["entry"].removeprefix("\\x")))
        return {**row, "entry": "\\x" + json.dumps({**entry, "id": str(uuid4())}).encode().hex()}

    return _changed(lines, "proof_entry", _is(position=len(rows_of(lines, "proof_entry")) - 1), other)


EDITS = [
    (_without_withdrawal, "are not what its log entered: 1 of consent_event"),
    (_withdrawal_as_a_statement, "are not what its log entered: 1 of consent_event"),
    (_another_expiry, "are not what its log entered: 1 of consent_event"),
    (_another_expiry_in_the_projection, "rows of consent are not what its events say: 1 differ"),
    (_one_more_grant, "are not in its log: 1 of consent_event"),
    (_without_a("processing_status_change"), "are not what its log entered: 1 of status_change"),
    (
        _without_a("administrative_act", _is(act="processing.suspended")),
        "are not what its log entered: 1 of administrative_act",
    ),
    (_without_a("proof_opening"), "are not what its log entered: 1 of"),
    (_without_a("proof_entry"), "does not have the entries that its head was signed for"),
    (_another_entry, "does not have the entries that its head was signed for"),
    (_note_without_fact, "lacks what 1 of the rows of journal_note are about"),
    (_what_waits_is_gone, "lacks rows that wait for its log: 1 of consent_event"),
]


@pytest.mark.parametrize(("edit", "message"), EDITS, ids=lambda each: getattr(each, "__name__", ""))
def test_an_edited_export_is_refused(moved, refused, edit, message):
    """Signed anew by its own key, by what its log entered."""
    database, _, lines, _ = moved
    edited = edit(lines)
    assert edited != lines
    assert message in refused(signed_anew(database, edited))


@pytest.mark.parametrize(
    "edit", [_another_expiry, _one_more_grant, _without_a("proof_opening")], ids=lambda each: each.__name__
)
def test_an_export_that_is_not_signed_anew_is_refused(moved, refused, edit):
    """A row that was changed, added or left out: by the digest; with a digest made anew, by the signature."""
    _, _, lines, _ = moved
    assert "it was changed" in refused(edit(lines))
    assert "the signature of" in refused(with_digest(edit(lines)))


def test_an_unedited_export_that_is_signed_anew_is_restored(moved):
    """The control: what refuses these edits is none of what makes them."""
    database, key, lines, place = moved
    (place / "anew.ndjson").write_text("".join(signed_anew(database, with_digest(lines))), newline="")
    with new_database() as empty:
        assert restored(empty, place / "anew.ndjson", key)[:2] == (0, f"{len(lines) - 2} rows restored.\n")


def test_notes_name_what_they_are_about(moved):
    """Events of the ledger, statuses and invalidations, by the names that their entries have: so they can be missed."""
    _, _, lines, _ = moved
    named = {(row["fact_kind"], row["fact_id"]) for _, row in rows_of(lines, "journal_note") if row["fact_id"]}
    assert {kind for kind, _ in named} == {"consent_event", "status_change", "invalidation"}
    assert named <= {(row["kind"], row["id"]) for _, row in rows_of(lines, "proof_entry")}


def _end(lines, change):
    return [*lines[:-1], json.dumps({"end": change(json.loads(lines[-1])["end"])}) + "\n"]


def _by_a_stranger(note):
    name = Note.parse(note).text.split("\n")[0]
    return signed_note(Note.parse(note).text, [Signer.of(name, Ed25519PrivateKey.generate())])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda note: note.split("\n\n")[0] + "\n", "this is no signed note"),
        (lambda _: "", "this is no signed note"),
        (_by_a_stranger, "not signed by a key of --key"),
    ],
)
def test_an_export_without_the_signature_of_its_log_is_refused(moved, refused, change, message):
    """Left out, or of a key that nobody gave."""
    _, _, lines, _ = moved
    assert message in refused(_end(lines, change))


def test_another_key_is_refused_and_none_is_wrong_usage(moved, refused):
    """By the key of another log nothing is restored; without a key, or with what is none, nothing is begun."""
    _, key, lines, place = moved
    name = key.split("+", maxsplit=1)[0]
    stranger = str(Signer.of(name, Ed25519PrivateKey.generate()).key)
    assert "not signed by a key of --key" in refused(lines, stranger)
    with new_database() as empty:
        assert restored(empty, place / "all.ndjson")[0] == 2
        assert restored(empty, place / "all.ndjson", "nonsense")[0] == 2
        assert restored(empty, place / "all.ndjson", stranger, key)[0] == 0  # one of several is enough


@pytest.mark.parametrize(("how", "status"), [((), 0), (("--at-once",), 1)])
def test_the_key_of_before_is_followed_unless_it_leaked(database, tmp_path, how, status):
    """A rotation that both keys signed leads to the newest; of a key that leaked none does."""
    with running(database) as api:
        api.register("ads")
    assert run_command(database, "proof", "stamp")[0] == 0
    old = key_of(database)
    assert run_command(database, "signing-keys", "rotate", "log", *how)[0] == 0
    assert run_command(database, "export", tmp_path / "all.ndjson")[0] == 0
    assert key_of(database) != old
    with new_database() as empty:
        assert restored(empty, tmp_path / "all.ndjson", old)[0] == status
    with new_database() as empty:
        assert restored(empty, tmp_path / "all.ndjson", key_of(database))[0] == 0


def test_the_log_goes_on_where_it_was(database, tmp_path):
    """Under its name, keys and head: a bundle that is made there begins with a head that was kept before the export."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with running(database) as api:
        live(api)
    log = Log(database, tmp_path / "one")
    log.append()
    (tmp_path / "before").write_text(log.head())
    with running(database) as api:
        api.withdraw("alice", "ads")  # waits for the log until the export
    assert log.sceau("export", tmp_path / "all.ndjson")[0] == 0
    with new_database() as empty:
        status, said, _ = restored(empty, tmp_path / "all.ndjson", key_of(database))
        assert status == 0, said
        there = Log(empty, tmp_path / "two")
        assert there.key() == log.key()
        with running(empty) as keyless:
            caller = there.value("SELECT id FROM caller WHERE scopes @> ARRAY['keys:manage'] LIMIT 1")
            api = keyless.with_key(run_command(empty, "keys", "rotate", caller)[2].strip())
            assert api.evaluate("alice", "ads")["context"]["reason"] == "consent_withdrawn"
            api.withdraw("yves", "ads")
        assert there.sceau("proof", "stamp")[0] == 0
        assert there.value("SELECT count(*) FROM proof_queue") == 0
        status, said = there.verify(there.bundle(), tmp_path / "before")
        assert (status, "WRONG" in said) == (3, False), said
        assert there.value("SELECT count(*) FROM administrative_act WHERE act = 'deployment.restored'") == 1


def test_what_retention_destroyed_is_not_missed(database, tmp_path):
    """Events, ids and openings that a run took out, and that its statement names, are neither carried nor asked for."""
    with running(database, clock=TestClock(utc(OLD))) as api:
        api.agreed("ads", "alice", started_on="2018-01-01")
        api.withdraw("alice", "ads")
    log = Log(database, tmp_path)
    log.append()
    sign(log)
    assert "2 events" in owned(log, "run")
    assert log.sceau("export", tmp_path / "all.ndjson")[0] == 0
    with new_database() as empty:
        status, errors, _ = restored(empty, tmp_path / "all.ndjson", key_of(database))
        assert status == 0, errors


def test_openings_that_no_run_destroyed_are_missed(moved, refused):
    """Rows and openings that are gone together, as after a run, are told where no run says so."""
    database, _, lines, _ = moved
    at, gone = next(each for each in rows_of(lines, "consent_event") if each[1]["kind"] == "withdrawn")
    position = next(row["position"] for _, row in rows_of(lines, "proof_entry") if row["id"] == gone["id"])
    without = _changed([*lines[:at], *lines[at + 1 :]], "proof_opening", _is(position=position), lambda _: None)
    message = refused(signed_anew(database, without))
    assert "lacks what opens entries that no run of retention names: 1" in message


def test_what_a_superuser_took_out_before_the_export_is_told(database, tmp_path):
    """A withdrawal that is deleted before it is entered leaves its note of the journal, which asks for it."""
    with running(database) as api:
        api.agreed("ads", "alice")
    assert run_command(database, "proof", "stamp")[0] == 0
    with running(database) as api:
        api.withdraw("alice", "ads")
    with psycopg.connect(administrator_url(database.name), autocommit=True) as superuser:
        superuser.execute("SET session_replication_role = replica")
        superuser.execute("DELETE FROM consent_event WHERE kind = 'withdrawn'")
        superuser.execute("UPDATE consent SET ended_by = NULL, ended_at = NULL")
        superuser.execute("DELETE FROM proof_queue WHERE kind = 'consent_event'")
    assert run_command(database, "export", tmp_path / "all.ndjson")[0] == 0
    with new_database() as empty:
        status, errors, _ = restored(empty, tmp_path / "all.ndjson", key_of(database))
        assert (status, "lacks what 1 of the rows of journal_note are about" in errors) == (1, True), errors
