import contextlib
import smtplib

import pytest

from tests.e2e.mail.letters import MARKS, Letter
from tests.e2e.mail.world import ADS, COPIES, TRAINING
from tests.e2e.wiretap import FAILING, GARBAGE, dripping, held, hung_up, raced, stalled
from tests.faults.service import HANGS, eventually

CONSENTS = (ADS, TRAINING, COPIES)
NEARLY_RSPAMDS_OWN = 4.0  # seconds; its HTTP client's own limit is 5


@pytest.fixture
def settled(mail):
    """Wait until whatever Rspamd was to do with earlier messages is done: it has done it for a later one."""

    def settle():
        letter, learned = Letter(["sentinelle@example.fr"]), mail.rspamd.learned()
        mail.send(letter)
        eventually(lambda: mail.exported(letter) and mail.rspamd.learned() > learned)

    if not mail.exports.received:
        mail.grant("sentinelle@example.fr", *CONSENTS)
        # What Rspamd learns before Redis has its scripts is lost.
        eventually(lambda: mail.send(Letter(["sentinelle@example.fr"])) or mail.rspamd.learned())
    settle()
    return settle


def test_with_consent_a_message_is_delivered_and_analysed(mail, settled):
    """Who consents to all has every analysis: export and training in Rspamd, the copy handed on by Dovecot."""
    mail.grant("amelie@example.fr", *CONSENTS)
    letter, learned = Letter(["amelie@example.fr"]), mail.rspamd.learned()
    mail.send(letter)
    eventually(lambda: mail.exported(letter) and mail.rspamd.learned() == learned + 1)
    assert mail.copies.saw(user="amelie@example.fr", processing=COPIES, mailbox="INBOX")


def test_without_consent_a_message_is_delivered_and_nothing_else(mail, settled):
    """Who never decided gets the message; no analysis does."""
    letter, learned = Letter(["bruno@example.fr"]), mail.rspamd.learned()
    mail.send(letter)
    settled()
    assert mail.delivered("bruno@example.fr", letter)
    assert not mail.exported(letter)
    assert mail.rspamd.learned() == learned + 1  # the sentinel's
    assert not mail.copies.saw(user="bruno@example.fr")


def test_one_who_did_not_consent_keeps_a_message_of_two_from_analysis_but_not_the_others_copy(mail, settled):
    """Rspamd has one message for both: a deny overrides. Dovecot has a copy for each: only hers is handed on."""
    mail.grant("claire@example.fr", *CONSENTS)
    letter, learned = Letter(["claire@example.fr", "denis@example.fr"]), mail.rspamd.learned()
    mail.send(letter)
    settled()
    assert not mail.exported(letter)
    assert mail.rspamd.learned() == learned + 1
    assert mail.copies.saw(user="claire@example.fr")
    assert not mail.copies.saw(user="denis@example.fr")


def test_after_a_withdrawal_the_next_message_is_not_analysed(mail, settled):
    """What was withdrawn is denied from the next message on, everywhere, and nothing is kept from before."""
    mail.grant("gaelle@example.fr", *CONSENTS)
    before, after = Letter(["gaelle@example.fr"]), Letter(["gaelle@example.fr"])
    mail.send(before)
    eventually(lambda: mail.exported(before))
    copies = len(mail.copies.received)
    mail.sceau.api.withdraw("gaelle@example.fr")
    learned = mail.rspamd.learned()
    mail.send(after)
    assert len(mail.copies.received) == copies
    settled()
    assert mail.delivered("gaelle@example.fr", after)
    assert not mail.exported(after)
    assert mail.rspamd.learned() == learned + 1


FAULTS = {
    "held": held,
    "stalled": stalled,
    "dripping": dripping,
    "hung up": hung_up,
    "failing": FAILING,
    "garbage": GARBAGE,
    "away": None,
}
"""By name: behaviours of the wire, None for nobody listening."""


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_whatever_happens_to_sceau_the_message_is_delivered_and_not_analysed(mail, settled, fault):
    """Slow, stuck, endless, hanging up, failing, talking nonsense, away: delivered all the same.

    Clients give up by themselves, and before one would that waits as long as Rspamd does when it is told no deadline.
    """
    mail.grant("hector@example.fr", *CONSENTS)
    letter, learned, copies = Letter(["hector@example.fr"]), mail.rspamd.learned(), len(mail.copies.received)
    with contextlib.ExitStack() as faults:
        for wire in (mail.to_rspamd, mail.to_dovecot):
            faults.enter_context(wire.fault(raced(fault, NEARLY_RSPAMDS_OWN)) if fault else wire.refusing())
        mail.send(letter)
        if fault in {held, stalled, dripping}:
            eventually(lambda: mail.to_rspamd.heard[-1].gave_up_first and mail.to_dovecot.heard[-1].gave_up_first)
    assert len(mail.copies.received) == copies
    settled()
    assert mail.delivered("hector@example.fr", letter)
    assert not mail.exported(letter)
    assert mail.rspamd.learned() == learned + 1


def test_who_sends_is_asked_too(mail, settled):
    """A message between two users is both's; who signed in to send it counts, and is not taken for an outsider."""
    mail.grant("jeanne@example.fr", *CONSENTS)
    mail.grant("karim@example.fr", *CONSENTS)
    login = ("jeanne@example.fr", "of-the-tests")
    letter = Letter(["karim@example.fr"], sender="jeanne@example.fr")
    mail.send(letter, login=login)
    subjects = {each["subject"]["id"] for each in mail.to_rspamd.heard[-1].json["evaluations"]}
    assert subjects == {"jeanne@example.fr", "karim@example.fr"}
    eventually(lambda: mail.exported(letter))
    mail.sceau.api.withdraw("jeanne@example.fr")
    second = Letter(["karim@example.fr"], sender="jeanne@example.fr")
    mail.send(second, login=login)
    settled()
    assert not mail.exported(second)


def test_rspamd_asks_once_for_each_message_and_keeps_its_connection(mail, settled):
    """Three messages make three requests, on fewer connections: one that stands idle for long is closed."""
    mark = len(mail.to_rspamd.heard)
    for _ in range(3):
        mail.send(Letter(["louise@example.fr", "sentinelle@example.fr"]))
    requests = mail.to_rspamd.since(mark)
    assert len(requests) == 3
    assert len({each.connection for each in requests}) < len(requests)


def test_nothing_secret_reached_sceau(mail, settled):
    """No subject line, body, Message-ID, attachment, name or address of an outsider stands in what Sceau was sent."""
    letter = Letter(["marie@example.fr", "nadia@ailleurs.example"])
    mail.send(letter)
    (stored,) = mail.dovecot.mailbox("marie@example.fr")
    for mark in MARKS:
        assert mark.encode() in stored, mark  # the letter did have it
        assert not mail.to_rspamd.hears(mark), mark
        assert not mail.to_dovecot.hears(mark), mark
    assert mail.to_rspamd.hears("marie@example.fr")  # the search finds what is there
    assert mail.to_dovecot.hears("marie@example.fr")
    assert not mail.to_rspamd.hears("nadia")


def test_the_two_clients_give_a_message_names_that_have_nothing_in_common(mail, settled):
    """Every handle is of one client, one message and one user."""
    mail.send(Letter(["odile@example.fr", "paul@example.fr"]))
    of_rspamd = {each["resource"]["id"] for each in mail.to_rspamd.heard[-1].json["evaluations"]}
    of_dovecot = {each.json["resource"]["id"] for each in mail.to_dovecot.heard[-2:]}
    assert len(of_rspamd | of_dovecot) == 4
    assert {len(each) for each in of_rspamd | of_dovecot} == {32}


UNREAD = """
<bob>|<bob%example.fr>|<example.fr!bob>|<b..b@example.fr>|<.b@example.fr>|<b.@example.fr>|<b@b@example.fr>|<bob@example..fr>
<"b..b"@example.fr>|<bob@ example.fr>|<bob @example.fr>|<b\\ob@example.fr>|<bob@e\\xample.fr>|<bob@"example".fr>
<(x)bob@example.fr>|<bob@localhost>|<not an address>|bob@example.fr|<bob@example.fr>, <carol@example.fr>|bob
"""
READ = "<jean-paul.d'a+b_c@example.fr>|<Zoe@xn--caf-dma.example>|<r%s=x@example.fr>|<bob@example.fr> NOTIFY=NEVER"


def answer(mail, command):
    """The status with which Postfix answers a command about a recipient; on a connection of its own, for it counts."""
    with smtplib.SMTP("127.0.0.1", mail.postfix.port, timeout=HANGS) as client:
        client.ehlo()
        client.mail("a@ailleurs.example")
        return client.docmd(command)[0]


def test_recipients_that_rspamd_cannot_read_are_refused_by_postfix(mail):
    """Else they would vanish, and the others would decide alone; ordinary ones are taken."""
    for recipient in UNREAD.strip().replace("\n", "|").split("|"):
        assert answer(mail, f"RCPT TO:{recipient}") // 100 == 5, recipient
    for command in (" rcpt  to: <bob>", "RCPT\tTO:<bob>", "RCPT TO :<bob>"):
        assert answer(mail, command) // 100 == 5, command
    for recipient in READ.split("|"):
        assert answer(mail, f"rcpt to: {recipient}") == 250, recipient


def test_mail_that_nobody_may_send_is_refused_by_postfix_and_not_by_this(mail):
    """The control of `delivered in every case`: the sending can fail."""
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        mail.postfix.send(b"Subject: no\r\n\r\n", "a@example.fr", "<not an address>")
