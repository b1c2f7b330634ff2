"""Time-stamps of the log: asked for, checked before they are kept, bundled, and verified by us and by OpenSSL."""

import asyncio
import shlex
import subprocess
import threading
import zipfile
from base64 import b64encode
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from cryptography.x509 import load_pem_x509_certificates

from app.jobs.tasks import stamp_newest
from app.jobs.work import Work
from app.operations.proof.append_entries import keep_stamp
from app.proof.anchors import AuthorityError, StampAnswer
from app.proof.authority import TimeAuthority
from app.proof.store import latest_checkpoint
from app.proof.verifier.anchors import STAMP_FAULTS, Stamp, StampError, stamp_of
from app.wiring.parts import database_of, deployment_of
from tests.proof.logs import GOOD, INCOMPLETE, WRONG, ended, lines_of, lived_in, rewritten
from tests.proof.tsa import POLICY, Authority, serving
from tests.support.api import running, settings_for
from tests.support.databases import execute, new_database


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """An authority that is trusted."""
    return Authority(tmp_path_factory.mktemp("tsa") / "own")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """An authority that is not trusted."""
    return Authority(tmp_path_factory.mktemp("tsa") / "other")


@pytest.fixture(scope="module")
def stamped(tmp_path_factory, authority):
    """A deployment with a time-stamp that the log states, and a bundle that ends with the stamped checkpoint."""
    with new_database() as database, serving(authority.answer) as served:
        log = lived_in(database, tmp_path_factory.mktemp("log"))
        log.more = {"tsa_url": served.address, "tsa_ca_file": str(authority.roots)}
        status, refused, output = log.sceau("proof", "stamp")
        assert (status, output) == (0, "0 entries appended.\nThe newest checkpoint is time-stamped.\n"), refused
        assert "entries appended" in log.append()
        log.bundle("--anchored", name="anchored.zip")
        yield log


@pytest.fixture
def bundle(stamped):
    """The bundle that ends with the stamped checkpoint."""
    return stamped.place / "anchored.zip"


def test_a_stamped_log_is_good_and_nothing_is_missing(stamped, bundle, authority):
    """The verdict is GOOD, exit 0, and says since when the entries are there, and under which policy."""
    status, output = stamped.verify(bundle, roots=authority.roots)
    assert status == GOOD, output
    assert f"a time-stamp under policy {POLICY}: the first {len(lines_of(bundle))} entries were there at" in output
    assert "NOT CHECKED" not in output


def test_the_log_states_its_stamps(stamped):
    """The log states a stamp in an `anchor` entry, and the verifier says what is not covered by the stamp."""
    bundle = stamped.bundle("--newest")
    assert [line for line in lines_of(bundle) if '"kind":"anchor"' in line["entry"]]
    assert ended(stamped.verify(bundle, roots=stamped.more["tsa_ca_file"]), INCOMPLETE, "nobody outside had them yet")


def _command(output):
    """The command that is printed for an auditor."""
    (line,) = [line for line in output.splitlines() if "openssl ts -verify" in line]
    return line.partition("entries: ")[2]


def test_without_roots_the_command_that_is_printed_checks_the_stamp(stamped, bundle, authority, stranger, tmp_path):
    """The printed command has OpenSSL accept the stamp with the authority's roots, and not with other roots."""
    status, output = stamped.verify(bundle)
    assert (status, "not anchored" in output) == (INCOMPLETE, False)
    command = _command(output)
    assert command.endswith(" -CAfile FILE")
    for roots, agrees in ((authority.roots, True), (stranger.roots, False)):
        line = command.removesuffix("FILE") + shlex.quote(str(roots))
        done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False, cwd=tmp_path)
        assert (done.returncode == 0) is agrees, done.stderr
        assert ("Verification: OK" in done.stdout) is agrees


_ALONE = """
import runpy, sys
sys.modules["rfc3161_client"] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_the_single_file_checks_stamps_where_it_can(stamped, bundle, authority):
    """The single file checks stamps if it has the library; otherwise it says that it does not, and how to do it."""
    words = [bundle, "--key", stamped.key().split("\n")[0], "--tsa-ca", authority.roots]
    for how, status in (([], GOOD), (["-c", _ALONE], INCOMPLETE)):
        done = stamped.alone(*words, how=how)
        assert done.returncode == status, f"{done.stdout}{done.stderr}"
        if status == GOOD:
            assert done.stdout == stamped.verify(bundle, roots=authority.roots)[1]
        else:
            assert "install rfc3161-client" in done.stdout
            assert _command(done.stdout).startswith("unzip -p ")


def _stamp_in(bundle):
    with zipfile.ZipFile(bundle) as bag:
        (name,) = [each for each in bag.namelist() if each.endswith(".tsr")]
    return name


FORGED = {
    "of something else": (lambda own, _: own.answer(own.query(b"something else")), "it is of something else"),
    "of an authority that nobody trusts": (
        lambda _, other: other.answer(other.query(other.stamped)),
        "no authority that is trusted has signed it",
    ),
    "that is none": (lambda *_: b"0", "it is no time-stamp"),
    "that is a refusal": (lambda own, _: own.answer(own.query(b"x"), digests="sha512"), "the authority has refused it"),
}


@pytest.mark.parametrize("case", FORGED)
def test_a_stamp_that_is_none_is_named(stamped, authority, stranger, tmp_path, case):
    """A false stamp in a bundle with a fitting manifest is wrong, with the reason."""
    (forge, says), bundle = FORGED[case], stamped.place / "anchored.zip"
    name = _stamp_in(bundle)
    with zipfile.ZipFile(bundle) as bag:
        stranger.stamped = bag.read(name.replace(".tsr", ".checkpoint"))
    answer = forge(authority, stranger)
    forged = rewritten(bundle, tmp_path / "forged.zip", {name: lambda _: answer}, manifest=True)
    told = stamped.verify(forged, roots=authority.roots)
    assert ended(told, WRONG, f"WRONG: the time-stamp of {len(lines_of(bundle))} entries: {says}")


def test_an_answer_that_was_changed_is_a_stamp_of_the_same_or_none(authority):
    """An answer with one changed byte is refused with a known fault, or reads as the original stamp."""
    answer, roots = (authority.answer(authority.query(b"x")), load_pem_x509_certificates(authority.roots.read_bytes()))
    genuine, faults = stamp_of(answer, b"x", roots), set()
    for at in range(len(answer)):
        changed = answer[:at] + bytes([answer[at] ^ 1 + at % 255]) + answer[at + 1 :]
        try:
            assert stamp_of(changed, b"x", roots) == genuine
        except StampError as error:
            faults.add(str(error))
    assert {"form", "imprint", "signature"} <= faults <= set(STAMP_FAULTS)


def test_a_stamp_of_another_log_is_named(stamped, bundle, authority, tmp_path):
    """A good stamp of a head with another root is named: it shows that the log was rewritten."""
    name = _stamp_in(bundle).replace(".tsr", ".checkpoint")
    with zipfile.ZipFile(bundle) as bag:
        lines = bag.read(name).decode().split("\n")
    other = "\n".join([*lines[:2], "A" * 43 + "=", *lines[3:]]).encode()
    answer = authority.answer(authority.query(other))
    changes = {name: lambda _: other, _stamp_in(bundle): lambda _: answer}
    forged = rewritten(bundle, tmp_path / "forged.zip", changes, manifest=True)
    assert ended(stamped.verify(forged, roots=authority.roots), WRONG, "is of another log: this one was rewritten")


def test_a_stamp_that_a_superuser_replaces_or_removes_is_named(stamped, authority):
    """A stamp that was replaced or removed in the database is named, even if the new one is good."""
    note = stamped.value("SELECT note FROM proof_checkpoint JOIN proof_anchor USING (size)")
    another = authority.answer(authority.query(note.encode())).hex()
    stamped.superuser("CREATE TABLE kept AS TABLE proof_anchor")
    for statement, says in (
        (f"UPDATE proof_anchor SET content = '\\x{another}'", "what the database has is not what was recorded"),
        ("UPDATE proof_anchor SET told_at = told_at - interval '1 day'", "is not what was recorded"),
        ("DELETE FROM proof_anchor", "its body is gone"),
    ):
        stamped.superuser(statement)
        status, output = stamped.verify(stamped.bundle("--newest", name="tampered.zip"), roots=authority.roots)
        stamped.superuser("TRUNCATE proof_anchor")
        execute(stamped.database, "INSERT INTO proof_anchor SELECT * FROM kept")
        assert (status, "anchor" in output, says in output) == (WRONG, True, True), output
    assert stamped.verify(stamped.bundle("--newest", name="again.zip"), roots=authority.roots)[0] == INCOMPLETE


class Asking:
    """A log, and runs of the task against what is served."""

    def __init__(self, log, authority):
        """Believe one authority."""
        self.log = log
        self.roots = load_pem_x509_certificates(authority.roots.read_bytes())

    def __call__(self, address, *, seconds=20.0, at_once=True):
        """Run once: whether it stamped, or why not."""
        authority = TimeAuthority(address, self.roots, seconds=seconds)

        async def once():
            settings = settings_for(self.log.database)
            database = database_of(settings)
            work = Work(database, deployment_of(settings), authority=authority)
            try:
                return await stamp_newest(work, at_once=at_once)
            except AuthorityError as error:
                return str(error)
            finally:
                await database.close()

        return asyncio.run(once())

    def kept(self):
        """How many stamps are kept."""
        return self.log.value("SELECT count(*) FROM proof_anchor")


@pytest.fixture
def asking(database, tmp_path, authority):
    """A log of which no stamp is kept."""
    return Asking(lived_in(database, tmp_path), authority)


def test_an_authority_that_fails_or_lies_is_not_believed(asking, authority, stranger):
    """Each failure or lie of an authority has a named cause and keeps no stamp; a good answer is then kept."""
    old = authority.answer(authority.query(b"long ago"))
    replayed = []

    def replay(query):
        replayed.append(authority.answer(query))
        return replayed[0]

    cases = {
        "signature": stranger.answer,
        "imprint": lambda _: old,
        "refused": lambda query: authority.answer(query, digests="sha512"),
        "form": lambda _: b"<html>",
        "too_large": lambda _: bytes(70_000),
    }
    with serving(None) as served:
        for cause, answers in cases.items():
            served.answers = answers
            assert asking(served.address) == cause
        served.answers, served.status = authority.answer, 500
        assert asking(served.address) == "status"
        served.status, served.headers = 302, {"Location": served.address}
        assert asking(served.address) == "status"
        served.status, served.headers = 200, {"Content-Encoding": "gzip"}
        assert asking(served.address) == "status"
        served.headers = {}
        assert asking.kept() == 0
        served.answers = replay
        assert asking(served.address) is True
        asking.log.superuser("DELETE FROM proof_anchor")
        assert asking(served.address) == "nonce"  # the same bytes as before: only the request is another
        served.answers = authority.answer
        assert asking(served.address) is True
    assert asking("http://127.0.0.1:1/") is False  # stamped already: nobody is asked
    asking.log.superuser("DELETE FROM proof_anchor")
    assert asking("http://127.0.0.1:1/") == "connect"


def test_an_authority_that_hangs_is_given_up(asking, authority):
    """An authority that hangs is given up at the deadline, and meanwhile no transaction is open and appends go on."""
    arrived, goes_on = threading.Event(), threading.Event()

    def hang(query):
        arrived.set()
        goes_on.wait()
        return authority.answer(query)

    with serving(hang) as served:
        asker = threading.Thread(target=asking, args=(served.address,))
        asker.start()
        arrived.wait()
        with running(asking.log.database) as api:
            api.withdraw("alice", "ads")
        assert asking.log.append() not in {"", "0 entries appended"}
        open_ones = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"
        assert asking.log.value(open_ones) == 0
        goes_on.set()
        asker.join()
        assert asking.kept() == 1
        goes_on.clear()
        assert asking(served.address, seconds=0.2) == "timeout"
        goes_on.set()


@pytest.mark.parametrize("off", ["+ interval '1 hour'", "- interval '1 hour'"])
def test_a_stamp_of_a_time_that_cannot_be_is_not_believed(asking, authority, off):
    """A stamp dated before its checkpoint is refused; control: one dated any time after it is kept."""
    asking.log.superuser(f"UPDATE proof_checkpoint SET signed_at = signed_at {off}")
    with serving(authority.answer) as served:
        assert asking(served.address) == ("time" if off.startswith("+") else True)


def test_a_stamp_of_the_future_is_not_kept_and_no_stamp_twice(asking):
    """A stamp an hour in the future is refused, and a second stamp of one checkpoint is not kept."""
    kept: list[bool | str] = []

    async def keep():
        database = database_of(settings_for(asking.log.database))
        async with database.write() as session:
            checkpoint, now = await latest_checkpoint(session), await session.now()
            assert checkpoint is not None
            fork = replace(checkpoint, note=f"{checkpoint.note}another\n")
            kept.append(await keep_stamp(session, fork, StampAnswer(b"0", Stamp(now, POLICY))))
            for ahead in (timedelta(hours=1), timedelta(0), timedelta(0)):
                try:
                    kept.append(await keep_stamp(session, checkpoint, StampAnswer(b"0", Stamp(now + ahead, POLICY))))
                except AuthorityError as error:
                    kept.append(str(error))
        await database.close()

    asyncio.run(keep())
    assert kept == [False, "time", True, False]  # of another log's checkpoint; of the future; kept; kept before


def test_stamps_hold_across_keys_and_periods(asking, authority):
    """A stamp stays good after its checkpoint's key is rotated; a bundle of a period has the stamps of that period."""
    log, sizes, oldest = asking.log, [], asking.log.key().split("\n")[0]
    with serving(authority.answer) as served:
        for name in ("alice", "carol"):
            assert asking(served.address) is True
            sizes.append(log.value("SELECT max(size) FROM proof_anchor"))
            assert log.sceau("signing-keys", "rotate", "log")[0] == 0
            log.withdrawn(name)
    status, output = log.verify(log.bundle("--anchored"), key=oldest, roots=authority.roots)
    assert (status, [f"the first {size} entries were there" in output for size in sizes]) == (GOOD, [True, True]), (
        output
    )
    log.superuser(f"UPDATE proof_checkpoint SET signed_at = signed_at - interval '1 day' WHERE size = {sizes[0]}")
    since = log.value("SELECT to_char(now() AT TIME ZONE 'UTC' - interval '12 hours', 'YYYY-MM-DD\"T\"HH24:MI:SSZ')")
    status, output = log.verify(log.bundle("--anchored", "--since", since), key=oldest, roots=authority.roots)
    assert (status, [f"the first {size} entries were there" in output for size in sizes]) == (
        INCOMPLETE,
        [False, True],
    ), output


def test_the_command_says_why_there_is_no_stamp(asking, authority):
    """The command says why there is no stamp, in a sentence and in the jobs log's word; or which setting is missing."""
    status, _, output = asking.log.sceau("proof", "stamp")
    assert (status, "Not time-stamped: SCEAU_TSA_URL names no authority." in output) == (0, True)
    asking.log.more = {"tsa_url": "http://127.0.0.1:1/", "tsa_ca_file": str(authority.roots)}
    status, refused, _ = asking.log.sceau("proof", "stamp")
    assert (status, refused) == (
        1,
        "proof stamp: not time-stamped: the authority cannot be reached, or does not speak HTTP (connect)\n",
    )


def test_a_password_is_shown_to_the_authority_alone(asking, authority):
    """The authority's password is sent in a header (HTTP Basic), and not in the address."""
    with serving(authority.answer) as served:
        assert asking(served.address.replace("http://", "http://user:se%2Fcret@")) is True
        ((_, headers),) = served.asked
    assert headers["Authorization"] == f"Basic {b64encode(b'user:se/cret').decode()}"
    assert headers["Host"] == urlsplit(served.address).netloc


def test_the_log_is_stamped_once_an_hour_and_sooner_after_a_failure(asking, authority):
    """A run asks for no stamp within an hour of the last one, and asks again after a failure."""
    with serving(lambda _: b"") as served:
        assert asking(served.address, at_once=False) == "form"
        served.answers = authority.answer
        assert asking(served.address, at_once=False) is True
        asking.log.withdrawn()
        assert asking(served.address, at_once=False) is False
        assert len(served.asked) == 2
        asking.log.superuser("UPDATE proof_anchor SET kept_at = kept_at - interval '56 minutes'")
        assert asking(served.address, at_once=False) is True
    assert asking.kept() == 2
