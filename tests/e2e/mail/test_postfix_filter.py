"""The filter of `clients/python` behind a real Postfix, installed and configured as that client's README says."""

import os
import smtplib
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.postbox import Postbox, postbox
from tests.demo.runs import ROOT
from tests.e2e.mail.letters import MARKS, OUTSIDER, Letter
from tests.e2e.mail.postfix import Postfix, postfix
from tests.e2e.mail.world import new_key, scratch
from tests.e2e.programs import free_ports
from tests.e2e.readme import commands_of, files_of, filled_in, run
from tests.e2e.service import Sceau
from tests.e2e.wiretap import Wiretap, tapped
from tests.faults.service import HANGS, eventually
from tests.webhooks.courier import Stage

README = ROOT / "clients" / "python" / "README.md"
PROCESSING = "service-improvement"
USER = f"sceau{os.getpid()}"
"""In the place of the README's `mailfilter`, and gone afterwards."""
MAIN = """
smtputf8_enable = yes
smtpd_sasl_auth_enable = no
virtual_transport = smtp:[127.0.0.1]:{port}
default_transport = smtp:[127.0.0.1]:{port}
"""


@dataclass(frozen=True)
class Filtering:
    """A Postfix with the filter, the wire to Sceau, what was analysed, and where letters go in the end."""

    sceau: Sceau
    wire: Wiretap
    postfix: Postfix
    folder: Path
    home: Postbox

    def learnt(self) -> int:
        """How many letters were analysed."""
        path = self.folder / "var/learnt"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def refuse(self, *addresses: str) -> None:
        """Have these recipients refused at port 10026, for now."""
        (self.folder / "refused").write_text("".join(f"{each} 450 4.7.1 not now\n" for each in addresses))

    def delivered(self, letter: bytes) -> dict[str, str]:
        """To whom a letter was delivered, and as from whom. Fails when anybody had it twice."""
        had = [(to, each.sender) for each in self.home.letters if letter in each.lines for to in each.recipients]
        assert len(had) == len(dict(had)), had
        return dict(had)

    def send(self, letter: Letter, sender: str | None = None) -> dict[str, str]:
        """Send a letter, wait until Postfix is done with it; to whom it was delivered."""
        self.postfix.send(letter.raw, letter.sender if sender is None else sender, *letter.to)
        eventually(self.postfix.is_done)
        return self.delivered(letter.token)


@contextmanager
def installed(sceau: Sceau, folder: Path) -> Iterator[dict[str, str]]:
    """What the README says to type, typed: its places, and where they are here."""
    places = {"/opt/sceau-filter": f"{folder}/opt", "/var/lib/sceau-filter": f"{folder}/var"}
    places |= {"/etc/sceau-filter": f"{folder}/etc", "mailfilter": USER}
    (commands,) = [block for block in commands_of(README) if any("postfix_filter.py" in line for line in block)]
    try:
        for command in commands:
            run(command, places, given=new_key(sceau, PROCESSING)["key"] if "/dev/stdin" in command else "")
        yield places
    finally:
        subprocess.run(["userdel", USER], check=False, capture_output=True)


def configured(places: dict[str, str], folder: Path, address: str) -> tuple[str, str]:
    """The README's services and settings: at ports that are free here, and with some recipients refused on the way."""
    (port,) = free_ports(1)
    (folder / "refused").touch()
    here = {
        "https://sceau.example.fr": address,
        "FILTER_DOMAIN=example.fr": f"FILTER_DOMAIN=example.fr FILTER_BACK={port} SCEAU_DEADLINE=60",
        "127.0.0.1:10026": f"127.0.0.1:{port}",
        "recipient_restrictions=": f"recipient_restrictions=check_recipient_access,texthash:{folder}/refused,",
        "-o content_filter= ": "-o content_filter= -o max_use=1 ",  # so that it reads that file anew for each letter
        "smtp      inet": "127.0.0.1:{smtp} inet",
    }
    files = files_of(README)
    return filled_in(files["/etc/postfix/master.cf"], {**places, **here}), files["/etc/postfix/main.cf"]


@pytest.fixture(scope="module")
def filtering(servers: None, sceau: Sceau) -> Iterator[Filtering]:
    """All of it, running."""
    sceau.api.register(PROCESSING, purpose="service_improvement", elements=["content"])
    for name in ("amelie", "zoé"):
        sceau.api.decide(f"{name}@example.fr", PROCESSING)
    with ExitStack() as kept:
        stage = Stage()
        kept.callback(stage.end)
        home = stage.enter(postbox())
        folder, wire = kept.enter_context(scratch()), kept.enter_context(tapped(sceau.address))
        places = kept.enter_context(installed(sceau, folder))
        services, limit = configured(places, folder, wire.address)
        settings = MAIN.format(port=home.port) + limit
        running = kept.enter_context(postfix(folder / "postfix", settings, services=services))
        yield Filtering(sceau, wire, running, folder, home)


def test_a_letter_is_analysed_when_its_users_consent_and_delivered_in_every_case(filtering):
    """Amélie consents; Bruno does not. Who is elsewhere is not asked, and nothing of the letter reaches Sceau."""
    before, everybody = filtering.learnt(), ["amelie@example.fr", "nadia@ailleurs.example"]
    assert filtering.send(Letter(everybody)) == dict.fromkeys(everybody, OUTSIDER)
    assert filtering.learnt() == before + 1
    both = ["amelie@example.fr", "bruno@example.fr"]
    assert filtering.send(Letter(both)) == dict.fromkeys(both, OUTSIDER)
    assert filtering.learnt() == before + 1
    assert filtering.wire.hears("amelie@example.fr")
    assert [mark for mark in (*MARKS, "nadia") if filtering.wire.hears(mark)] == []


def test_a_recipient_who_is_refused_on_the_way_back_loses_nothing(filtering):
    """The letter is kept for both, other letters go on meanwhile, and each has it once when it is tried again."""
    filtering.refuse("bruno@example.fr")
    letter, other = Letter(["amelie@example.fr", "bruno@example.fr"]), Letter(["amelie@example.fr"])
    filtering.postfix.send(letter.raw, letter.sender, *letter.to)
    eventually(lambda: filtering.postfix.deferred() == 1)
    assert filtering.delivered(letter.token) == {}
    filtering.postfix.send(other.raw, other.sender, *other.to)
    eventually(lambda: filtering.delivered(other.token))
    filtering.refuse()
    filtering.postfix.try_again()
    eventually(filtering.postfix.is_done)
    assert filtering.delivered(letter.token) == dict.fromkeys(letter.to, OUTSIDER)


def test_internationalized_addresses_are_delivered(filtering):
    """Zoé has a letter from one who is named in letters beyond ASCII, as Zoé is."""
    before, letter = filtering.learnt(), Letter(["zoé@example.fr"])
    with smtplib.SMTP("127.0.0.1", filtering.postfix.port, timeout=HANGS) as client:
        client.sendmail("zq-outsider-é@ailleurs.example", letter.to, letter.raw, mail_options=["SMTPUTF8"])
    eventually(filtering.postfix.is_done)
    assert filtering.delivered(letter.token) == {"zoé@example.fr": "zq-outsider-é@ailleurs.example"}
    assert filtering.learnt() == before + 1


def test_a_bounce_keeps_its_empty_sender(filtering):
    """What has no sender is handed back without one, so that nobody answers it with another bounce."""
    assert filtering.send(Letter(["amelie@example.fr"]), sender="") == {"amelie@example.fr": ""}


def test_more_recipients_than_postfix_hands_over_by_itself_are_judged_together(filtering):
    """Sixty users: one request names all of them, and the last one's consent counts."""
    before, mark = filtering.learnt(), len(filtering.wire.heard)
    everybody = [f"user-{number}@example.fr" for number in range(60)]
    assert filtering.send(Letter(everybody)) == dict.fromkeys(everybody, OUTSIDER)
    (request,) = filtering.wire.since(mark)
    assert {each["subject"]["id"] for each in request.json["evaluations"]} == set(everybody)
    assert filtering.learnt() == before


def test_a_filter_that_cannot_be_started_keeps_letters(filtering):
    """An installation that was removed returns nothing to its sender: it is all there when it is back."""
    program, letter = filtering.folder / "opt/bin/sceau-filter", Letter(["amelie@example.fr"])
    away = program.rename(program.with_suffix(".away"))
    filtering.postfix.send(letter.raw, letter.sender, *letter.to)
    eventually(lambda: filtering.postfix.deferred() == 1)
    away.rename(program)
    filtering.postfix.try_again()
    eventually(filtering.postfix.is_done)
    assert filtering.delivered(letter.token) == {"amelie@example.fr": OUTSIDER}
