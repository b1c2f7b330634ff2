"""What the embedded server refuses, one class each; every message is one line: what is wrong, then how to mend it.

This module must hold no logic beyond distinguishing a full disk from other failures of the file system.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.core.errors import RefusalError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class EmbeddedServerError(RefusalError):
    """The embedded PostgreSQL server cannot do what was asked."""

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(" ".join(f"{what}; {mend}".split()))


class NotStartable(EmbeddedServerError):
    """This process or this system may not start the server (thread, operating system, missing account)."""


class BinariesNotFound(EmbeddedServerError):
    """No directory holds all the PostgreSQL programs that are needed."""


class BinariesUnusable(EmbeddedServerError):
    """The PostgreSQL programs are there, but the account that must run them cannot."""


class DirectoryRefused(EmbeddedServerError):
    """The data directory cannot be used: not a directory, not writable, or owned by another user."""


class DirectoryInUse(EmbeddedServerError):
    """Another server, or what remains of one, holds the data directory."""


class DiskFull(EmbeddedServerError):
    """There is no room left for the data directory."""


class VersionMismatch(EmbeddedServerError):
    """The data were written by another major version of PostgreSQL."""


class StartFailed(EmbeddedServerError):
    """PostgreSQL itself ended, or did not answer in time."""


def disk_full(path: Path, detail: str) -> DiskFull:
    """Return the refusal for a disk without room, whichever process noticed it."""
    return DiskFull(
        f"no room left for {path} ({detail})", "free some space, or choose a data directory on another disk"
    )


@contextmanager
def refusing(path: Path) -> Iterator[None]:
    """Turn a failure of the file system within the block into a refusal that names the data directory.

    Raises DiskFull when there is no room, DirectoryRefused otherwise.
    """
    try:
        yield
    except OSError as error:
        detail = error.strerror or str(error)
        if error.errno in _FULL:
            raise disk_full(path, detail) from error
        where = "" if error.filename is None or str(error.filename) == str(path) else f", {error.filename}"
        raise DirectoryRefused(
            f"the data directory {path} cannot be used ({detail}{where})",
            "choose a directory that this user may write, or run as the user who owns it",
        ) from error
