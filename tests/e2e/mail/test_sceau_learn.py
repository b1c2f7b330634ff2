import imaplib
import os
import subprocess

import pytest

from tests.e2e.mail import dovecot as of_dovecot
from tests.e2e.mail import rspamd as of_rspamd
from tests.e2e.mail.alone import started
from tests.e2e.mail.letters import MARKS, Letter
from tests.e2e.mail.world import TRAINING, rspamd_files, scratch
from tests.e2e.readme import commands_of, files_of, filled_in, run
from tests.e2e.wiretap import FAILING, GARBAGE, answering, dripping, held, hung_up
from tests.faults.service import eventually

WHO = "amelie@example.fr"
LEARNED, DENIED, MISUSED, UNKNOWN, REFUSED = range(5)
README = files_of(of_rspamd.README)


class Learning:
    """Rspamd alone, and `sceau-learn` with the README's file, as a user of the mail server would run it."""

    def __init__(self, alone, folder):
        """Install the program, and its file."""
        self.rspamd, self.tap = alone.rspamd, alone.tap
        self.config, self.program = folder / "sceau-learn.conf", folder / "bin/sceau-learn"
        self.program.parent.mkdir()
        installed = folder / "rspamd/bin/sceau-learn"
        self.program.write_text(f'#!/bin/sh\nexec /usr/bin/python3 {installed} --config {self.config} "$@"\n')
        self.program.chmod(0o755)
        *_, (paste,) = commands_of(of_rspamd.README)
        run(paste, {of_rspamd.ETC: f"{folder}/rspamd/"}, given=of_rspamd.PASSWORD + "\n")
        self.configure({})

    def configure(self, changes):
        """Write the README's file, changed."""
        controller = f"http://127.0.0.1:{self.rspamd.controller}"
        places = {"http://127.0.0.1:8080": self.tap.address, "http://127.0.0.1:11334": controller}
        text = filled_in(README["/etc/rspamd/sceau-learn.conf"], {**changes, **places})
        self.config.write_text(text.replace("/etc/rspamd/", f"{self.config.parent}/rspamd/"))

    def run(self, message, user=WHO, kind="spam"):
        """How it ended, and how many messages more were learned; what it printed names nobody."""
        before = self.rspamd.learned()
        clean = {"PATH": os.environ["PATH"], **({} if user is None else {"USER": user})}
        done = subprocess.run([self.program, kind], input=message, env=clean, capture_output=True, check=False)
        assert done.stdout == b""
        assert b"@" not in done.stderr
        assert b"sceau_" not in done.stderr
        assert b"zq-secret" not in done.stderr
        return done.returncode, self.rspamd.learned() - before


@pytest.fixture(scope="module")
def learning(servers, sceau):
    """Rspamd that trusts the service's own keys; Amélie consents to training."""
    sceau.api.decide(WHO, TRAINING)
    with started(sceau, settings=rspamd_files) as alone:
        made = Learning(alone, alone.rspamd.folder.parent)
        # Rspamd fetches the service's keys after its start: until it has them it refuses.
        eventually(lambda: made.run(Letter([WHO]).raw) == (LEARNED, 1))
        yield made


@pytest.mark.parametrize("kind", ["spam", "ham"])
def test_a_message_is_learned_when_its_user_allows_it(learning, kind):
    """The program asks Sceau, brings its signed answer to Rspamd, and Rspamd learns."""
    assert learning.run(Letter([WHO]).raw, kind=kind) == (LEARNED, 1)


def test_after_a_withdrawal_the_next_message_is_not_learned(learning, sceau):
    """Never asked, status 1 and nothing learned; consent, learned; withdrawn, not learned."""
    assert learning.run(Letter(["capucine@example.fr"]).raw, "capucine@example.fr") == (DENIED, 0)
    sceau.api.decide("capucine@example.fr", TRAINING)
    assert learning.run(Letter(["capucine@example.fr"]).raw, "capucine@example.fr") == (LEARNED, 1)
    sceau.api.withdraw("capucine@example.fr")
    assert learning.run(Letter(["capucine@example.fr"]).raw, "capucine@example.fr") == (DENIED, 0)


def test_a_user_may_have_any_letters_in_the_name(learning, sceau):
    """A name that is no Latin-1, and one that no header can hold: learned, and refused without a word of it."""
    sceau.api.decide("łucja@example.fr", TRAINING)
    assert learning.run(Letter([WHO]).raw, "Łucja@example.fr") == (LEARNED, 1)
    with learning.tap.fault(answering(200, b'{"decision": true, "context": {"decision_token": "a.b.c"}}')):
        assert learning.run(Letter([WHO]).raw, "two\nlines@example.fr") == (REFUSED, 0)


@pytest.mark.parametrize("lines", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_a_message_as_a_mailbox_stores_it_is_learned(learning, lines):
    """Line ends of either kind, blanks before it, and the first line of an mbox: the same bytes on both sides."""
    message = Letter([WHO]).raw.replace(b"\r\n", lines)
    assert learning.run(b" \n" + message) == (LEARNED, 1)
    message = Letter([WHO]).raw.replace(b"\r\n", lines)
    assert learning.run(b"From someone Wed Nov 25 09:00:00 2026\n" + message) == (LEARNED, 1)


def test_sceau_gets_nothing_of_the_message(learning):
    """The user, the processing, the elements, a handle."""
    learning.run(Letter([WHO]).raw)
    request = learning.tap.heard[-1]
    assert request.json["subject"] == {"type": "user", "id": WHO}
    assert request.json["resource"]["properties"] == {}
    assert len(request.json["resource"]["id"]) == 32
    assert [mark for mark in MARKS if learning.tap.hears(mark)] == []
    assert learning.tap.hears(WHO)


@pytest.mark.parametrize(
    "fault",
    [
        held,
        dripping,
        hung_up,
        FAILING,
        GARBAGE,
        answering(200, b'{"decision": "true"}'),
        answering(200, b'{"decision": true}'),
        answering(200, b'{"decision": true, "context": {"decision_token": null}}'),
        answering(403, b'{"decision": true, "context": {"decision_token": "a.b.c"}}'),
        answering(200, b"[]"),
    ],
)
def test_without_a_usable_answer_nothing_is_learned(learning, fault):
    """Slow, endless, gone, failing, garbage, a permit without a token: status 3, and Rspamd is not even called."""
    with learning.tap.fault(fault):
        assert learning.run(Letter([WHO]).raw) == (UNKNOWN, 0)


def test_a_permit_that_nobody_signed_is_not_learned(learning):
    """Who stands between can say yes, and cannot sign it: Rspamd refuses."""
    with learning.tap.fault(answering(200, b'{"decision": true, "context": {"decision_token": "eyJ9.eyJ9.AAAA"}}')):
        assert learning.run(Letter([WHO]).raw) == (REFUSED, 0)


def test_wrong_use_is_told_from_the_rest(learning):
    """No user, no message, settings that cannot be or that nobody knows: status 2, and no line of theirs is shown."""
    assert learning.run(Letter([WHO]).raw, None) == (MISUSED, 0)
    assert learning.run(b"") == (MISUSED, 0)
    wrong: list[dict[str, str]] = [
        *({"timeout = 1\n": f"timeout = {text}\n"} for text in ("soon", "0", "nan", "-1")),
        *({"sceau.key": "nowhere"}, {"= /etc/rspamd/sceau.secret": "= /dev/null"}),
        *({"elements =": "# elements ="}, {"party_mode =": "party-mode ="}, {"= user_only": "= all_users"}),
        *({"[rspamd]": "[DEFAULT]\nuser = all\n[rspamd]"}, {"[rspamd]": "[more]\n[rspamd]"}),
        *({"timeout = 1\n": f"timeout = 1\nzq-secret-{'0' * 32}{end}\n"} for end in ("", "==")),
    ]
    for changes in wrong:
        learning.configure(changes)
        assert learning.run(Letter([WHO]).raw) == (MISUSED, 0)
    learning.configure({})


def test_parties_are_named_where_the_processing_looks_at_them(learning):
    """Our users by id, in either spelling of a domain, all others as one mark, whichever the mode."""
    letter = Letter([WHO, "bruno@xn--caf-dma.example", "un@ailleurs.example", "deux@ailleurs.example"])
    expected = [{"id": "bruno@café.example", "local": True}, {"id": "outsider", "local": False}]
    for mode in ("all_local_users", "all_parties"):
        domains = {"local_domains = example.fr": "local_domains = example.fr Café.example"}
        learning.configure({"party_mode = user_only": f"party_mode = {mode}", **domains})
        learning.run(letter.raw)
        assert learning.tap.heard[-1].json["resource"]["properties"] == {"participants": expected}
    learning.configure({})
    assert not learning.tap.hears("ailleurs")


@pytest.fixture(scope="module")
def mailboxes(learning):
    """Dovecot with the README's settings for what is moved into Junk."""
    with scratch() as place:
        folder = place / "dovecot"
        folder.mkdir()
        (folder / "sceau-learn-spam.sieve").write_text(README["/etc/dovecot/sceau-learn-spam.sieve"])
        settings = README["/etc/dovecot/conf.d/99-sceau-learn.conf"]
        with of_dovecot.dovecot(folder, settings.replace("/usr/local/bin", str(learning.program.parent))) as server:
            yield server


def moved_to_junk(server, user, letter):
    """Deliver a letter and move it to Junk, as a mail program does."""
    server.deliver(letter.raw, letter.sender, user)
    with imaplib.IMAP4("127.0.0.1", server.imap) as client:
        client.login(user, of_dovecot.PASSWORD)
        client.create("Junk")
        client.select()
        assert client.uid("MOVE", "1:*", "Junk")[0] == "OK"
        assert client.select("Junk") == ("OK", [b"1"])


def test_moving_a_message_to_junk_learns_it_when_its_user_allows_it(learning, mailboxes):
    """By IMAP, Sieve, `sceau-learn` and the controller, with a token of Sceau's."""
    before = learning.rspamd.learned()
    moved_to_junk(mailboxes, WHO, Letter([WHO]))
    assert learning.rspamd.learned() == before + 1, mailboxes.said()


def test_moving_a_message_to_junk_only_moves_it_when_its_user_does_not(learning, mailboxes):
    """The move is done either way: a deny, and a Sceau that is not there."""
    before = learning.rspamd.learned()
    moved_to_junk(mailboxes, "denis@example.fr", Letter(["denis@example.fr"]))
    with learning.tap.refusing():
        moved_to_junk(mailboxes, "elise@example.fr", Letter(["elise@example.fr"]))
    assert learning.rspamd.learned() == before
