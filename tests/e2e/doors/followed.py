"""Follows a page of docs/start as a person would: each block of commands as it stands, in the terminal of its title.

A block whose title begins with "A terminal that stays open" opens the terminal that ends by serving; one that begins
with "Another terminal" opens the next; "The same terminal" goes on. French pages say so in French.
"""

import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.demo.runs import ROOT
from tests.e2e.programs import end, listens

START: Final = ROOT / "docs" / "start"
_PATIENCE: Final = 600.0
"""Seconds after which a page is held to hang: packages are installed meanwhile."""
STAYS: Final = "A terminal that stays open"
OPENS: Final = (STAYS, "Another terminal", "Un second terminal")
GOES_ON: Final = ("The same terminal", "Le même terminal")
_BLOCK: Final = re.compile(r'^```sh(?: title="([^"]*)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)


@dataclass
class Terminal:
    """The commands that a page has typed into one terminal, in order."""

    title: str
    text: str

    @property
    def serves(self) -> bool:
        """Whether its last command goes on until it is stopped."""
        return self.title.startswith(STAYS)


def terminals(text: str) -> list[Terminal]:
    """The terminals of a page. Fails on a block that names none: it would not be run."""
    terminals: list[Terminal] = []
    for title, commands in _BLOCK.findall(text):
        if title.startswith(OPENS):
            terminals.append(Terminal(title, commands))
        else:
            assert title.startswith(GOES_ON), f"which terminal? {title!r}"
            assert terminals, "no terminal is open yet"
            terminals[-1].text += commands
    assert len(re.findall(r"^```\w", text, re.MULTILINE)) == len(_BLOCK.findall(text)), "a block that is not run"
    return terminals


def told(page: str, since: float) -> None:
    """Print how long a door took."""
    print(f"\n{page}: {time.monotonic() - since:.1f} s to the first success")


@dataclass(frozen=True)
class Follower:
    """A person in a folder; `places`: what stands on the page, and what it is in the test."""

    folder: Path
    port: int
    places: Mapping[str, str]
    environment: Mapping[str, str]

    def _line(self, terminal: Terminal) -> list[str]:
        text = terminal.text
        for place, here in self.places.items():
            text = text.replace(place, here)
        return ["bash", "-euo", "pipefail", "-c", text.replace("8080", str(self.port))]

    @contextmanager
    def serving(self, terminal: Terminal, ready: Callable[[str], bool]) -> Iterator[str]:
        """The terminal that stays open, as long as the block lasts: what it had printed once it was ready."""
        log = self.folder / "terminal.log"
        with log.open("wb") as sink:
            how: dict[str, Any] = {"cwd": self.folder, "env": dict(self.environment), "stdin": subprocess.DEVNULL}
            opened = subprocess.Popen(self._line(terminal), stdout=sink, stderr=sink, start_new_session=True, **how)
        try:
            until = time.monotonic() + _PATIENCE
            while not (listens(self.port) and ready(log.read_text(errors="replace"))):
                assert opened.poll() is None, f"it ended: {log.read_text(errors='replace')[-3000:]}"
                assert time.monotonic() < until, f"it never served: {log.read_text(errors='replace')[-3000:]}"
                time.sleep(0.1)
            yield log.read_text(errors="replace")
        finally:
            end(opened)

    def type_in(self, terminal: Terminal) -> str:
        """Run a terminal's commands; what they printed. Fails when one of them does."""
        environment, line = dict(self.environment), self._line(terminal)
        done = subprocess.run(line, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{terminal.text}\n{done.stdout}\n{done.stderr}"
        return done.stdout
