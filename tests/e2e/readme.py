"""The commands and files that a client's README shows, so that a test does what people are told to do."""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.demo.runs import ROOT

_COMMANDS = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^```\w*\n(?:#|--|//) (/\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def files_of(readme: Path) -> dict[str, str]:
    """What each fenced block holds whose first line is a comment with an absolute path, by that path."""
    return dict(_BLOCK.findall(readme.read_text()))


def commands_of(readme: Path) -> list[list[str]]:
    """The commands of each block of them, a line that ends in a backslash with what follows it."""
    blocks: list[str] = _COMMANDS.findall(readme.read_text())
    return [block.replace("\\\n", " ").splitlines() for block in blocks]


def run(command: str, places: Mapping[str, str], *, given: str = "", **variables: str) -> str:
    """Run a README's command from the checkout, with its places replaced by those of a test; what it printed.

    `given`: what a person would type or paste. Fails when the command does.
    """
    for place, here in places.items():
        command = command.replace(place, here)
    line = ["sh", "-euc", command]
    environment = {"PATH": os.environ["PATH"], **variables}
    done = subprocess.run(line, cwd=ROOT, input=given, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    return done.stdout


def filled_in(text: str, values: Mapping[str, str]) -> str:
    """A file with the README's examples replaced by what holds here. Fails when one of them does not occur."""
    missing = [example for example in values if example not in text]
    assert not missing, f"the README does not say {missing}"
    for example, value in values.items():
        text = text.replace(example, value)
    return text
