"""Text files of commands: a name that ends with .gz is one that is gzipped."""

import gzip
from pathlib import Path
from typing import TextIO


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
