"""Making a PostgreSQL cluster, and checking that the programs at hand fit the one that is there.

A cluster appears under its name complete or not at all. Must not start a server or know any role but `postgres`.
"""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.db.embedded.binaries import full_version, major_version
from app.db.embedded.directory import DataDirectory
from app.db.embedded.errors import StartFailed, VersionMismatch, disk_full
from app.db.embedded.process import launch, no_room_line, relevant_line

SUPERUSER = "postgres"
_FIRST_WITH_BUILTIN_LOCALE = 17
_TIMEOUT_SECONDS = 120.0


@contextmanager
def inherited(directory: Path) -> Iterator[tuple[int, str]]:
    """An open descriptor of the directory, and a path by which a child that inherits it reaches it.

    That path works for a child without rights on the directories above.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield descriptor, f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def check_version(directory: DataDirectory, binaries: Path) -> None:
    """Raise VersionMismatch when the data were written by another major version than that of the programs."""
    written_by = (directory.cluster / "PG_VERSION").read_text(encoding="ascii", errors="replace").strip()
    running = full_version(binaries)
    if written_by != str(major_version(running)):
        raise VersionMismatch(
            f"the data in {directory.path} were written by PostgreSQL {written_by}, "
            f"the programs are PostgreSQL {running}",
            f"set the directory of PostgreSQL {written_by}'s programs, or move the data with pg_dump, "
            "or choose another data directory",
        )


def make_cluster(directory: DataDirectory, binaries: Path, server_lock: int, *, durable: bool) -> None:
    """Run initdb beside the cluster's place, then give the result its name. Raises DiskFull or StartFailed."""
    directory.side.mkdir(0o700)
    with inherited(directory.side) as (descriptor, path):
        if not directory.account.is_ours:
            os.fchown(descriptor, directory.account.uid, directory.account.gid)
        command = [str(binaries / "initdb"), "-D", path, *_options(binaries), *([] if durable else ["--no-sync"])]
        process = launch(
            command,
            directory.account,
            at_parent_death=signal.SIGKILL,
            keep=(descriptor, server_lock),
            output=subprocess.PIPE,
        )
        _finish(process, directory)
    directory.side.rename(directory.cluster)
    with inherited(directory.path) as (descriptor, _):
        os.fsync(descriptor)


def _options(binaries: Path) -> list[str]:
    options = ["--username", SUPERUSER, "--auth-local=trust", "--auth-host=reject", "--encoding=UTF8"]
    options += ["--locale=C", "--data-checksums", "--no-instructions"]
    if major_version(full_version(binaries)) >= _FIRST_WITH_BUILTIN_LOCALE:
        options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    return options


def _finish(process: subprocess.Popen[bytes], directory: DataDirectory) -> None:
    try:
        said, _ = process.communicate(timeout=_TIMEOUT_SECONDS)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    if process.returncode == 0:
        return
    text = said.decode("utf-8", "replace")
    line, no_room = relevant_line(text), no_room_line(text)
    if no_room or process.returncode == -signal.SIGXFSZ:
        raise disk_full(directory.path, no_room or "file size limit exceeded")
    raise StartFailed(
        f"initdb ended with status {process.returncode} as {directory.account.name} ({line or 'it said nothing'})",
        "mend what it names, then start again",
    )
