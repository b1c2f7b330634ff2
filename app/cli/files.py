"""Text files of commands: a name that ends with .gz is one that is gzipped."""

import gzip
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TextIO


class UnwritableFileError(Exception):
    """A file cannot be written; the message is one line that names it."""


class RegisterFileError(Exception):
    """A file of the register cannot be used; the message has a line for each thing that is wrong."""


def open_to_read(path: Path) -> TextIO:
    """Open a file of UTF-8, with or without a byte-order mark.

    Raises:
        OSError: it cannot be opened.

    """
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def open_to_write(path: Path) -> TextIO:
    """Open a file to be written in UTF-8.

    Raises:
        OSError: it cannot be opened.

    """
    if path.suffix == ".gz":
        return gzip.open(path, "wt", encoding="utf-8")
    return path.open("w", encoding="utf-8")


@contextmanager
def written_whole(path: Path, *, binary: bool = False) -> Iterator[IO[Any]]:
    """Write a file that is for its owner only, and is there once it is whole; - is standard output.

    What exists and is no regular file (a device, a named pipe) is written to as it is, and never replaced.

    Raises:
        UnwritableFileError: it cannot be opened, written or put in its place.

    """
    with telling_of(path):
        if str(path) == "-":
            yield sys.stdout.buffer if binary else sys.stdout
            sys.stdout.flush()
            return
        target = path.resolve()
        if target.exists() and not target.is_file():
            with _opened(target, binary=binary) as sink:
                yield sink
            return
        part = target.with_name(f".{target.name}" if target.suffix == ".gz" else f".{target.name}.part")
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
        try:
            with _opened(part, binary=binary) as sink:
                yield sink
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)


def _opened(path: Path, *, binary: bool) -> IO[Any]:
    return path.open("wb") if binary else open_to_write(path)


@contextmanager
def telling_of(path: Path) -> Iterator[None]:
    """Name the file in what is said when it cannot be written.

    Raises:
        UnwritableFileError: it cannot be.

    """
    try:
        yield
    except OSError as error:
        raise UnwritableFileError(f"{path}: it cannot be written: {error.strerror or error}") from error
