"""What files verified in one run show together: forks, logs set back, late rows, and changed bundles."""

import base64
import json
import re
import shutil
import subprocess
import sys
import tracemalloc
import zipfile

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.keyring import signed_jws
from app.operations.proof.receipts import TYPE
from app.proof.notes import Signer
from app.proof.single_file import verifier_script
from app.proof.verifier.main import main as verify_main
from tests.proof.logs import (
    INCOMPLETE,
    MINUTES_LATER,
    UNREADABLE,
    WRONG,
    Log,
    copied,
    ended,
    file_of,
    lines_of,
    replaced,
    rewritten,
)
from tests.support.api import running, subject
from tests.support.commands import run_command
from tests.support.databases import new_database
from tests.support.imports import imported, row


@pytest.fixture(scope="module")
def bundled(made, tmp_path_factory):
    """A log that no test changes, and a bundle of it."""
    with copied(made, tmp_path_factory.mktemp("bundled")) as log:
        yield log, log.bundle()


@pytest.fixture
def fork(log, tmp_path):
    """A fork of the log on another copy of its database, of equal length and with its keys."""
    with copied(log, tmp_path / "fork") as other:
        log.withdrawn("alice")
        other.withdrawn("carol")
        yield other


@pytest.fixture(autouse=True)
def _place(tmp_path):
    (tmp_path / "fork").mkdir()


def test_a_receipt_that_its_neighbour_s_tree_does_not_hold_is_named(log, fork):
    """A receipt of one branch of a fork is named as wrong beside a bundle of the other branch."""
    with running(fork.database) as api:
        consent = api.decide("erin", "ads")["id"]
        fork.append()
        receipt = fork.receipt(api, consent)
    with running(log.database) as api:
        api.decide("frank", "ads")
    log.append()
    bundle = log.bundle()
    assert (log.verified(receipt)[0], log.verified(bundle)[0]) == (INCOMPLETE, INCOMPLETE)
    assert ended(log.verified(bundle, receipt), WRONG, f"{receipt} has another entry there")


def test_heads_on_either_side_of_a_bundle_accuse_nobody(log):
    """An honest bundle of a past period verifies beside older and newer heads, and none is called wrong."""
    old = log.kept("old")
    log.withdrawn()
    log.withdrawn("carol")
    newest = log.kept("newest")
    bundle = log.bundle("--until", "2020-01-01")  # up to the first checkpoint
    log.withdrawn("dora")
    after = log.kept("after")
    against = ("--against", old, "--against", newest, "--against", after)
    for files in ((bundle, *against), (old, after, bundle, newest)):
        begins = f"begins with the checkpoint of {old.read_text().splitlines()[1]} entries of {old}"
        newer = f"of {after} is newer than this bundle: ask for one that reaches it"
        assert ended(log.verified(*files), INCOMPLETE, begins, newer)


def test_what_waited_for_the_log_is_not_late(database, tmp_path):
    """Rows that waited for hours before an append are not marked as late."""
    log = Log(database, tmp_path)
    with running(database) as api:
        api.agreed("ads", "heidi", "ivan", "judy")
    before = {"processing_version": "recorded_at", "controller_version": "recorded_at", "administrative_act": "at"}
    log.superuser(
        *(f"UPDATE {table} SET {column} = {column} - interval '5 hours'" for table, column in before.items()),
        "UPDATE staff_notice SET published_at = published_at - interval '5 hours'",
        """UPDATE consent_event SET recorded_at = recorded_at - (5 - place) * interval '1 hour',
            collected_at = collected_at - interval '5 hours', expires_at = expires_at - interval '1 day'
        FROM (SELECT id, row_number() OVER (ORDER BY recorded_at) AS place FROM consent_event) AS each
        WHERE each.id = consent_event.id""",
    )
    log.append()
    status, output = log.verified(log.bundle())
    assert (status, "late" in output) == (INCOMPLETE, False), output


def test_what_was_taken_out_of_a_bundle_is_counted(log):
    """Time-stamps that were stripped are named."""
    log.superuser(
        """INSERT INTO proof_anchor (id, size, way, witness, told_at, kept_at, content)
        SELECT gen_random_uuid(), max(size), 'stamp', '', now(), now(), '0' FROM proof_checkpoint"""
    )
    bundle = log.bundle()
    with zipfile.ZipFile(bundle) as bag:
        stamps = [each for each in bag.namelist() if each.startswith("data/stamps/")]
    assert len(stamps) == 2
    stripped = rewritten(bundle, log.place / "stripped.zip", dict.fromkeys(stamps), manifest=True)
    assert ended(log.verified(stripped), WRONG, "it has 0 stamps, and had 1 by the log's statement")


@pytest.mark.parametrize(
    "name",
    [
        "data/entries.ndjson",
        pytest.param("data/log.json", marks=pytest.mark.deep),
        pytest.param("later.json", marks=pytest.mark.deep),
    ],
)
def test_a_file_that_unpacks_to_gigabytes_is_not_read_whole(bundled, tmp_path, name):
    """A small ZIP with a file or a line of a hundred megabytes is refused in bounded memory."""
    log, bundle = bundled
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bundle) as old, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new:
        for each in old.namelist():
            if each != name:
                new.writestr(each, old.read(each))
            else:
                with new.open(each, "w", force_zip64=True) as file:
                    for _ in range(200):
                        file.write(b" " * (1 << 20))
    assert bomb.stat().st_size < 1 << 20
    tracemalloc.start()
    status, output = log.verified(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (status in {WRONG, UNREADABLE}, "longer than any such" in output or "cannot be read" in output) == (
        True,
        True,
    )
    assert peak < 160 << 20


def _standing(log, name):
    """What a bundle's statements say of one thing, in their order."""
    bodies = [json.loads(line["body"]) for line in lines_of(log.bundle(name=f"{name}.zip")) if "body" in line]
    stated = [each["body"] for each in bodies if isinstance(each.get("body"), dict)]
    return [each["facts"] for each in stated if each.get("of") == "caller"]


def test_each_way_in_which_a_caller_stood_is_entered(log):
    """The log states what a caller may do, and a digest of what it is known by, whenever a superuser changes them."""
    with running(log.database) as api:
        key = api.ok("POST", "/v1/keys", {"name": "guest", "scopes": ["decisions:evaluate"]})
    log.append()
    before = _standing(log, "before")
    for change in (
        "UPDATE caller SET scopes = '{decisions:evaluate,consents:write}' WHERE id = 'THIS'",
        "UPDATE caller SET issuer = 'x', token_subject = 'x', identity_ref = sha256('x') WHERE id = 'THIS'",
        "UPDATE caller SET identity_ref = sha256('y') WHERE id = 'THIS'",
        "UPDATE caller_key SET expires_at = now() WHERE caller = 'THIS'",
        """INSERT INTO caller_key (id, caller, key_sha256, created_at)
        VALUES (gen_random_uuid(), 'THIS', sha256('x'), now())""",
    ):
        log.superuser(change.replace("THIS", key["id"]))
        log.append()
    after = _standing(log, "after")
    assert after[: len(before)] == before
    stated = after[len(before) :]
    assert [each["scopes"] for each in stated] == 5 * [["decisions:evaluate", "consents:write"]]
    assert len({each["recognised_by"] for each in stated}) == 5
    log.append()
    assert _standing(log, "again") == after


def _forged_receipt(name, record, log=None, size=0):
    """A receipt that a stranger signed with another key, under the name of this log's key."""
    stranger = Signer.of(name, Ed25519PrivateKey.generate())
    receipt = {"@type": "dpv:ConsentReceipt", "dpv:hasRecordOfActivity": [record]}
    claims = {"iss": "https://sceau.example.fr", "iat": 0, "jti": "x", "receipt": receipt, "log": log, "log_size": size}
    return signed_jws(stranger.private, str(stranger.key), TYPE, claims)


def _promised(api, log, name, file):
    """The id of a withdrawal that has a receipt and no entry yet, and the receipt's file."""
    identifier = api.ok("POST", "/v1/withdrawals", {"subject": subject(name), "processing": "ads"})["id"]
    return identifier, log.receipt(api, identifier, file)


def _record_of(receipt):
    claims = json.loads(base64.urlsafe_b64decode(receipt.read_text().split(".")[1] + "=="))
    (record,) = claims["receipt"]["dpv:hasRecordOfActivity"]
    return record


def test_a_stranger_s_receipt_accuses_nobody_and_hides_nothing(log):
    """A receipt without a trusted signature accuses no honest log, and hides no true receipt beside it."""
    with running(log.database) as api:
        identifier, receipt = _promised(api, log, "alice", "true.jwt")
    record = {**_record_of(receipt), "dct:created": "2020-01-01T00:00:00Z"}
    early, late = log.place / "early.jwt", log.place / "late.jwt"
    early.write_text(_forged_receipt("sceau.example.fr/receipts", {**record, "dct:identifier": "invented"}))
    late.write_text(_forged_receipt("sceau.example.fr/receipts", {**record, "dct:created": "2030-01-01T00:00:00Z"}))
    log.superuser(
        f"DELETE FROM proof_queue WHERE id = '{identifier}'", f"DELETE FROM consent_event WHERE id = '{identifier}'"
    )
    log.append()
    soon = log.verified(log.bundle(name="soon.zip"), receipt)
    assert ended(soon, INCOMPLETE, "ask for a bundle that reaches further")
    bundle = _reaching_further(log)
    lines = log.verified(bundle, receipt, late, early)[1].splitlines()
    of_the_bundle = [line for line in lines if line.startswith(f"{bundle}: WRONG: ") and "do not rely" not in line]
    assert len(of_the_bundle) == 1, lines
    assert f"the act {identifier} that {receipt} tells, of" in of_the_bundle[0]
    assert "was not entered" in of_the_bundle[0]
    status, output = log.verified(bundle, early)
    assert (status, f"{bundle}: WRONG" in output, f"{early}: WRONG" in output) == (WRONG, False, True), output


def _reaching_further(log):
    """A bundle that has something of three minutes later."""
    with running(log.database) as api:
        api.decide("zoe", "ads")
    log.superuser(MINUTES_LATER)
    log.append()
    return log.bundle(name="further.zip")


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_every_receipt_of_an_act_is_compared(log, order):
    """Of two receipts of one act, the one that differs from the log is named, in either order."""
    with running(log.database) as api:
        identifier, first = _promised(api, log, "alice", "first.jwt")
        log.superuser(
            f"UPDATE consent_event SET collected_at = collected_at - interval '9 days' WHERE id = '{identifier}'"
        )
        receipts = [first, log.receipt(api, identifier, "second.jwt")]
    told = log.verified(_reaching_further(log), *(receipts[each] for each in order))
    assert ended(told, WRONG, f"{first} tells something else: when it was collected")


def test_a_promise_is_of_one_log(log, tmp_path):
    """The receipt of one deployment says nothing of the bundle of another, with the keys of both."""
    with new_database() as database:
        (tmp_path / "other").mkdir()
        other = Log(database, tmp_path / "other")
        with running(database, public_url="https://other.example.fr") as api:
            api.agreed("ads", "alice")
            _, receipt = _promised(api, other, "alice", "other.jwt")
            keys = run_command(database, "proof", "key", public_url="https://other.example.fr")[2].split()
        options = [part for key in keys for part in ("--key", key)]
        assert ended(log.verified(_reaching_further(log), receipt, *options), INCOMPLETE)


def test_a_promise_stands_behind_what_the_log_had_when_it_was_made(log):
    """An act that a clock set back makes look older than earlier entries is not called wrong."""
    log.superuser("UPDATE proof_checkpoint SET claimed_until = claimed_until + interval '5 minutes'")
    with running(log.database) as api:
        api.decide("zoe", "ads")
        log.superuser(
            """UPDATE consent_event SET recorded_at = recorded_at + interval '5 minutes'
            WHERE recorded_at = (SELECT max(recorded_at) FROM consent_event)"""
        )
        log.append()
        before = log.bundle(name="before.zip")
        _, receipt = _promised(api, log, "alice", "slow.jwt")
        assert ended(log.verified(before, receipt), INCOMPLETE, "ask for a bundle that reaches further")
        log.append()
        assert ended(log.verified(log.bundle(name="after.zip"), receipt), INCOMPLETE)


def test_what_was_said_earlier_ends_nothing_that_was_said_later(log):
    """A refusal imported with an earlier date does not end a consent in the verifier's eyes; a withdrawal does."""
    with running(log.database) as api:
        consent = api.decide("olga", "ads")["id"]
        log.append()
        receipt = log.receipt(api, consent)
        imported(api, row(1, "olga", "refused"))
        log.append()
        status, output = log.verified(log.bundle(), receipt)
        assert (status, "does not stand any more" in output) == (INCOMPLETE, False), output
        api.withdraw("olga", "ads")
        log.append()
        assert ended(log.verified(log.bundle(name="after.zip"), receipt), WRONG, "does not stand any more")


def test_another_log_ends_no_consent(log):
    """A bundle with altered entries is wrong itself, and does not end the consent of a receipt beside it."""
    with running(log.database) as api:
        consent = api.decide("olga", "ads")["id"]
        log.append()
        receipt = log.receipt(api, consent)
        api.withdraw("olga", "ads")
    log.append()
    bundle = log.bundle()
    content = b"".join(json.dumps(line).encode() + b"\n" for line in lines_of(bundle))
    evil = replaced(bundle, log.place / "evil.zip", "data/entries.ndjson", content.replace(b"sceau", b"other", 1))
    status, output = log.verified(rewritten(evil, log.place / "none.zip", {"later.json": None}), receipt)
    assert (status, "does not stand any more" in output) == (WRONG, False), output


@pytest.mark.parametrize("language", ["en", "fr"])
def test_what_is_wrong_is_told_though_the_rest_cannot_be_read(bundled, tmp_path, language):
    """A file that cannot be parsed ends the reading of its bundle, and faults found before it are reported."""
    log, bundle = bundled
    row = json.dumps({"kind": "x", "id": "1 and 2: " * 3_000}) + "\n"
    odd = {"data/unentered.ndjson": lambda _: f"{row}{'[' * 100_000}\n".encode()}
    forged = rewritten(bundle, tmp_path / "forged.zip", odd, manifest=True)
    status, output = log.verified(forged, log.kept("head"), "--lang", language)
    wrong = {"en": "WRONG: x 1 and", "fr": "FAUX: x 1 and"}[language]
    assert (status, wrong in output, f"{log.place / 'head'}: " in output) == (WRONG, True, True)


@pytest.mark.parametrize("name", ["data/stamps/3.checkpoint", "data/" + "a/" * 30_000 + "b"], ids=["stamp", "name"])
def test_a_small_file_takes_little_memory(bundled, tmp_path, name):
    """A stamp that unpacks to hundreds of megabytes, and a name of thousands of folders: memory stays bounded."""
    log, bundle = bundled
    bomb = tmp_path / "bomb.zip"
    shutil.copy(bundle, bomb)
    with zipfile.ZipFile(bomb, "a", zipfile.ZIP_DEFLATED) as bag, bag.open(name, "w", force_zip64=True) as file:
        for _ in range(300 if "stamps" in name else 1):
            file.write(b" " * (1 << 20))
    tracemalloc.start()
    status, _ = log.verified(bomb)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (status in {WRONG, UNREADABLE}, peak < 200 << 20) == (True, True)


def test_a_body_that_one_file_lacks_and_another_has_is_told(log, capsys):
    """If an act's row was removed after its entry, the page warns, and a file that still has its body is named."""
    with running(log.database) as api:
        consent = api.decide("julie", "ads")["id"]
        withdrawal = api.withdraw("julie", "ads")["id"]
        log.append()
        granted, taken = log.receipt(api, consent, "given.jwt"), log.receipt(api, withdrawal, "taken.jwt")
        before = log.bundle(name="before.zip")
        log.superuser("DELETE FROM consent_event WHERE kind = 'withdrawn'")
        after = log.bundle(name="after.zip")
    keys = log.place / "keys"
    keys.write_text(log.key())
    status = verify_main([*map(str, (after, before, granted, taken)), "--key", str(keys), "--lang", "en"])
    text = capsys.readouterr().out
    assert status == WRONG
    holders = re.findall(r"(\w+\.\w+) has the body that \S+/after\.zip lacks: withdrawn, ads, ", text)
    assert set(holders) == {"before.zip", "taken.jwt"}
    assert re.search(r"after\.zip: ok: by the log's statement [1-9]\d* bodies were gone when it was made", text), text
    # What the person holds is good, and says itself that the consent has ended.
    assert re.search(r"given\.jwt: ok: the consent ended by entry .*: withdrawn, of .*, as the receipt says too", text)
    assert re.search(r"taken\.jwt: ok: it tells: consent withdrawn, ads, ", text)
    assert re.findall(r"\.jwt: (?:GOOD|WRONG|GENUINE).*", text) == [".jwt: GOOD", ".jwt: GOOD"]
    pages = [file_of(bundle, "data/index.en.html").decode() for bundle in (before, after)]
    assert ["no destruction that the log states explains it" in page for page in pages] == [False, True]


def test_a_bundle_of_nobody_accuses_nobody(bundled, made_old):
    """A stranger's bundle of a log of one name is not taken for a fork, with the log's keys or without them."""
    log, mine = bundled
    theirs = made_old.bundle()
    stranger = ("--key", made_old.key().split("\n")[1])  # of receipts: no log's
    for keys in ((), stranger):
        status, _, output = log.sceau("proof", "verify", mine, theirs, *keys)
        assert (status, "forked" in output) == (INCOMPLETE, False), output
    status, output = log.verified(mine, theirs)
    assert (status, "forked" in output) == (WRONG, False), output  # theirs is signed by no key that is trusted


def test_a_receipt_is_judged_by_bundles_that_have_its_entry(log):
    """A bundle proves what the register said at a receipt only if it has the receipt's entry."""
    before = log.bundle(name="before.zip")
    with running(log.database) as api:
        withdrawal = api.withdraw("alice", "ads")["id"]
        log.append()
        receipt = log.receipt(api, withdrawal)
    unproved = "receipt.jwt: NOT CHECKED: what the register said"
    assert unproved in log.verified(before, receipt)[1]
    assert unproved not in log.verified(log.bundle(name="after.zip"), receipt)[1]


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
def test_what_a_terminal_cannot_show_ends_no_run(bundled, tmp_path, encoding):
    """A file name or French words that the output's encoding lacks do not stop the verifier."""
    _, bundle = bundled
    odd = rewritten(bundle, tmp_path / "odd.zip", {"data/\u03a9": lambda _: b"x"})
    script = tmp_path / "verify.py"
    script.write_text(verifier_script())
    line = [sys.executable, "-I", str(script), str(odd), str(bundle), "--lang", "fr"]
    done = subprocess.run(line, capture_output=True, check=False, env={"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"})
    assert done.returncode == WRONG
    assert b"Traceback" not in done.stderr
    assert done.stdout.splitlines()[-1].startswith(str(bundle).encode())
