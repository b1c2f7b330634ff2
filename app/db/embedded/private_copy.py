"""A copy of the PostgreSQL programs for an account that cannot reach the original.

Root's virtual environment may lie below a directory that lets nobody else through. Must not change the mode of
anything that exists, and must not run a copy that somebody else could have written.
"""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from app.db.embedded.account import Account
from app.db.embedded.binaries import full_version
from app.db.embedded.errors import BinariesUnusable, EmbeddedServerError

_RUN = ("postgres", "initdb")  # psql runs as ourselves
_SHARED_PLACES = (Path("/var/cache"), Path("/var/tmp"))  # noqa: S108 - checked to be ours below
_NOT_NEEDED = shutil.ignore_patterns("*.a", "pgxs", "pkgconfig")


def runnable_binaries(binaries: Path, account: Account, home: Path) -> Path:
    """`binaries` itself where `account` can run them, else a private copy, made once for each version.

    The copy lies in `home` when the account can reach that, else in a cache directory of the system.
    Raises BinariesUnusable.
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
        if place == home:
            _remove_others(home, name)
        return copied
    raise _unusable(binaries, account, f"and could not be copied ({problem})")


def _unusable(binaries: Path, account: Account, why: str) -> BinariesUnusable:
    return BinariesUnusable(
        f"user {account.name} may not reach the PostgreSQL programs in {binaries} {why}",
        "set the directory of programs that this user may run, or run as a plain user",
    )


def _is_open(binaries: Path, account: Account) -> bool:
    """Judged on the programs and one file of each tree: an installation is open or closed as a whole."""
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


def _remove_others(home: Path, name: str) -> None:
    """The copies of versions that were run before."""
    for other in home.glob("binaries-*"):
        if other.name != name:
            shutil.rmtree(other)


def _copy(prefix: Path, target: Path) -> None:
    """The programs find their libraries relative to themselves: in `lib`, or in the `.libs` beside the package."""
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
