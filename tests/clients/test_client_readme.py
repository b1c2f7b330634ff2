"""What the client's README tells to do, done: its examples as they stand, and the filter for Postfix."""

import asyncio
import os
import re
import subprocess
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
    asked = request.json
    answers = [
        PERMIT if item["subject"]["id"].startswith("alice") else DENY for item in asked.get("evaluations", [asked])
    ]
    return await saying({"evaluations": answers} if "evaluations" in asked else answers[0])(request, writer)


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
    said = []
    given: dict[str, Any] = {
        "key": "k",
        "analyse": lambda _: said.append("analysed"),
        "deliver": lambda _: said.append("delivered"),
    }
    exec(placed(BLOCKS[0], server, tmp_path), given)
    for recipients in (["alice"], ["alice", "bob"], []):
        given["on_message"](SimpleNamespace(id="1"), recipients)
    given["sceau"].close()
    assert said == ["analysed", "delivered", "delivered", "delivered"]
    assert len(BLOCKS[0].splitlines()) <= 12


def test_the_example_for_asyncio_runs(server, tmp_path):
    """The awaited example, within a function."""
    (block,) = [block for block in BLOCKS if "async with" in block]
    body = "async def run():\n" + "".join(f"    {line}\n" for line in placed(block, server, tmp_path).splitlines())
    said = []

    async def analyse(message):
        said.append(message)

    letter = HandleMaker(b"7" * 32).correspondence("1")
    given: dict[str, Any] = {"key": "k", "analyse": analyse, "message": "m", "letter": letter}
    exec(body.replace("alice@example.fr", "alice"), given)
    asyncio.run(given["run"]())
    assert said == ["m"]


@pytest.fixture
def filtered(stage, tmp_path):
    """Run the filter for Postfix on a letter; its exit status, whether it learnt, what it handed back."""
    (tmp_path / "key").write_text("sceau_k\n")
    learnt = tmp_path / "learnt"
    back = stage.enter(postbox())

    def run(url, *recipients, port=back.port, deadline=60.0):
        names = {"SCEAU_URL": url, "SCEAU_KEY_FILE": tmp_path / "key", "SCEAU_HANDLES": tmp_path / "handles"}
        more = {"FILTER_LEARNT": learnt, "FILTER_BACK": port, "SCEAU_DEADLINE": deadline, "PYTHONPATH": PACKAGE / "src"}
        settings = {name: str(value) for name, value in {**names, **more}.items()}
        command = [sys.executable, PACKAGE / "examples/postfix_filter.py", "Q1", "a@else.example", *recipients]
        ran = subprocess.run(command, input=LETTER, env={**os.environ, **settings}, capture_output=True, check=False)
        handed, back.letters[:] = list(back.letters), []
        was, _ = learnt.exists(), learnt.unlink(missing_ok=True)
        return ran.returncode, was, handed

    return run


@pytest.mark.parametrize(
    ("recipients", "learns"),
    [
        (["alice@example.fr", "someone@else.example"], True),
        (["alice@example.fr", "bob@example.fr"], False),
        (["someone@else.example"], False),
    ],
)
def test_the_filter_learns_with_consent_and_hands_every_letter_back(server, filtered, recipients, learns):
    """Recipients elsewhere are not asked about; without a recipient here nothing is learnt."""
    server.came.clear()
    status, learnt, ((handed_to, letter),) = filtered(server.url, *recipients)
    assert (status, learnt, handed_to) == (0, learns, recipients)
    assert b"body" in letter
    assert b"else.example" not in b"".join(request.body for request in server.came)


def test_the_filter_delivers_while_sceau_is_away(stage, filtered):
    """Nobody listens, somebody is silent, the address is none: nothing is learnt, and the letter goes on."""
    quiet = stage.enter(scene(silent))
    for url in (f"http://127.0.0.1:{free_port()}", quiet.url, "no address"):
        status, learnt, handed = filtered(url, "alice@example.fr", deadline=0.2)
        assert (status, learnt, len(handed)) == (0, False, 1)


def test_the_filter_asks_postfix_to_try_again_when_it_cannot_hand_back(server, filtered):
    """75 keeps the letter in the queue; any other status would bounce it."""
    assert filtered(server.url, "alice@example.fr", port=free_port())[0] == 75
