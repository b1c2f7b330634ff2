"""The data directory as PostgreSQL sees it: created, configured, and with its roles and database."""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from app.db.embedded.binaries import full_version, major_version
from app.db.embedded.directory import DataDirectory
from app.db.embedded.errors import StartFailed, VersionMismatch, disk_full
from app.db.embedded.process import clean_environment, launch, no_room_line, relevant_line

# PostgreSQL's settings for the embedded server, as command line options. This code must not write configuration files:
# settings hold for one start only.

DEFAULTS: Final[Mapping[str, str]] = {
    "max_connections": "100",
    "shared_buffers": "64MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "min_wal_size": "32MB",
    "max_wal_size": "256MB",
    # A recycled file would keep what an erasure has deleted until it is overwritten.
    "wal_recycle": "off",
}

# The supervisor's guarantees rest on these: no TCP, a private socket at a known place, a mark on every process.
_DECIDED: Final[Mapping[str, str]] = {
    "listen_addresses": "",
    "port": "5432",
    "unix_socket_directories": ".",
    "unix_socket_permissions": "0700",
    "update_process_title": "on",
}


def server_options(settings: Mapping[str, str], mark: str) -> list[str]:
    """Return `-c name=value` for every setting; `mark` shows in the title of each process of the server."""
    merged = {**DEFAULTS, **settings, **_DECIDED, "cluster_name": mark}
    return [part for name, value in merged.items() for part in ("-c", f"{name}={value}")]


# The roles and the database that the application expects, created when missing and otherwise left as they are. The
# owner creates the schema; the application's role may only connect. This code must not create any object of the
# application: migrations do that.

OWNER_ROLE = "sceau_owner"
APP_ROLE = "sceau_app"
DATABASE = "sceau"

_BOOTSTRAP_SECONDS = 60.0
_NOTHING_ELSE = "NOSUPERUSER NOCREATEROLE NOREPLICATION NOBYPASSRLS"

# \gexec runs each row of the query above it as a statement, because CREATE DATABASE may not stand in a block. The
# script is made of the constants above alone.
_SCRIPT = rf"""
SELECT format('CREATE ROLE %I', wanted) FROM unnest(ARRAY['{OWNER_ROLE}', '{APP_ROLE}']) AS wanted
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) \gexec
ALTER ROLE {OWNER_ROLE} LOGIN CREATEDB {_NOTHING_ELSE};
ALTER ROLE {APP_ROLE} LOGIN NOCREATEDB {_NOTHING_ELSE};
SELECT 'CREATE DATABASE {DATABASE} OWNER {OWNER_ROLE} TEMPLATE template0 ENCODING ''UTF8'''
    WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{DATABASE}') \gexec
REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC;
GRANT CONNECT ON DATABASE {DATABASE} TO {APP_ROLE};
\connect {DATABASE}
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT CREATE, USAGE ON SCHEMA public TO {OWNER_ROLE};
"""  # noqa: S608


def bootstrap(binaries: Path, socket_directory: Path) -> None:
    """Bring the roles and the database to what they should be; may be run any number of times. Raises StartFailed."""
    command = [str(binaries / "psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--no-password"]
    command += [f"--host={socket_directory}", f"--username={SUPERUSER}", "--dbname=postgres", "--file=-"]
    try:
        done = subprocess.run(
            command,
            input=_SCRIPT,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_BOOTSTRAP_SECONDS,
            env=clean_environment(),
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StartFailed(f"psql did not set up the roles ({error})", "start again, or see the server's log") from error
    if done.returncode != 0:
        raise StartFailed(
            f"the roles and the database could not be set up ({relevant_line(done.stderr)})",
            "mend what it names, or choose another data directory",
        )


SUPERUSER = "postgres"
_FIRST_WITH_BUILTIN_LOCALE = 17
_TIMEOUT_SECONDS = 120.0


@contextmanager
def inherited(directory: Path) -> Iterator[tuple[int, str]]:
    """Yield an open descriptor of the directory, and a path by which a child that inherits it reaches it.

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
            f"install PostgreSQL {written_by} in the place of the extra named embedded, or move the data with pg_dump, "
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
        output, _ = process.communicate(timeout=_TIMEOUT_SECONDS)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    if process.returncode == 0:
        return
    text = output.decode("utf-8", "replace")
    line, no_room = relevant_line(text), no_room_line(text)
    if no_room or process.returncode == -signal.SIGXFSZ:
        raise disk_full(directory.path, no_room or "file size limit exceeded")
    raise StartFailed(
        f"initdb ended with status {process.returncode} as {directory.account.name} ({line or 'it said nothing'})",
        "mend what it names, then start again",
    )
