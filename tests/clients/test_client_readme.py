"""What the client's README tells to do, done: its examples as they stand, and the filter for Postfix."""

import asyncio
import io
import re
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sceau_client import HandleMaker
from tests.clients.postbox import postbox
from tests.clients.scenes import DENY, PERMIT, saying, scene, silent
from tests.faults.service import free_port

PACKAGE = Path(__file__).parents[2] / "clients/python"
BLOCKS = re.findall(
    r"^```python\n(.*?)^```", (PACKAGE / "README.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
)
LETTER = b"From: a@else.example\r\nSubject: s\r\n\r\nbody\r\n"


async def alice_consents(request, writer):
    """Permit what is asked about Alice; have an empty register."""
    if request.line.startswith("GET"):
        return await saying({"items": []})(request, writer)
    body = request.json
    answers = [
        PERMIT if item["subject"]["id"].startswith("alice") else DENY for item in body.get("evaluations", [body])
    ]
    return await saying({"evaluations": answers} if "evaluations" in body else answers[0])(request, writer)


@pytest.fixture(scope="module")
def server(stage):
    """A server by which Alice alone consents."""
    return stage.enter(scene(alice_consents))


def placed(block, server, folder):
    """A block of the README with this test's address, patience and folder in the place of its own."""
    patient = block.replace('"https://sceau.example.fr", key', f'"{server.url}", key, deadline=60')
    return patient.replace("/var/lib/mail", str(folder))


def test_the_first_example_analyses_with_consent_and_delivers_always(server, tmp_path):
    """Ten lines: a letter is analysed when everybody consents, and delivered in every case."""
    printed = []
    names: dict[str, Any] = {
        "key": "k",
        "analyse": lambda _: printed.append("analysed"),
        "deliver": lambda _: printed.append("delivered"),
    }
    exec(placed(BLOCKS[0], server, tmp_path), names)
    for recipients in (["alice"], ["alice", "bob"], []):
        names["on_message"](SimpleNamespace(id="1"), recipients)
    names["sceau"].close()
    assert printed == ["analysed", "delivered", "delivered", "delivered"]
    assert len(BLOCKS[0].splitlines()) <= 12


def test_the_example_for_asyncio_runs(server, tmp_path):
    """The awaited example, within a function."""
    (block,) = [block for block in BLOCKS if "async with" in block]
    body = "async def run():\n" + "".join(f"    {line}\n" for line in placed(block, server, tmp_path).splitlines())
    printed = []

    async def analyse(message):
        printed.append(message)

    letter = HandleMaker(b"7" * 32).correspondence("1")
    names: dict[str, Any] = {"key": "k", "analyse": analyse, "message": "m", "letter": letter}
    exec(body.replace("alice@example.fr", "alice"), names)
    asyncio.run(names["run"]())
    assert printed == ["m"]


@pytest.fixture
def back(stage):
    """Where the filter hands letters back."""
    return stage.enter(postbox())


@pytest.fixture
def filtered(back, tmp_path, monkeypatch):
    """Run the filter for Postfix on a letter; its exit status, whether it learnt, what it handed back."""
    (tmp_path / "key").write_text("sceau_k\n")
    learnt = tmp_path / "learnt"

    def run(url, *recipients, sender="a@else.example", letter=LETTER, **settings):
        names = {"SCEAU_URL": url, "SCEAU_KEY_FILE": tmp_path / "key", "SCEAU_HANDLES": tmp_path / "handles"}
        more = {"FILTER_LEARNT": learnt, "FILTER_BACK": back.port, "SCEAU_DEADLINE": 60}
        for name, value in {**names, **more, **settings}.items():
            monkeypatch.setenv(name, str(value))
        monkeypatch.setattr(sys, "argv", ["sceau-filter", "Q1", sender, *recipients])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(letter)))
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(PACKAGE / "examples/postfix_filter.py"), run_name="__main__")
        handed, back.letters[:] = list(back.letters), []
        was, _ = learnt.exists(), learnt.unlink(missing_ok=True)
        return ended.value.code, was, handed

    return run


@pytest.mark.parametrize(
    ("sender", "recipients", "learns"),
    [
        ("a@else.example", ["alice@example.fr", "someone@else.example"], True),
        ("a@else.example", ["alice@example.fr", "bob@example.fr"], False),
        ("a@else.example", ["someone@else.example"], False),
        ("bob@example.fr", ["alice@example.fr"], False),
        ("", ["alice@example.fr"], True),
    ],
)
def test_the_filter_learns_with_consent_and_hands_every_letter_back(server, filtered, sender, recipients, learns):
    """Who is elsewhere is not asked about, a sender of ours is; a letter that is nobody's here teaches nothing."""
    server.came.clear()
    status, learnt, (handed,) = filtered(server.url, *recipients, sender=sender)
    assert (status, learnt, handed.sender, handed.recipients) == (0, learns, sender, recipients)
    assert handed.lines == b"From: a@else.example\r\nSubject: s\r\n\r\nbody\r\n.\r\n"
    assert b"else.example" not in b"".join(request.body for request in server.came)


def test_the_filter_hands_back_what_pipe_gave_it(server, filtered):
    """The lines that pipe(8) ends in LF end in CR LF, those that begin with a dot still do, and no line is added."""
    status, _, (handed,) = filtered(server.url, "alice@example.fr", letter="Subject: s\n\n.dot\nété\n".encode())
    assert status == 0
    assert handed.lines == "Subject: s\r\n\r\n..dot\r\nété\r\n.\r\n".encode()
    assert handed.options == "BODY=8BITMIME"


def test_the_filter_delivers_while_sceau_is_away(stage, filtered):
    """Nobody listens, somebody is silent, the address is none: nothing is learnt, and the letter goes on."""
    quiet = stage.enter(scene(silent))
    for url in (f"http://127.0.0.1:{free_port()}", quiet.url, "no address"):
        status, learnt, handed = filtered(url, "alice@example.fr", SCEAU_DEADLINE=0.2)
        assert (status, learnt, len(handed)) == (0, False, 1)


def test_the_filter_delivers_without_the_client(server, filtered, monkeypatch):
    """An installation that broke is no reason to hold letters back."""
    monkeypatch.setitem(sys.modules, "sceau_client", None)
    status, learnt, handed = filtered(server.url, "alice@example.fr")
    assert (status, learnt, len(handed)) == (0, False, 1)


@pytest.mark.parametrize("answer", ["450 4.7.1 not now", "550 5.1.1 unknown"])
@pytest.mark.parametrize("refused", ["alice@example.fr", "late@else.example"])
def test_a_letter_that_one_recipient_is_refused_for_is_handed_back_for_none(server, filtered, back, refused, answer):
    """75: Postfix keeps it for everybody. Handed back for the others alone, that recipient would never have it."""
    back.refused[refused] = answer
    status, _, handed = filtered(server.url, "alice@example.fr", "late@else.example")
    assert (status, handed) == (75, [])
    back.refused.clear()
    status, _, ((_, recipients, *_),) = filtered(server.url, "alice@example.fr", "late@else.example")
    assert (status, recipients) == (0, ["alice@example.fr", "late@else.example"])


def test_the_filter_hands_back_letters_of_internationalized_addresses(server, filtered):
    """They are said as such (SMTPUTF8, RFC 6531); a letter of others is not."""
    status, learnt, (handed,) = filtered(server.url, "alice.é@example.fr", "ü@else.example", sender="é@else.example")
    assert (status, learnt) == (0, True)
    assert (handed.sender, handed.recipients) == ("é@else.example", ["alice.é@example.fr", "ü@else.example"])
    assert handed.options == "SMTPUTF8"


def test_the_filter_asks_postfix_to_try_again_when_it_cannot_hand_back(server, filtered):
    """75 keeps the letter in the queue, any other status would bounce it: nobody listens; an address is no text."""
    assert filtered(server.url, "alice@example.fr", FILTER_BACK=free_port())[0] == 75
    assert filtered(server.url, "alice\udcff@example.fr")[0] == 75


def test_a_letter_that_was_taken_is_not_handed_back_again(server, filtered, back):
    """What Postfix says to a farewell is of no account."""
    back.farewell = "421 too late"
    assert filtered(server.url, "alice@example.fr")[0] == 0
