import contextlib

import pytest

from tests.e2e.mail.dovecot import as_in_readme, dovecot
from tests.e2e.mail.forgery import handle_of
from tests.e2e.mail.letters import OUTSIDER, Letter
from tests.e2e.mail.receivers import analysing
from tests.e2e.mail.world import ADS, COPIES, HANDLE_SECRET, new_key, scratch
from tests.e2e.wiretap import answering, held, late, stalled, tapped
from tests.faults.service import eventually

SETTINGS = {
    "ads-copies": "ads-copies ads-mail",
    "sceau_timeout = 1s": "sceau_timeout = 2s\n    sceau_action_file = /etc/dovecot/action.lua",
}
# An action of the operator's own: what it is called with goes to a file.
ACTION = """
return function(user, processing, event)
  local file = assert(io.open("%s", "a"))
  file:write(user.username, " ", processing, " ", event.mailbox, "\\n")
  file:close()
  if processing == "ads-mail" then
    error("a fault of the action")
  end
end
"""


class Copies:
    """Dovecot alone: what it asked, and what it handed on."""

    def __init__(self, server, tap, hook, acted):
        """Keep them together."""
        self.server, self.tap, self.hook, self._acted = server, tap, hook, acted

    def deliver(self, *users):
        """Deliver a letter to users; the requests that this led to, after every copy was taken and is there."""
        mark, letter = len(self.tap.heard), Letter(list(users))
        assert self.server.deliver(letter.raw, OUTSIDER, *users) == [250] * len(users)
        for user in users:
            assert any(letter.token in message for message in self.server.mailbox(user))
        return self.tap.since(mark)

    def acted(self):
        """What the action was called with."""
        return self._acted.read_text().splitlines() if self._acted.exists() else []

    def handed_on(self):
        """How many copies were handed on, in either way."""
        return len(self.hook.received) + len(self.acted())


@pytest.fixture(scope="module")
def started(servers, sceau):
    """Start Dovecot alone on changed settings of the README, until the module ends."""
    with contextlib.ExitStack() as kept:

        def start(changes, key=None):
            folder = kept.enter_context(scratch())
            tap, hook = kept.enter_context(tapped(sceau.address)), kept.enter_context(analysing())
            acted = folder / "acted"
            folder.chmod(0o777)
            (folder / "dovecot").mkdir()
            (folder / "dovecot/sceau.key").write_text(new_key(sceau, COPIES, ADS)["key"] + "\n" if key is None else key)
            (folder / "dovecot/sceau.secret").write_text(HANDLE_SECRET + "\n")
            (folder / "dovecot/action.lua").write_text(ACTION % acted)
            places = {"http://127.0.0.1:8080": tap.address, "http://127.0.0.1:9000": hook.address}
            server = kept.enter_context(dovecot(folder / "dovecot", as_in_readme({**changes, **places})))
            return Copies(server, tap, hook, acted)

        yield start


@pytest.fixture(scope="module")
def copies(started, sceau):
    """Dovecot that asks about two processings; Alice consents to the copies."""
    sceau.api.decide("alice@example.fr", COPIES)
    return started(SETTINGS)


def test_each_user_is_asked_about_for_the_own_copy(copies):
    """Two users, two copies, two decisions: hers is handed on by hook and action, his is not."""
    requests = copies.deliver("alice@example.fr", "bob@example.fr")
    about = [(each.json["subject"]["id"], each.json["action"]["name"]) for each in requests]
    assert about == [(user, name) for user in ("alice@example.fr", "bob@example.fr") for name in (COPIES, ADS)]
    assert copies.hook.saw(user="alice@example.fr", processing=COPIES, mailbox="INBOX", uid=1)
    assert not copies.hook.saw(user="bob@example.fr")
    assert copies.acted() == [f"alice@example.fr {COPIES} INBOX"]


def test_the_questions_of_one_copy_share_a_connection(copies):
    """Two questions, one connection."""
    first, second = copies.deliver("alice@example.fr")
    assert first.connection == second.connection


def test_sceau_gets_the_user_the_processing_and_a_handle(copies):
    """Nothing else stands in the question, and the handle is the keyed hash of what Dovecot calls the copy."""
    request, _ = copies.deliver("alice@example.fr")
    place = copies.hook.received[-1]
    name = f"INBOX\n{place['uid_validity']}\n{place['uid']}"
    assert request.json == {
        "subject": {"type": "user", "id": "alice@example.fr"},
        "action": {"name": COPIES},
        "resource": {"type": "correspondence", "id": handle_of("dovecot", "alice@example.fr", name)},
    }
    assert request.headers["accept"] == "text/plain"


def test_a_processing_that_looks_at_other_parties_is_denied_here(copies, sceau):
    """Dovecot does not know all parties, so it names none: Sceau denies what needs them, whoever consented."""
    sceau.api.decide("didier@example.fr", ADS)
    _, about_ads = copies.deliver("didier@example.fr")
    assert about_ads.json["action"]["name"] == ADS
    assert about_ads.answer.endswith(b"deny")
    assert not copies.hook.saw(user="didier@example.fr")


def test_a_fault_of_the_action_leaves_the_message_delivered(copies):
    """What the operator's own code does wrong is logged; the copy is in the mailbox and LMTP says so."""
    with copies.tap.fault(answering(200, b"permit", "text/plain")):
        copies.deliver("emile@example.fr")
    assert copies.acted()[-1] == f"emile@example.fr {ADS} INBOX"
    eventually(lambda: "a fault of the action" in copies.server.said())


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"deny"),
        (200, b"permitted"),
        (200, b"PERMIT"),
        (200, b"permit\n"),
        (200, b" permit"),
        (200, b'{"decision": true}'),
        (200, b""),
        (203, b"permit"),
        (302, b"permit"),
        (403, b"permit"),
        (500, b"permit"),
    ],
)
def test_whatever_is_not_the_word_permit_hands_nothing_on(copies, status, body):
    """Other words, other letters, other statuses."""
    before = copies.handed_on()
    with copies.tap.fault(answering(status, body, "text/plain")):
        copies.deliver("alice@example.fr")
    assert copies.handed_on() == before


def test_an_answer_that_breaks_off_is_none(copies):
    """The word stands there, but more was announced: nothing is handed on."""

    def half(line, heard):
        line.client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 400\r\n\r\npermit")
        return held(line, heard)

    before = copies.handed_on()
    with copies.tap.fault(half):
        copies.deliver("alice@example.fr")
        eventually(lambda: copies.tap.heard[-1].gave_up)
    assert copies.handed_on() == before


def test_the_questions_of_a_copy_share_one_deadline(copies):
    """An answer that comes just within the whole time leaves none for a second question: it is not waited for."""
    before = copies.handed_on()
    with copies.tap.fault(late(1.8)):
        (request,) = copies.deliver("alice@example.fr")
        eventually(lambda: request.gave_up)
    assert copies.handed_on() == before


def test_after_one_question_without_an_answer_no_other_is_asked(copies):
    """The delivery waits for one time-out, which on a busy machine may be over before the question is sent."""
    with copies.tap.fault(stalled):
        assert len(copies.deliver("alice@example.fr")) <= 1


WRONG = {
    "url": ({"sceau_url = http": "sceau_url = ftp"}, None),
    "no key": ({"sceau_key =": "no_key ="}, None),
    "no secret": ({"sceau_handle_secret =": "no_secret ="}, None),
    "no time": ({"sceau_timeout = 1s": "sceau_timeout = soon"}, None),
    "a misspelt setting": ({"sceau_timeout = 1s": "sceau_timout = 1s"}, None),
    "no processing": ({"sceau_processings =": "no_processings ="}, None),
    "no action": ({"sceau_timeout = 1s": "sceau_action_file = /nowhere.lua"}, None),
    "a key of two lines": ({}, "two\nlines"),
    "an empty key": ({}, ""),
}
"""By what is wrong: changes of the settings, and the key."""


@pytest.mark.parametrize(("changes", "key"), WRONG.values(), ids=WRONG)
def test_settings_that_cannot_be_leave_mail_flowing(started, changes, key):
    """Delivered, nothing asked, nothing handed on, and the log says what is wrong."""
    wrong = started(changes, key)
    assert wrong.deliver("alice@example.fr") == []
    assert wrong.handed_on() == 0
    eventually(lambda: "nothing is analysed" in wrong.server.said())
    assert "Panic" not in wrong.server.said()


def test_a_script_that_cannot_be_read_leaves_mail_flowing(started):
    """A script that is no Lua: delivered, nothing asked, told in the log."""
    broken = started({})
    (broken.server.folder / "sceau.lua").write_text("this is no Lua")
    assert broken.deliver("alice@example.fr") == []
    assert broken.handed_on() == 0
    eventually(lambda: "syntax error" in broken.server.said())
