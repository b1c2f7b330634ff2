"""Where messages come from: an mbox or Maildir, CPython's own test messages, or the few that the project ships.

Yields the header block of one message at a time: bodies are passed over and never kept, so the size of a mailbox
does not matter.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import IO, Final

from demo.refusal import WRONG_INPUT, Refused

MOST_HEADER_BYTES: Final = 262_144
_CHUNK: Final = 65_536
_ENVELOPE: Final = re.compile(rb"From .*\d:\d\d")
"""A line that begins a message: body lines that begin so lack the time of day, or are quoted with `>`."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A source of messages: what it is called, how to read it from its start, whether it is of many mailboxes."""

    name: str
    headers: Callable[[], Iterator[bytes]]
    scattered: bool = False


def choose_mailbox(path: Path | None) -> Mailbox:
    """The mailbox at a path, or else the messages at hand.

    Raises:
        Refused: nothing is there, or it is neither an mbox nor a Maildir, or it cannot be read.

    """
    if path is None:
        return _of_cpython() or _shipped()
    try:
        if path.is_dir():
            return _maildir(path)
        if path.is_file():
            return _mbox(path)
        raise Refused(f"--mail {path}: {'is no file' if path.exists() else 'there is no such file'}", WRONG_INPUT)
    except OSError as error:
        raise Refused(f"--mail {path}: cannot be read ({error.strerror})", WRONG_INPUT) from None


def _mbox(path: Path) -> Mailbox:
    with path.open("rb") as file:
        start = file.readline(_CHUNK)
        while start in {b"\n", b"\r\n"}:
            start = file.readline(_CHUNK)
    if not start:
        raise Refused(f"--mail {path}: the mailbox is empty", WRONG_INPUT)
    if not start.startswith(b"From "):
        raise Refused(f"--mail {path}: is no mbox (an mbox begins with a line 'From …') and no Maildir", WRONG_INPUT)

    def headers() -> Iterator[bytes]:
        with path.open("rb") as file:
            yield from mbox_headers(file)

    return Mailbox(path.name, headers)


def mbox_headers(file: IO[bytes]) -> Iterator[bytes]:
    """The header block of each message of an mbox, line by line."""
    kept: list[bytes] | None = None
    size = 0
    after_blank = at_line_start = True
    first = True
    while line := file.readline(_CHUNK):
        begins = at_line_start and after_blank and line.startswith(b"From ")
        if begins and (first or _ENVELOPE.match(line)):
            if kept is not None:
                yield b"".join(kept)
            kept, size, first = [], 0, False
        elif kept is not None and at_line_start and line.strip(b"\r\n") == b"":
            yield b"".join(kept)
            kept = None
        elif kept is not None and size < MOST_HEADER_BYTES:
            kept.append(line)
            size += len(line)
        after_blank = at_line_start and line.strip(b"\r\n") == b""
        at_line_start = line.endswith(b"\n")
    if kept is not None:
        yield b"".join(kept)


def _maildir(path: Path) -> Mailbox:
    folders = [path / name for name in ("new", "cur")]
    if not all(folder.is_dir() for folder in folders):
        raise Refused(f"--mail {path}: is no Maildir (a Maildir holds the folders new and cur)", WRONG_INPUT)
    if not any(next(folder.iterdir(), None) for folder in folders):
        raise Refused(f"--mail {path}: the mailbox is empty", WRONG_INPUT)

    def headers() -> Iterator[bytes]:
        for folder in folders:
            for file in sorted(folder.iterdir()):
                if not file.name.startswith("."):
                    yield _file_headers(file)

    return Mailbox(path.name or str(path), headers)


def _of_cpython() -> Mailbox | None:
    try:
        folder = resources.files("test.test_email") / "data"
        files = sorted((file for file in folder.iterdir() if file.name.endswith(".txt")), key=lambda file: file.name)
    except (ImportError, OSError):
        return None  # a Python without its own tests: Debian's, most containers'
    return _of_files("CPython's own test messages", files, scattered=True) if files else None


def _shipped() -> Mailbox:
    files = sorted((Path(__file__).parent / "messages").glob("*.eml"))
    return _of_files("the demo's own messages", files)


def _of_files(name: str, files: list[Path] | list[Traversable], *, scattered: bool = False) -> Mailbox:
    return Mailbox(name, lambda: (_file_headers(file) for file in files), scattered)


def _file_headers(source: Path | Traversable) -> bytes:
    """The header block of a file with one message; nothing when it cannot be read."""
    kept: list[bytes] = []
    try:
        with source.open("rb") as file:
            while (line := file.readline(_CHUNK)).strip(b"\r\n") and sum(map(len, kept)) < MOST_HEADER_BYTES:
                kept.append(line)
    except OSError:
        return b""
    return b"".join(kept)
