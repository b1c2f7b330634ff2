"""A PostgreSQL of Debian that pgBackRest backs up, and restores to a moment of the past."""

import subprocess
from pathlib import Path
from typing import Any, Final

import psycopg

from app.db.embedded.binaries import choose_account
from app.db.embedded.process import clean_environment
from app.db.migrate import migrate
from tests.e2e.debian import provide_servers
from tests.faults.service import eventually, free_port

_BINARIES: Final = Path("/usr/lib/postgresql/17/bin")
_PGBACKREST: Final = "/usr/bin/pgbackrest"
_CONFIGURATION: Final = """[global]
repo1-path={place}/repository
repo1-retention-full=2
log-path={place}/log
lock-path={place}/lock
spool-path={place}/spool
start-fast=y
archive-timeout=30

[sceau]
pg1-path={place}/data
pg1-port={port}
pg1-socket-path={place}
pg1-user=postgres
"""


class BackedUp:
    """One server with its repository; everything runs as the account that PostgreSQL takes."""

    def __init__(self, place: Path) -> None:
        """Install what is missing, and make the server; it runs, migrated, when this returns."""
        packages = {"postgresql-17": str(_BINARIES / "postgres"), "pgbackrest": _PGBACKREST}
        provide_servers(packages, "restoring with pgBackRest")
        self.place, self.port = place, free_port()
        self.account = choose_account(place / "none")
        for name in ("repository", "log", "lock", "spool"):
            (place / name).mkdir()
        (place / "pgbackrest.conf").write_text(_CONFIGURATION.format(place=place, port=self.port))
        subprocess.run(["chown", "-R", f"{self.account.uid}:{self.account.gid}", str(place)], check=True)
        self._run(str(_BINARIES / "initdb"), "--pgdata", f"{place}/data", "--username=postgres", "--auth=trust")
        self.process: subprocess.Popen[bytes] | None = None
        self.start()
        for statement in (
            "CREATE ROLE sceau_owner LOGIN",
            "CREATE ROLE sceau_app LOGIN",
            "CREATE DATABASE sceau OWNER sceau_owner TEMPLATE template0 ENCODING 'UTF8'",
        ):
            self.sql(statement, "postgres")
        migrate(self.url("sceau_owner"), self.url("sceau_app"))
        self._backrest("stanza-create")

    def url(self, role: str, database: str = "sceau") -> str:
        """A DSN of the server."""
        return f"postgresql://{role}@127.0.0.1:{self.port}/{database}"

    def sql(self, statement: str, database: str = "sceau") -> list[tuple[Any, ...]]:
        """Run a statement as the superuser."""
        with psycopg.connect(self.url("postgres", database), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description is not None else []

    def start(self) -> None:
        """Start the server, and wait until it is a primary that answers."""
        settings = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.place),
            "archive_mode": "on",
            "archive_command": f"{_PGBACKREST} {self._named} archive-push %p",
            "max_wal_senders": "3",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self.process = self._popen(str(_BINARIES / "postgres"), "-D", f"{self.place}/data", *options)
        eventually(self._is_primary)

    def stop(self) -> None:
        """Stop the server, and wait for its end."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)

    def back_up(self) -> None:
        """Make a full backup."""
        self._backrest("--type=full", "backup")

    def restore_point(self, name: str) -> None:
        """Name this moment, so that one can come back to it."""
        self.sql(f"SELECT pg_create_restore_point('{name}')")

    def restore(self, name: str) -> None:
        """Go back to a named moment: what was committed after it is gone."""
        segment = self.sql("SELECT pg_walfile_name(pg_switch_wal())")[0][0]
        archived = f"SELECT last_archived_wal >= '{segment}' FROM pg_stat_archiver"
        eventually(lambda: self.sql(archived) == [(True,)])
        self.stop()
        self._backrest("--delta", "--type=name", f"--target={name}", "--target-action=promote", "restore")
        self.start()

    @property
    def _named(self) -> str:
        return f"--config={self.place}/pgbackrest.conf --stanza=sceau"

    def _backrest(self, *words: str) -> None:
        self._run(_PGBACKREST, *self._named.split(), "--log-level-console=warn", *words)

    def _run(self, *command: str) -> None:
        process = self._popen(*command)
        assert process.wait(120) == 0, self.said()

    def said(self) -> str:
        """The end of what was printed."""
        return (self.place / "output").read_text()[-4000:]

    def _popen(self, *command: str) -> subprocess.Popen[bytes]:
        with (self.place / "output").open("ab") as output:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=clean_environment(),
                cwd=self.place,
                user=self.account.uid,
                group=self.account.gid,
            )

    def _is_primary(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.said()
        try:
            return self.sql("SELECT pg_is_in_recovery()", "postgres") == [(False,)]
        except psycopg.OperationalError:
            return False
