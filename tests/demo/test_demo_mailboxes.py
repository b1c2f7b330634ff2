"""What the demo tells about one mailbox or another: the demo itself in this process, on one service for all of them."""

import mailbox
import sys
from contextlib import nullcontext
from email.message import EmailMessage
from email.policy import default
from types import SimpleNamespace

import pytest

from demo.cli import main
from demo.mailboxes import choose_mailbox
from demo.service import running_service
from demo.story import Story
from demo.tables import Addresses, console
from tests.demo.runs import Run
from tests.faults.service import free_port

pytestmark = pytest.mark.deep


def letter(sender, *recipients, body="…\n"):
    """A message to those recipients."""
    message = EmailMessage(policy=default)
    message["From"], message["To"], message["Subject"] = sender, ", ".join(recipients), "Marked subject"
    message["Message-ID"] = "<marked@example.org>"
    message.set_content(body)
    return message


@pytest.fixture(scope="module")
def service(data):
    """The demo's service, as the demo starts it."""
    with running_service(data, free_port()) as started:
        yield started


@pytest.fixture
def told(monkeypatch, capsys, service):
    """Run the demo on the service that runs already, or on what stands for another."""

    def run(*arguments, on=service):
        monkeypatch.setattr("signal.signal", lambda *_: None)
        monkeypatch.setattr("demo.cli.running_service", lambda *_: nullcontext(on))
        monkeypatch.setenv("COLUMNS", "80")
        status = main(["--once", *arguments])
        out, err = capsys.readouterr()
        return Run(status, out, err, 0)

    return run


@pytest.fixture
def without_cpython_tests(monkeypatch):
    """A Python without its own tests, on which the demo reads the messages that it ships."""
    monkeypatch.setitem(sys.modules, "test.test_email", None)


def test_each_run_ends_with_a_link_to_the_consent_page(service, told, capsys):
    """The address of a made-up person is another holder's each time: asking for a link twice gives two."""
    assert told().status == 0
    for _ in range(2):
        Story(console(), choose_mailbox(None), Addresses(whole=False)).say_where(service.url, service.key_file)
    links = [line.split()[1] for line in capsys.readouterr().out.splitlines() if line.startswith("Consent")]
    assert len(set(links)) == 2


def test_second_run_works_on_what_is_there(told, without_cpython_tests):
    """A second run registers nothing, records the consents again, and ends with the same decisions."""
    assert told().status == 0
    again = told()
    assert (again.status, again.err) == (0, "")
    assert "7 processings, 0 of them new" in again.out
    assert again.row("al…@example.fr", "targeted-ads", "granted", "in_force")
    assert again.row("targeted-ads", "PERMIT", "consent_in_force", "IV", "3")
    assert "(1 consent ended)" in again.out


@pytest.fixture
def odd(tmp_path, told):
    """The demo on an mbox of odd messages and addresses, shown."""
    path = tmp_path / "mail.mbox"
    box = mailbox.mbox(path)
    box.add(
        letter("x@example.org", "ann@home.example", body="Hello\n\nFrom here on\n\nFrom x Mon Jan 1 10:00:00 2026\n")
    )
    box.add(letter("x@example.org", "ann@home.example", "bob@home.example", "carl@else.example"))
    box.add(b"To: <<<broken\nFrom: =?utf-8?q?=FF\xff\n\nbody\n")
    box.add(b"\xff\xfe\x00not a header\n\n" + b"x" * 200_000)
    box.add(letter("x@example.org", f"{'long' * 10}@home.example"))
    box.close()
    return told("--mail", str(path), "--show-addresses")


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


def test_maildir(tmp_path, told):
    """A Maildir: new and cur are read; one lone user is shown a grant, an old one and a pre-ticked one."""
    box = mailbox.Maildir(tmp_path / "Maildir")
    for number in range(3):
        box.add(letter("x@example.org", "me@single.example", body=f"{number}\n"))
    read = mailbox.MaildirMessage(letter("x@example.org", "me@single.example"))
    read.set_subdir("cur")
    box.add(read)
    run = told("--mail", str(tmp_path / "Maildir"))
    assert (run.status, run.err) == (0, "")
    assert "4 messages from Maildir" in run.out
    assert run.row("m…@single.example", "usage-statistics", "granted 400 days ago", "expired")
    assert run.row("smart-reply-training", "deny", "consent_invalid", "IV", "4")


def test_domain_chooses_who_is_local(tmp_path, told):
    """With --domain, the recipients of that domain are local although another is more frequent."""
    path = tmp_path / "mail.mbox"
    box = mailbox.mbox(path)
    box.add(letter("x@example.org", "a@many.example", "b@many.example", "c@few.example"))
    box.close()
    run = told("--mail", str(path), "--domain", "FEW.example")
    assert run.status == 0
    assert "Local: few.example." in run.out
    assert run.row("spam-filter", "PERMIT", "exempt", "III", "1")


def test_without_mail_the_default_messages(told):
    """Without --mail: CPython's own test messages where this Python has them, else those that the demo ships."""
    try:
        from importlib import resources

        has_them = (resources.files("test.test_email") / "data").is_dir()
    except ModuleNotFoundError:
        has_them = False
    run = told()
    assert (run.status, run.err) == (0, "")
    assert ("messages from CPython's own test messages" if has_them else "from the demo's own messages") in run.out
    assert run.row("profile-resale", "deny", "purpose_not_permitted", "I")


def test_unknown_key_says_so(tmp_path, told, service):
    """A bootstrap key that is not the database's is told in one line, and never shown."""
    (tmp_path / "bootstrap").write_text("sceau_" + "x" * 43)
    refused = told(on=SimpleNamespace(url=service.url, key_file=tmp_path / "bootstrap"))
    assert refused.status == 1
    assert "does not know the key" in refused.err
    assert refused.err.count("\n") == 1
    assert "xxx" not in refused.err + refused.out
