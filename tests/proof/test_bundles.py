"""What a bundle may hold besides the log: one person's bodies alone, a replay; and that the log states bundles."""

import asyncio
import hashlib
import json
import shutil
import struct
import subprocess
import sys
import zipfile
import zlib
from datetime import UTC, datetime, timedelta

import pytest

from app.operations.proof import bundle
from tests.faults.service import eventually
from tests.proof.logs import INCOMPLETE, UNREADABLE, WRONG, Log, copied, ended, file_of, lines_of, replaced, rewritten
from tests.support.api import question, running, subject
from tests.support.databases import new_database


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A deployment with two people, one decision that was logged, and everything in the log."""
    with new_database() as database:
        with running(database, decision_log="durable") as api:
            api.agreed("ads", "alice", "bruno")
            api.ok("POST", "/access/v1/evaluation", question("alice", "ads"))
            eventually(lambda: api.ok("POST", "/v1/decisions/search", {})["items"])
        log = Log(database, tmp_path_factory.mktemp("made"))
        log.append()
        yield log


@pytest.fixture
def log(made, tmp_path):
    """The same, for a test to change."""
    with copied(made, tmp_path) as log:
        yield log


def _consent(log, name):
    with running(log.database) as api:
        return api.ok("POST", "/v1/consents/search", {"subject": subject(name)})["items"][0]["id"]


def test_a_bundle_of_one_person_has_nobody_else_s_bodies(log):
    """A bundle of one person has the entries of others without their bodies, says so, and is not wrong for it."""
    mine, other = _consent(log, "alice"), _consent(log, "bruno")
    bundle = log.bundle("--person-of", mine)
    assert ended(log.verify(bundle), INCOMPLETE, "bodies about other people are not part of this bundle")
    bodies = [json.loads(line["body"]) for line in lines_of(bundle) if "body" in line]
    ids = {each["id"] for each in bodies if "seq" in each}
    assert (mine in ids, other in ids) == (True, False)
    assert log.sceau("proof", "bundle", "-o", log.place / "x.zip", "--person-of", str(datetime.now(UTC)))[0] == 2
    nobody = "01900000-0000-7000-8000-000000000000"
    status, errors, _ = log.sceau("proof", "bundle", "-o", log.place / "x.zip", "--person-of", nobody)
    assert (status, errors) == (1, "there is no consent of that id")


@pytest.mark.parametrize("change", ["processing = 'other'", "subject_ref = sha256('x')"])
def test_a_selection_withholds_only_what_is_as_it_was_entered(log, change):
    """A withdrawal that was moved to another processing or person is named, and not withheld as somebody else's."""
    mine = _consent(log, "alice")
    with running(log.database) as api:
        api.withdraw("alice", "ads")
    log.append()
    log.superuser(f"UPDATE consent_event SET {change} WHERE kind = 'withdrawn'")
    selection = ("--processing", "ads") if change.startswith("processing") else ("--person-of", mine)
    assert ended(log.verify(log.bundle(*selection)), WRONG, "what the database has is not what was recorded")


def test_a_replay_is_told_as_the_operator_s_word(log):
    """The counts of a bundle's replay are told as the operator's word; a replay with differences is wrong."""
    today = datetime.now(UTC)
    days = ("--since", f"{today - timedelta(days=1):%Y-%m-%d}", "--until", f"{today + timedelta(days=1):%Y-%m-%d}")
    bundle = log.bundle("--replay", *days)
    word = "which is the operator's word: 1 decisions, 1 reproduced, 0 different"
    assert ended(log.verify(bundle), INCOMPLETE, word)
    replay = json.loads(file_of(bundle, "data/replay.json"))
    other = json.dumps({**replay, "reproduced": 0, "different": 1}).encode()
    forged = replaced(bundle, log.place / "forged.zip", "data/replay.json", other)
    assert ended(log.verify(forged), WRONG, "decisions come out otherwise")
    status, errors, _ = log.sceau("proof", "bundle", "-o", log.place / "x.zip", "--replay")
    assert (status, "--replay needs --since and --until" in errors) == (2, True)


def test_the_log_says_which_bundles_were_made(log):
    """The log has an entry for each bundle, with the hash of its list of files."""
    first = log.bundle(name="first.zip")
    log.append()
    later = log.bundle(name="later.zip")
    listed = hashlib.sha256(file_of(first, "manifest-sha256.txt")).hexdigest()
    size = json.loads(file_of(first, "data/log.json"))["size"]
    stated = [json.loads(line["body"])["body"] for line in lines_of(later) if '"kind":"bundle"' in line["entry"]]
    assert [(each["manifest_sha256"], each["size"]) for each in stated] == [(listed, size)]


def test_a_name_that_unpacks_to_somewhere_else_is_named(log):
    """A file name that could unpack over another file is named as wrong."""
    bundle, odd = log.bundle(), log.place / "odd.zip"
    names = ("data/stamps/./1.tsr", "data/../x", "/data/x", "data\\x", "data//x", "../x", "data/.x", "DATA/checkpoint")
    for name in names:
        shutil.copy(bundle, odd)
        with zipfile.ZipFile(odd, "a") as bag:
            bag.writestr(name, b"something else")
        status, output = log.verify(odd)
        assert "no file of a bundle has such a name" in output or "stands there twice" in output, name
        assert status == 1


def test_a_file_that_has_another_name_for_other_tools_is_named(log):
    """A file with a second name in an extra field (0x7075), which other tools would use, is named as wrong."""
    bundle, forged = log.bundle(), log.place / "forged.zip"
    with zipfile.ZipFile(bundle) as old, zipfile.ZipFile(forged, "w") as new:
        for each in old.namelist():
            named = zipfile.ZipInfo(each)
            if each == "data/checkpoint":
                field = b"\x01" + zlib.crc32(each.encode()).to_bytes(4, "little") + b"data/other"
                named.extra = b"\x75\x70" + len(field).to_bytes(2, "little") + field
            new.writestr(named, old.read(each))
    assert ended(log.verify(forged), WRONG, "no file of a bundle has such a name")


@pytest.mark.parametrize("name", ["data/log.json", "data/entries.ndjson", "later.json"])
@pytest.mark.parametrize(
    ("first", "said"),
    [('"{}": 0', "an object in it has two members of one name"), ('"more": NaN', "it is no JSON: NaN")],
)
def test_a_file_that_other_readers_of_json_read_otherwise_is_refused(log, name, first, said):
    """A member before one of the same name, which some readers take for it, or a number that JSON does not have."""
    bundle = log.bundle()
    member = file_of(bundle, name).decode().split('"')[1]

    def doubled(content):
        return content.replace(b"{", f"{{{first.format(member)}, ".encode(), 1)

    forged = rewritten(bundle, log.place / "forged.zip", {name: doubled}, manifest=True)
    status, output = log.verify(forged)
    assert status in {WRONG, UNREADABLE}  # wrong, where its list was compared before
    assert said in output
    assert log.verify(rewritten(bundle, forged, {}, manifest=True))[0] == INCOMPLETE


def test_what_is_entered_while_a_bundle_is_made_is_not_taken_for_unknown(log, monkeypatch):
    """A decision is recorded and entered after the entries are written: the bundle ends before it, and verifies."""
    written = bundle.lines_of

    async def lines_of_and_then_more(session, made):
        async for line in written(session, made):
            yield line
        await asyncio.to_thread(_enter_one_more, log)

    with monkeypatch.context() as patch:
        patch.setattr(bundle, "lines_of", lines_of_and_then_more)
        file = log.bundle()
    assert ended(log.verify(file), INCOMPLETE)


def _enter_one_more(log):
    with running(log.database) as api:
        api.decide("chloe", "ads")
    assert "entries appended" in log.append()


def _with_a_hidden_member(content, bundle):
    """A member between the last one and the directory, which a reader of the directory does not see."""
    with zipfile.ZipFile(bundle) as bag:
        story = b"<h1>Another story</h1>"
        name = b"data/index.html"
        crc = zlib.crc32(story)
        head = struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 0, 0, 33, crc, len(story), len(story), len(name), 0)
        at = content.index(b"PK\1\2", max(each.header_offset for each in bag.infolist()))
    hidden = head + name + story
    end = bytearray(content[-22:])
    struct.pack_into("<I", end, 16, at + len(hidden))
    return content[:at] + hidden + content[at:-22] + bytes(end)


HIDDEN = {
    "a member that the directory does not name": _with_a_hidden_member,
    "octets before the first member": lambda content, _: b"x" * 40 + content,
    "a comment": lambda content, _: content[:-2] + struct.pack("<H", 7) + b"another",
    "octets at the end": lambda content, _: content + b"PK",
}


def test_what_is_hidden_in_the_zip_is_named(log):
    """Data hidden in the ZIP besides its files, which other tools might read, is named as wrong."""
    bundle = log.bundle()
    assert log.verify(bundle)[0] == 3
    hidden = log.place / "hidden.zip"
    for name, hide in HIDDEN.items():
        hidden.write_bytes(hide(bundle.read_bytes(), bundle))
        status, output = log.verify(hidden)
        assert status in {1, 2}, name
        assert "it was changed" in output or "UNREADABLE" in output, name


def test_a_changed_tag_is_named(log):
    """A changed `bag-info.txt` is named, because the list of tags has its hash."""
    bundle, changed = log.bundle(), log.place / "changed.zip"
    with zipfile.ZipFile(bundle) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name) + (b"Contact-Name: nobody\n" if name == "bag-info.txt" else b""))
    assert ended(log.verify(changed), WRONG, "bag-info.txt: it is not as the list of tags has it")


def test_a_bundle_that_was_written_to_a_pipe_is_good(log):
    """A bundle written to a pipe, where sizes follow each file, verifies as others do."""
    made = log.place / "piped.zip"
    with made.open("wb") as sink:
        line = [sys.executable, "-c", PIPED, str(log.bundle())]
        with subprocess.Popen(line, stdout=subprocess.PIPE) as piping:
            assert piping.stdout is not None
            sink.write(piping.stdout.read())
    with zipfile.ZipFile(made) as bag:
        assert all(each.flag_bits & 8 for each in bag.infolist() if each.filename.startswith("data/"))
    assert log.verify(made)[0] == 3


def test_sizes_may_stand_in_both_places(log):
    """A file's sizes may stand in its header besides its extra field, as old Pythons write them; others may not."""
    bundle, both = log.bundle(), log.place / "both.zip"
    for more, expected in ((0, INCOMPLETE), (1, WRONG)):
        content = bytearray(bundle.read_bytes())
        with zipfile.ZipFile(bundle) as bag:
            wide = [each for each in bag.infolist() if each.filename.startswith("data/")]
        for each in wide:
            struct.pack_into("<II", content, each.header_offset + 18, each.compress_size + more, each.file_size)
        both.write_bytes(content)
        assert ended(log.verify(both), expected), more


PIPED = """
import sys, zipfile
from app.proof.entries import Bag
with zipfile.ZipFile(sys.argv[1]) as old, Bag(sys.stdout.buffer) as bag:
    for name in old.namelist():
        if name.startswith("data/"):
            bag.put(name, old.read(name))
    bag.put_tag("later.json", old.read("later.json"))
"""
