"""Whose rights the server runs with, and what those rights reach.

PostgreSQL refuses to run as root, so root lends it an unprivileged account that exists. Must not create accounts or
change the mode of anything.
"""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from app.db.embedded.errors import NotStartable

_LENT_BY_ROOT = ("postgres", "nobody")


@dataclass(frozen=True)
class Account:
    """A user and group of the operating system; `name` is for messages."""

    name: str
    uid: int
    gid: int

    @property
    def is_ours(self) -> bool:
        """Whether this process already has that user's rights."""
        return self.uid == os.geteuid()

    def may(self, info: os.stat_result, bits: int) -> bool:
        """Whether the mode grants these bits (4 read, 2 write, 1 traverse); no where only an ACL would say yes."""
        shift = 6 if info.st_uid == self.uid else 3 if info.st_gid == self.gid else 0
        return (stat.S_IMODE(info.st_mode) >> shift) & bits == bits

    def can_reach(self, path: Path) -> bool:
        """Whether every directory above `path` lets this account through."""
        return all(self.may(parent.stat(), 1) for parent in path.resolve().parents)


def choose_account(cluster: Path) -> Account:
    """The account to run as: our own, or for root the owner of the data, then `postgres`, then `nobody`.

    Raises NotStartable when root finds no account to lend, or the data belong to root.
    """
    uid = os.geteuid()
    if uid != 0:
        return _named(uid, os.getegid())
    try:
        owner = cluster.lstat()
    except OSError:
        return _lent_by_root()
    if owner.st_uid == 0:
        raise NotStartable(
            f"{cluster} belongs to root, and PostgreSQL refuses to run as root",
            "give it to an unprivileged user with chown -R, or choose another data directory",
        )
    return _named(owner.st_uid, owner.st_gid)


def _named(uid: int, gid: int) -> Account:
    try:
        return Account(pwd.getpwuid(uid).pw_name, uid, gid)
    except KeyError:
        return Account(f"uid {uid}", uid, gid)


def _lent_by_root() -> Account:
    for name in _LENT_BY_ROOT:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(name, entry.pw_uid, entry.pw_gid)
    raise NotStartable(
        "PostgreSQL refuses to run as root, and neither user postgres nor user nobody exists",
        "run as a plain user, or add one of these two",
    )
