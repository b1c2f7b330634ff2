import contextlib
import json
import os
import signal
import subprocess
import time

import httpx2
import pytest

from app.db.embedded.errors import DirectoryInUse
from app.db.embedded.server import EmbeddedServer
from tests.demo.runs import ROOT, WITHOUT_CPYTHON_TESTS, demo
from tests.faults.service import HANGS, eventually
from tests.support.forked import run_forked

NOT_THERE = ("Traceback", "sceau_")
SECRET_WORDS = ("alice.martin", "bruno.petit", "comptes@example.org", "Votre devis", "a2@example.org")


pytestmark = pytest.mark.deep  # tests/e2e/doors runs the demo each time


@pytest.fixture(scope="module")
def shipped(data):
    """The demo on the messages that it ships, as on a Python without its own tests."""
    return demo(data, program=("-c", WITHOUT_CPYTHON_TESTS))


def test_shipped_messages_become_decisions(shipped):
    """Without CPython's tests, the demo's own messages: each local copy and each processing is one decision."""
    assert (shipped.status, shipped.err) == (0, "")
    assert "7 messages from the demo's own messages" in shipped.out
    assert "Local: example.fr. Messages without a local recipient: 1." in shipped.out
    assert "63 decisions in 9 batches" in shipped.out
    assert shipped.row("spam-filter", "PERMIT", "exempt", "III", "9")
    assert shipped.row("profile-resale", "deny", "purpose_not_permitted", "I", "9")


def test_each_made_up_consent_shows_its_state(shipped):
    """A grant is in force; a refusal, a grant of 400 days ago and one with a ticked box are not."""
    assert shipped.row("al…@example.fr", "targeted-ads", "granted", "in_force")
    assert shipped.row("br…@example.fr", "targeted-ads", "refused", "refused")
    assert shipped.row("br…@example.fr", "usage-statistics", "granted 400 days ago", "expired")
    assert shipped.row("ch…@example.fr", "targeted-ads", "granted, box ticked before", "invalid")


def test_summary_tells_every_reason(shipped):
    """What permitted and what denied advertising: the counts of the shipped messages."""
    assert shipped.row("targeted-ads", "PERMIT", "consent_in_force", "IV", "3")
    for reason, times in {"consent_refused": 2, "consent_invalid": 2, "consent_expired": 1, "no_consent": 1}.items():
        assert shipped.row("deny", reason, "IV", str(times))
    assert shipped.row("deny", "other_party", "IV", "2")


def test_withdrawal_changes_the_next_answer(shipped):
    """The same question is a permit before the withdrawal and a deny right after it."""
    text = shipped.out.partition("Withdrawal:")[2]
    assert "al…@example.fr from targeted-ads" in text
    assert "(1 consent ended)" in text
    assert text.index("PERMIT") < text.index("consent_in_force") < text.index("consent_withdrawn")


def test_output_fits_80_columns_and_tells_no_key(shipped):
    """Piped, every line has at most 80 columns; no key, no whole address and no traceback is printed."""
    assert max(map(len, shipped.out.splitlines())) <= 80
    for word in (*NOT_THERE, *SECRET_WORDS):
        assert word not in shipped.out


def test_nothing_listens_after_once(shipped):
    """With --once the service is gone when the demo is."""
    assert not shipped.listens()


def test_no_address_reaches_a_file(shipped, data):
    """No file of the data directory holds an address, a subject line or a Message-ID; the register is there."""
    contents = [file.read_bytes() for file in data.rglob("*") if file.is_file()]
    for word in SECRET_WORDS:
        assert not any(word.encode() in content for content in contents), word
    assert any(b"targeted-ads" in content for content in contents)


def test_left_running_until_interrupted(left_running, data):
    """Without --once the API page and the key's place are told, the page answers, and Ctrl-C ends all with status 0."""
    process, port = left_running(data)
    lines = iter(process.stdout.readline, "")
    address = next(line for line in lines if line.startswith("API page"))
    assert address.split()[-1] == f"http://127.0.0.1:{port}/docs"
    assert str(data / "keys" / "bootstrap") in next(lines)
    assert next(lines).split()[1] == f"http://127.0.0.1:{port}/console"
    link, command = next(lines).split()[1], next(lines).removeprefix("Ask ").strip()
    next(lines)
    with httpx2.Client(trust_env=False) as client:
        assert client.get(f"http://127.0.0.1:{port}/docs").status_code == 200
        assert client.get(link).status_code == 200
    answer = subprocess.run(["bash", "-c", f"{command} -s --noproxy '*'"], capture_output=True, text=True, check=True)
    assert isinstance(json.loads(answer.stdout)["decision"], bool)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    assert "Stopping …" in out
    with pytest.raises(httpx2.ConnectError), httpx2.Client(trust_env=False) as client:
        client.get(f"http://127.0.0.1:{port}/docs")


@pytest.mark.parametrize("after", ["Starting", "Register"])
def test_interrupted_midway(left_running, tmp_path, data, after):
    """Ctrl-C while it starts or while it tells: status 130, no traceback, nothing left that listens."""
    directory = tmp_path / "fresh" if after == "Starting" else data
    process, port = left_running(directory)
    for line in iter(process.stdout.readline, ""):
        if after in line:
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert (process.returncode, err) == (130, "")
    with pytest.raises(httpx2.ConnectError), httpx2.Client(trust_env=False) as client:
        client.get(f"http://127.0.0.1:{port}/livez")


def test_service_ends_when_the_demo_is_killed(left_running, data):
    """An end by kill -9 of the demo ends the service too: its port is free again and the data directory works."""
    process, port = left_running(data)
    for line in iter(process.stdout.readline, ""):
        if line.startswith("Ctrl-C"):
            break
    process.kill()
    process.communicate()
    with httpx2.Client(trust_env=False) as client, contextlib.suppress(httpx2.TransportError):
        while client.get(f"http://127.0.0.1:{port}/livez").status_code:
            time.sleep(0.1)

    def starts():
        try:
            with EmbeddedServer(data / "postgres") as server:
                return server.pid
        except DirectoryInUse:  # the service that lost its demo is on its way out
            return None

    assert eventually(starts) is not None


def test_what_happens_to_people_is_told_as_the_service_answered_it(shipped):
    """A child and a parent, a renewal declined, a text that two persons change, an erasure: each with its answer."""
    text = " ".join(shipped.out.split())
    assert "a child consents alone: awaiting_other_parent_or_child; a decision says consent_invalid" in text
    assert "a parent does too: in_force; a decision says consent_in_force" in text
    assert "renewal declined: a decision still says consent_in_force; a reminder is answered 409" in text
    assert "its own author approves it: 403 urn:sceau:problem:own-proposal" in text
    assert "erased: 1 consent found by the id before, 0 after; a decision says no_consent" in text


def test_the_demo_ends_with_a_receipt_verified_and_a_forged_row_named(shipped):
    """The verifier alone says both, with the words that docs/proof.md explains; nothing of the forgery is kept."""
    text = " ".join(shipped.out.partition("Proof:")[2].split())
    assert "her receipt, checked by verify.py alone: receipt.jwt: ok: the entry stands in the log" in text
    assert "the bundle of that moment says, as it should: audit.zip: WRONG: entry " in text
    assert "what the database has is not what was recorded - the row is as it was again, and a new bundle" in text
    assert text.endswith("Done; the service is stopped.")


def test_the_schedule_of_retention_is_signed_on_a_data_directory(shipped, data):
    """One command starts the database, signs, shows what is in force, and stops it; the next one runs by it."""
    for words, output in ((("sign", "--by", "DPO"), "Signed by DPO"), (("run",), "0 ledgers destroyed")):
        bare = {name: value for name, value in os.environ.items() if not name.startswith("SCEAU_")}
        done = run_forked(["retention", *words, "--data", str(data)], bare, ROOT, HANGS)
        assert (done.returncode, output in done.stdout) == (0, True), done.stderr
