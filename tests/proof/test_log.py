"""The log, end to end: each record is entered, and each way of tampering as a superuser is named."""

import ast
import json
import re
import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.journal.files import KeptHeads
from app.proof.notes import Signer, signed_note
from app.proof.verifier.notes import VerifierKey, rotation_of, rotation_text
from tests.faults.service import eventually
from tests.proof.logs import INCOMPLETE, UNREADABLE, WRONG, ended, lines_of, rewritten
from tests.support.api import running, subject


def test_everything_that_was_recorded_is_in_the_log_and_verifies(log):
    """An untouched deployment passes; its entries hold no id, no pseudonym and no text."""
    bundle = log.bundle()
    status, output = log.verify(bundle, log.heads / "checkpoint")
    assert status == INCOMPLETE, output
    assert "WRONG" not in output
    assert "the log goes on to the checkpoint of" in output
    lines = lines_of(bundle)
    kinds = [json.loads(line["entry"])["kind"] for line in lines]
    assert {"consent_event", "register_version", "status_change", "administrative_act", "settings", "key"} <= set(kinds)
    assert kinds.count("consent_event") == 5
    assert all("body" in line for line in lines)
    entries = "".join(line["entry"] for line in lines)
    assert not [word for word in ("alice", "Exemple SAS", "Publicit") if word in entries]
    assert "alice" not in "".join(line["body"] for line in lines)


def test_the_command_waits_for_whoever_appends(log):
    """`sceau proof stamp` waits for another append and then enters the rest; the jobs process does not wait."""
    with running(log.database) as api:
        api.decide("late", "ads")
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    with psycopg.connect(log.database.owner_url) as other, ThreadPoolExecutor(1) as pool:
        other.execute("SELECT pg_advisory_xact_lock(hashtext('sceau proof append'))")
        assert log.append() == "0 entries appended"
        done = pool.submit(log.sceau, "proof", "stamp")
        eventually(lambda: log.value(waiting) == 1)
        other.rollback()
        status, _, output = done.result()
    assert (status, output.startswith("0 entries")) == (0, False), output


def test_nothing_is_entered_twice(log):
    """An append enters only what was recorded since the last one, and signs no head if that is nothing."""
    size = len(lines_of(log.bundle()))
    assert log.append() == "0 entries appended"  # that the bundle was made is entered with it
    head = log.head()
    assert log.append() == "0 entries appended"
    assert log.sceau("proof", "stamp")[2].startswith("0 entries appended.\n")
    assert log.head() == head
    log.withdrawn()
    lines = lines_of(log.bundle(name="later.zip"))
    assert [line["position"] for line in lines] == list(range(len(lines)))
    names = [(json.loads(line["entry"])["kind"], json.loads(line["entry"])["id"]) for line in lines]
    assert len(names) == len(set(names)) > size
    (log.place / "old").write_text(head)
    assert ended(log.verify(log.place / "later.zip", log.place / "old"), INCOMPLETE)


def _rotated(log, *how):
    """A key of before, the new one, and a bundle whose head the new one has signed."""
    old = log.key().split("\n")[0]
    assert log.sceau("signing-keys", "rotate", "log", *how)[0] == 0
    log.withdrawn()
    return old, log.key().split("\n")[0], log.bundle(name="after.zip")


def test_a_key_of_the_log_is_rotated(log):
    """After a rotation signed by both keys, trust in the old key extends to the new one."""
    before = log.bundle(name="before.zip")
    old, new, after = _rotated(log)
    assert new != old
    assert log.verify(before, key=old)[0] == INCOMPLETE
    assert log.verify(after, key=new)[0] == INCOMPLETE
    assert ended(log.verify(after, key=old), INCOMPLETE, f"{new} follows a key that is trusted")
    status, _, output = log.sceau("proof", "verify", after, log.heads / "checkpoint", before, "--key", old)
    assert (status, "WRONG" in output) == (INCOMPLETE, False), output  # in every file of the run
    (stated,) = [
        json.loads(line["body"])["body"] for line in lines_of(after) if f'"key":"{new}"' in line.get("body", "")
    ]
    assert rotation_of(stated["rotation"]) == (VerifierKey.parse(old), VerifierKey.parse(new))
    oldest, _, twice = _rotated(log)
    assert oldest == new
    assert log.verify(twice, key=old)[0] == INCOMPLETE


def test_a_rotation_that_is_forged_is_named(log, tmp_path):
    """A rotation without both good signatures is named, and a leaked key hands no trust over."""
    old, _, after = _rotated(log)
    stranger = Signer.of(VerifierKey.parse(old).name, Ed25519PrivateKey.generate())
    text = rotation_text(VerifierKey.parse(old), stranger.key)
    one, both = (
        signed_note(text, [stranger]),
        signed_note(text, [stranger, replace(stranger, key=VerifierKey.parse(old))]),
    )
    for note, says in ((one, "not signed by both"), (both, "is wrong"), ("text", "no signed note")):
        changes = {"data/log.json": _about(lambda facts, note=note: facts.update(rotations=[note]))}
        forged = rewritten(after, tmp_path / "forged.zip", changes, manifest=True)
        assert ended(log.verify(forged, key=old), WRONG, says)
    before, _, leaked = _rotated(log, "--at-once")
    assert log.verify(leaked, key=before)[0] == 1


_EVENT = "(SELECT id FROM consent_event WHERE kind = 'granted' ORDER BY id LIMIT 1)"
_LAST = "(SELECT id FROM consent_event WHERE kind = 'granted' ORDER BY id DESC LIMIT 1)"
TAMPERED = (
    f"""UPDATE consent_event SET subject_ref = (SELECT subject_ref FROM consent_event WHERE id = {_LAST}), seq = 99
    WHERE kind = 'refused'""",
    f"UPDATE consent_event SET kind = 'refused', expires_at = NULL WHERE id = {_EVENT}",
    f"""UPDATE consent_event SET collected_at = collected_at - interval '1 day',
    expires_at = expires_at - interval '1 day' WHERE id = {_LAST}""",
    "DELETE FROM consent_event WHERE kind = 'withdrawn'",
    """INSERT INTO consent_event (subject_ref, seq, id, kind, collected_at, recorded_at, imported, recorded_by)
    SELECT subject_ref, 98, gen_random_uuid(), 'withdrawn', now(), now(), false, gen_random_uuid()
    FROM subject LIMIT 1""",
    "UPDATE processing_version SET retention = 'P9Y' WHERE processing = 'stats'",
    "UPDATE processing SET purpose = 'malware_detection' WHERE id = 'ads'",
    "DELETE FROM administrative_act WHERE id = (SELECT id FROM administrative_act ORDER BY at LIMIT 1)",
    """UPDATE proof_statement SET body = '{"lease_ms": 1}' WHERE kind = 'settings'""",
    "DELETE FROM proof_opening WHERE position = 3",
)
NAMED = {
    ("consent_event", "what the database has is not what was recorded"): 3,
    ("consent_event", "its body is gone, and no run of retention tells why"): 1,
    ("consent_event", "recorded, and not in the log"): 1,
    ("controller_version", "recorded, and not in the log"): 1,  # nothing opens its entry
    ("register_version", "what the database has is not what was recorded"): 2,
    ("administrative_act", "its body is gone, and no run of retention tells why"): 1,
    ("settings", "what the database has is not what was recorded"): 1,
    ("controller_version", "its body is gone, and no run of retention tells why"): 1,
}
"""By what each of these is named: what was edited, dated back and given to somebody else, deleted, and put in."""


def test_each_row_that_a_superuser_tampered_with_is_named(log):
    """Each row that a superuser changed, removed or added is named, and no other row is."""
    log.superuser(*TAMPERED)
    status, output = log.verify(log.bundle())
    wrong = re.findall(r": WRONG: (?:entry [0-9]+ \()?(\w+) \S+: (.*)", output)
    assert (status, Counter(wrong)) == (1, NAMED), output


def test_a_log_that_was_rewritten_is_named_by_a_checkpoint_from_before(log):
    """A log rewritten over altered rows is consistent in itself, and is named beside a head of the old log."""
    old = log.kept("old")
    log.superuser(
        f"UPDATE consent_event SET seq = 77 WHERE id = {_EVENT}",
        "DELETE FROM proof_entry",
        "DELETE FROM proof_opening",
        "DELETE FROM proof_tile",
        "DELETE FROM proof_checkpoint",
    )
    log.queue_all()
    assert "the database has no checkpoint, and there was one" in log.append()
    for each in log.heads.iterdir():
        each.unlink()
    assert "entries appended" in log.append()
    bundle = log.bundle()
    assert log.verify(bundle)[0] == INCOMPLETE  # alone it looks whole
    status, output = log.verify(bundle, old)
    assert status == 1
    assert "it was rewritten" in output or "was set back: it had" in output


def test_a_database_that_was_set_back_is_not_appended_to(log, tmp_path):
    """A database set back behind the head kept outside signs nothing, and the command says so."""
    size = len(lines_of(log.bundle()))
    log.withdrawn()
    log.superuser(
        f"DELETE FROM proof_entry WHERE position >= {size}",
        f"DELETE FROM proof_opening WHERE position >= {size}",
        f"DELETE FROM proof_checkpoint WHERE size > {size}",
    )
    head = log.head()
    with running(log.database) as api:
        api.withdraw("carol", "ads")
    assert f"the log has {size} entries, and the checkpoint kept outside has" in log.append()
    assert log.head() == head
    (log.place / "newest").write_text(head)
    told = log.verify(log.bundle(name="old.zip"), log.place / "newest")
    assert ended(told, WRONG, "the log does not state that this bundle was made", "newest is newer than this bundle")


def test_a_head_that_cannot_be_read_or_is_gone_stops_the_log(log):
    """A kept head that is unreadable or gone stops the log, which is not begun anew."""
    with running(log.database) as api:
        api.withdraw("alice", "ads")
    head = log.head()
    (log.heads / "checkpoint").write_bytes(b"\xff")
    assert "cannot be read" in log.append()
    (log.heads / "checkpoint").unlink()
    assert "the last checkpoint is gone" in log.append()
    (log.heads / "checkpoint").write_text(head.replace("sceau", "other"))
    assert "is not this log's" in log.append()
    (log.heads / "checkpoint").write_text(head)
    assert "entries appended" in log.append()


def test_a_directory_that_is_set_later_is_taken_into_use(log):
    """A log whose directory is set later goes on, and its next run keeps a head that could not be kept before."""
    shutil.rmtree(log.heads)
    log.heads.mkdir()
    assert log.append() == "0 entries appended"
    newest = log.head()
    (log.heads / "checkpoint").write_text(newest)
    log.withdrawn()
    assert log.head() != newest


def test_a_kept_head_is_never_one_of_fewer_entries(log):
    """A kept head is not replaced by one of fewer entries, which another process may keep later."""
    before = log.head()
    log.withdrawn()
    after = log.head()
    KeptHeads(log.heads).keep(before)
    assert log.head() == after


def test_one_odd_row_stops_nothing(log):
    """A row that cannot be entered waits and is reported, and the rows behind it are entered."""
    log.superuser("INSERT INTO proof_queue (kind, id) VALUES ('nothing', '1'), ('consent_event', 'no id')")
    with running(log.database) as api:
        api.withdraw("alice", "ads")
    assert log.append() not in {"0 entries appended", ""}
    assert log.append() == "0 entries appended"
    assert ended(log.verify(log.bundle()), INCOMPLETE, "2 rows wait to be entered")


def test_a_page_of_odd_rows_ends_an_append(log, monkeypatch):
    """An append ends, and does not loop, if a whole page of waiting rows cannot be entered."""
    monkeypatch.setattr("app.operations.proof.append_entries.MOST", 2)
    log.superuser("INSERT INTO proof_queue (kind, id) VALUES ('nothing', '1'), ('nothing', '2'), ('nothing', '3')")
    assert log.append() == "0 entries appended"


def _about(change):
    def changed(content):
        facts = json.loads(content)
        change(facts)
        return json.dumps(facts).encode()

    return changed


ODD = {
    "no object": {"data/log.json": lambda _: b"[]"},
    "no key": {"data/log.json": _about(lambda facts: facts.update(keys=[5]))},
    "no number": {"data/log.json": _about(lambda facts: facts.update(first="a"))},
    "a negative beginning": {"data/log.json": _about(lambda facts: facts.update(first=-1))},
    "nested deeply": {"data/log.json": lambda _: b"[" * 100_000},
}


def test_a_bundle_in_bad_form_is_never_good(log, tmp_path):
    """A bundle with a fitting manifest and facts in bad form is wrong or unreadable, and never good."""
    bundle = log.bundle()
    for name, changes in ODD.items():
        forged = rewritten(bundle, tmp_path / "forged.zip", changes, manifest=True)
        status, output = log.verify(forged)
        assert status in {1, UNREADABLE}, (name, output)


def test_a_bundle_says_what_it_leaves_out_and_makes_no_lines_of_its_own(log, tmp_path):
    """A bundle is not anchored because it says so, and a newline in it makes no line of the verifier's output."""
    claims = {"data/log.json": _about(lambda facts: facts.update(anchored=True))}
    told = log.verify(rewritten(log.bundle(), tmp_path / "claims.zip", claims, manifest=True))
    assert ended(told, WRONG, "not anchored", "it is not the bundle that the log states")
    lines = {"data/unentered.ndjson": lambda _: json.dumps({"kind": "x\ny: GOOD\x1b[2J", "id": "\ud800"}).encode()}
    told = log.verify(rewritten(log.bundle(), tmp_path / "lines.zip", lines, manifest=True))
    assert ended(told, WRONG, "x\\x0ay: GOOD\\x1b[2J")


def test_a_tile_that_was_changed_stops_the_log(log):
    """A changed tile stops the log: it signs no head unless its tree begins with the last one."""
    with running(log.database) as api:
        api.withdraw("alice", "ads")
    log.superuser("UPDATE proof_tile SET hashes = set_byte(hashes, 3, get_byte(hashes, 3) # 1) WHERE level = 0")
    refused = log.append()
    assert ("does not begin with the checkpoint" in refused, "tile 0/000.p/" in refused) == (True, True), refused


def test_the_verifier_is_one_file_that_needs_nothing_of_ours(log):
    """The printed verifier, run alone, says of good and bad bundles what `sceau proof verify` says."""
    assert "app." not in log.sceau("proof", "verify", "--script")[2].replace("www.app.", "")
    bundle = log.bundle()
    log.superuser(f"DELETE FROM consent_event WHERE id = {_EVENT}")
    bad = log.bundle(name="bad.zip")
    for file, status in ((bundle, INCOMPLETE), (bad, 1)):
        done = log.alone(file, "--key", log.key().split("\n")[0])
        assert done.returncode == status, done.stderr
        assert done.stdout == log.verify(file)[1]


def test_no_name_is_defined_twice_in_the_single_file(log):
    """No two modules of the single file define one name, since the second would replace the first."""
    body = ast.parse(log.sceau("proof", "verify", "--script")[2]).body
    names = [each.name for each in body if isinstance(each, ast.FunctionDef | ast.ClassDef)]
    names += [
        each.targets[0].id for each in body if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name)
    ]
    assert len(names) == len(set(names)) > 50


def test_people_have_other_names_in_another_bundle(log):
    """Two bundles group entries by the same people, and have no name for a person in common."""
    names = [
        [
            line["people"]["subject_ref"]
            for line in lines_of(log.bundle(name=each))
            if '"kind":"consent_event"' in line["entry"]
        ]
        for each in ("one.zip", "two.zip")
    ]
    assert [names[0].index(each) for each in names[0]] == [names[1].index(each) for each in names[1]]
    assert not set(names[0]) & set(names[1])
    assert len(set(names[0])) == 4


def test_a_bundle_of_one_processing_keeps_the_bodies_of_others_back(log):
    """A bundle of one processing withholds the bodies of others, says so, and is not wrong for it."""
    with running(log.database) as api:
        api.ok("PATCH", "/v1/processings/stats", {"status": "active"})
        api.decide("alice", "stats")
        api.ok("POST", "/v1/subjects/closures", {"subject": subject("bob")})
    log.append()
    bundle = log.bundle("--processing", "stats")
    assert ended(log.verify(bundle), INCOMPLETE, "are not part of this bundle")
    bodies = [json.loads(line["body"]) for line in lines_of(bundle) if "body" in line]
    assert {each["processing"] for each in bodies if "seq" in each and each["processing"]} == {"stats"}


def test_a_period_that_is_reversed_or_without_entries_makes_no_bundle(log):
    """The command says why, and writes no file that its own verifier would call wrong."""
    file = log.place / "none.zip"
    for command in (["bundle", "-o", file], ["replay"]):
        for since, until in (("2026-03-02", "2026-03-01"), ("2026-03-01", "2026-03-01T00:00:00Z")):
            status, errors, _ = log.sceau("proof", *command, "--since", since, "--until", until)
            assert (status, "--since must be before --until" in errors) == (2, True)
    status, errors, _ = log.sceau("proof", "bundle", "-o", file, "--since", "2100-01-01")
    assert (status, errors) == (1, "nothing was entered in the log in that period")
    assert not file.exists()
