"""PgBouncer in transaction mode in front of the server, when Debian's package is there."""

import pwd
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import psycopg

from app.db.embedded.cluster import APP_ROLE, DATABASE

PROGRAM: Final = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
_READY_SECONDS: Final = 10


class Pooler:
    """One PgBouncer process; `url` is how an application reaches the database through it."""

    def __init__(self, directory: Path, server_socket: Path) -> None:
        """Start it, in a directory of its own, as a user that it agrees to be."""
        assert PROGRAM is not None
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"postgresql://{APP_ROLE}@127.0.0.1:{port}/{DATABASE}"
        self._admin = f"postgresql://postgres@127.0.0.1:{port}/pgbouncer"
        port_of_server = server_socket.suffix.removeprefix(".")
        directory.mkdir()
        settings, users = directory / "pgbouncer.ini", directory / "users"
        users.write_text(f'"{APP_ROLE}" ""\n"postgres" ""\n')
        settings.write_text(
            f"[databases]\n{DATABASE} = host={server_socket.parent} port={port_of_server} dbname={DATABASE}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            f"auth_type = trust\nauth_file = {users}\n"
            "pool_mode = transaction\nmax_client_conn = 500\ndefault_pool_size = 20\n"
            "max_prepared_statements = 200\nignore_startup_parameters = options,extra_float_digits\n"
            "admin_users = postgres\n"
        )
        directory.chmod(0o755)
        user = pwd.getpwuid(server_socket.stat().st_uid).pw_name
        self._command = [PROGRAM, "-u", user, str(settings)]
        self._log = directory / "log"
        self._before = 0
        self._start()

    def restart(self) -> None:
        """Kill it with all that is under way in it, and start it again."""
        self._before = self.transactions()
        self._process.kill()
        self._process.wait()
        self._start()

    def _start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        self._wait()

    def transactions(self) -> int:
        """How many transactions went through it, but for those just before it was killed."""
        with psycopg.connect(self._admin, autocommit=True) as connection:
            cursor = connection.execute("SHOW STATS")
            names = [column.name for column in cursor.description or ()]
            return self._before + sum(int(row[names.index("total_xact_count")]) for row in cursor if row[0] == DATABASE)

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(10)

    def _wait(self) -> None:
        until = time.monotonic() + _READY_SECONDS
        while time.monotonic() < until:
            with suppress(psycopg.Error), psycopg.connect(self.url, autocommit=True) as connection:
                connection.execute("SELECT 1")
                return
            time.sleep(0.05)
        raise RuntimeError("pgbouncer does not answer")
