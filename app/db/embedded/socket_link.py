"""A path to the socket that every client can use.

A socket's path may have 107 bytes, and clients read commas, colons and the like in it as something else: then a short
symbolic link stands for the directory. Must not make anything for a directory whose own path will do.
"""

import os
import re
import tempfile
from pathlib import Path

from app.db.embedded.configuration import SOCKET_NAME
from app.db.embedded.errors import DirectoryRefused

_LIMIT_BYTES = 107
_PLAIN = re.compile(rb"[A-Za-z0-9/._-]+")


def socket_directory(cluster: Path, mark: str) -> Path:
    """The directory to give to clients: `cluster`, or a link to it, made now, the same at each call.

    The link lies in a directory of our own, which lets others through (so that the server's account may use it) to a
    cluster that does not. Raises DirectoryRefused when no short place can be had.
    """
    if _fits(cluster):
        return cluster
    tried = []
    for place in dict.fromkeys((tempfile.gettempdir(), "/tmp")):  # noqa: S108 - checked to be ours below
        link = Path(place) / f"{mark}-{os.geteuid()}" / "s"
        if _fits(link) and _make_link(link, cluster):
            return link
        tried.append(str(link.parent))
    raise DirectoryRefused(
        f"the path {cluster} does not suit a socket, and no link to it could be made at {' or '.join(tried)}",
        "choose a shorter data directory, or remove what stands there",
    )


def remove_link(directory: Path, cluster: Path) -> None:
    """Remove what `socket_directory` made, if it made anything."""
    if directory == cluster or not directory.is_symlink():
        return
    directory.unlink()
    try:
        directory.parent.rmdir()
    except OSError:  # not empty: not only ours
        return


def _fits(directory: Path) -> bool:
    path = os.fsencode(directory / SOCKET_NAME)
    return len(path) <= _LIMIT_BYTES and _PLAIN.fullmatch(path) is not None


def _make_link(link: Path, cluster: Path) -> bool:
    """False when the place is not ours, or cannot be."""
    try:
        if not link.parent.exists():
            link.parent.mkdir(0o700)
            link.parent.chmod(0o711)  # whatever the umask: it is new, and ours
        info = link.parent.lstat()
        if link.parent.is_symlink() or info.st_uid != os.geteuid() or info.st_mode & 0o022:
            return False
        link.unlink(missing_ok=True)  # of a start that was killed
        link.symlink_to(cluster)
    except OSError:
        return False
    return True
