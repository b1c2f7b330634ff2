"""A PostgreSQL of Debian that pgBackRest backs up, and restores to a moment of the past."""

import subprocess
from pathlib import Path
from typing import Final

from tests.e2e.debian import provide_servers
from tests.e2e.replication.nodes import Node, give_away
from tests.faults.service import eventually

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


class BackedUp(Node):
    """One server with its repository; everything runs as the account that PostgreSQL takes."""

    programs = _BINARIES

    def __init__(self, place: Path) -> None:
        """Install what is missing, and make the server; it runs, migrated, when this returns."""
        packages = {"postgresql-17": str(_BINARIES / "postgres"), "pgbackrest": _PGBACKREST}
        provide_servers(packages, "restoring with pgBackRest")
        give_away(place)
        self._named = f"--config={place}/pgbackrest.conf --stanza=sceau"
        archiving = {"archive_mode": "on", "archive_command": f"{_PGBACKREST} {self._named} archive-push %p"}
        super().__init__(place, "data", unix_socket_directories=str(place), **archiving)
        for name in ("repository", "log", "lock", "spool"):
            (place / name).mkdir()
        (place / "pgbackrest.conf").write_text(_CONFIGURATION.format(place=place, port=self.port))
        subprocess.run(["chown", "-R", f"{self.account.uid}:{self.account.gid}", str(place)], check=True)
        self.make()
        self._backrest("stanza-create")

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
        eventually(lambda: self.sql("SELECT pg_is_in_recovery()") == [(False,)])

    def _backrest(self, *words: str) -> None:
        self.run(_PGBACKREST, *self._named.split(), "--log-level-console=warn", *words)
