import contextlib
import mailbox
import signal
import time
from email.message import EmailMessage
from email.policy import default

import httpx2
import pytest

from app.db.embedded import EmbeddedServer
from app.db.embedded.errors import DirectoryInUse
from tests.demo.runs import ROOT, WITHOUT_CPYTHON_TESTS, demo
from tests.faults.service import eventually

MESSAGES = sorted((ROOT / "demo" / "messages").glob("*.eml"))
NOT_THERE = ("Traceback", "sceau_")
SECRET_WORDS = ("alice.martin", "bruno.petit", "comptes@example.org", "Votre devis", "a2@example.org")


def letter(sender, *recipients, body="…\n"):
    """A message to those recipients."""
    message = EmailMessage(policy=default)
    message["From"], message["To"], message["Subject"] = sender, ", ".join(recipients), "Marked subject"
    message["Message-ID"] = "<marked@example.org>"
    message.set_content(body)
    return message


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
    told = shipped.out.partition("Withdrawal:")[2]
    assert "al…@example.fr from targeted-ads" in told
    assert "(1 consent ended)" in told
    assert told.index("PERMIT") < told.index("consent_in_force") < told.index("consent_withdrawn")


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
    held = [file.read_bytes() for file in data.rglob("*") if file.is_file()]
    for word in SECRET_WORDS:
        assert not any(word.encode() in content for content in held), word
    assert any(b"targeted-ads" in content for content in held)


def test_second_run_works_on_what_is_there(shipped, data):
    """A second run registers nothing, records the consents again, and ends with the same decisions."""
    again = demo(data, program=("-c", WITHOUT_CPYTHON_TESTS))
    assert (again.status, again.err) == (0, "")
    assert "7 processings, 0 of them new" in again.out
    assert again.row("al…@example.fr", "targeted-ads", "granted", "in_force")
    assert again.row("targeted-ads", "PERMIT", "consent_in_force", "IV", "3")
    assert "(1 consent ended)" in again.out


@pytest.fixture(scope="module")
def odd(tmp_path_factory, data):
    """The demo on an mbox of odd messages and addresses, shown."""
    path = tmp_path_factory.mktemp("odd") / "mail.mbox"
    box = mailbox.mbox(path)
    box.add(
        letter("x@example.org", "ann@home.example", body="Hello\n\nFrom here on\n\nFrom x Mon Jan 1 10:00:00 2026\n")
    )
    box.add(letter("x@example.org", "ann@home.example", "bob@home.example", "carl@else.example"))
    box.add(b"To: <<<broken\nFrom: =?utf-8?q?=FF\xff\n\nbody\n")
    box.add(b"\xff\xfe\x00not a header\n\n" + b"x" * 200_000)
    box.add(letter("x@example.org", f"{'long' * 10}@home.example"))
    box.close()
    return demo(data, "--mail", str(path), "--show-addresses")


def test_mbox_with_odd_messages(odd):
    """An mbox: quoted and unquoted From lines in bodies start no message; malformed headers end nothing."""
    assert (odd.status, odd.err) == (0, "")
    assert "5 messages from mail.mbox" in odd.out
    assert "Local: home.example. Messages without a local recipient: 2." in odd.out
    assert odd.row("spam-filter", "PERMIT", "exempt", "III", "4")
    assert odd.row("1", "ann@home.example", "spam-filter")
    assert "carl@else.example" not in odd.out


def test_long_addresses_leave_the_reasons_whole(odd):
    """Addresses wider than their column are cut; the reason beside them is not."""
    assert odd.row("profile-resale", "deny", "purpose_not_permitted", "I")
    assert "long" * 10 not in odd.out
    assert max(map(len, odd.out.splitlines())) <= 80


def test_maildir(tmp_path, data):
    """A Maildir: new and cur are read; one lone user is shown a grant, an old one and a pre-ticked one."""
    box = mailbox.Maildir(tmp_path / "Maildir")
    for number in range(3):
        box.add(letter("x@example.org", "me@single.example", body=f"{number}\n"))
    read = mailbox.MaildirMessage(letter("x@example.org", "me@single.example"))
    read.set_subdir("cur")
    box.add(read)
    told = demo(data, "--mail", str(tmp_path / "Maildir"))
    assert (told.status, told.err) == (0, "")
    assert "4 messages from Maildir" in told.out
    assert told.row("m…@single.example", "usage-statistics", "granted 400 days ago", "expired")
    assert told.row("smart-reply-training", "deny", "consent_invalid", "IV", "4")


def test_domain_chooses_who_is_local(tmp_path, data):
    """With --domain, the recipients of that domain are local although another is more frequent."""
    path = tmp_path / "mail.mbox"
    box = mailbox.mbox(path)
    box.add(letter("x@example.org", "a@many.example", "b@many.example", "c@few.example"))
    box.close()
    told = demo(data, "--mail", str(path), "--domain", "FEW.example")
    assert told.status == 0
    assert "Local: few.example." in told.out
    assert told.row("spam-filter", "PERMIT", "exempt", "III", "1")


def test_without_mail_the_default_messages(data):
    """Without --mail: CPython's own test messages where this Python has them, else those that the demo ships."""
    try:
        from importlib import resources

        has_them = (resources.files("test.test_email") / "data").is_dir()
    except ModuleNotFoundError:
        has_them = False
    told = demo(data)
    assert (told.status, told.err) == (0, "")
    assert ("messages from CPython's own test messages" if has_them else "from the demo's own messages") in told.out
    assert told.row("profile-resale", "deny", "purpose_not_permitted", "I")


def test_left_running_until_interrupted(left_running, data):
    """Without --once the API page and the key's place are told, the page answers, and Ctrl-C ends all with status 0."""
    process, port = left_running(data)
    lines = iter(process.stdout.readline, "")
    told = next(line for line in lines if line.startswith("API page"))
    assert told.split()[-1] == f"http://127.0.0.1:{port}/docs"
    assert str(data / "keys" / "bootstrap") in next(lines)
    next(lines)
    with httpx2.Client(trust_env=False) as client:
        assert client.get(f"http://127.0.0.1:{port}/docs").status_code == 200
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert (process.returncode, err) == (0, "")
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
