"""PostgreSQL servers on loopback that copy one another: started, frozen, promoted and cut as a test likes."""

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg

from app.db.embedded.binaries import Account, choose_account, find_binaries, runnable_binaries
from app.db.embedded.process import clean_environment
from app.db.migrate import migrate
from tests.faults.service import HANGS, children, eventually, free_port

QUICK = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "16MB", "max_connections": "60"}
COPYING = {"wal_level": "replica", "max_wal_senders": "5", "hot_standby": "on", "wal_receiver_status_interval": "1"}


class Node:
    """One server on a port of its own; `name` is what a primary knows it by as a standby."""

    programs: Path | None = None
    """Where PostgreSQL's programs are, if not in the wheel."""

    def __init__(self, place: Path, name: str, **settings: str) -> None:
        """Prepare; nothing is made yet. `settings` are the server's own, over those of all."""
        self.settings = settings
        self.name, self.port, self.place = name, free_port(), place
        self.data = place / name
        self.account: Account = choose_account(place)
        self.tools = find_binaries()
        self.binaries = self.programs or runnable_binaries(self.tools, self.account, place)
        self.process: subprocess.Popen[bytes] | None = None

    def make(self) -> None:
        """Make it a primary of its own, with the roles and the database that Sceau expects."""
        self.run("initdb", "--pgdata", str(self.data), "--username=postgres", "--auth=trust", "--no-sync")
        self.start()
        self._make_roles()
        migrate(self.owner_url, self.url("sceau_app"))

    def _make_roles(self) -> None:
        """As deploy/postgres-roles.sh does."""
        address = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        with psycopg.connect(address, autocommit=True) as connection:
            for statement in (
                "CREATE ROLE sceau_owner LOGIN",
                "CREATE ROLE sceau_app LOGIN",
                "CREATE DATABASE sceau OWNER sceau_owner TEMPLATE template0 ENCODING 'UTF8'",
            ):
                connection.execute(statement)

    def copy(self, primary: "Node", **settings: str) -> None:
        """Make it a standby of another."""
        source = f"host=127.0.0.1 port={primary.port} user=postgres application_name={self.name}"
        self.run(
            "pg_basebackup", "--dbname", source, "--pgdata", str(self.data), "-R", "--checkpoint=fast", "--no-sync"
        )
        self.start(**settings)

    def start(self, **settings: str) -> None:
        """Start it, and wait until it answers."""
        here = {"port": str(self.port), "listen_addresses": "127.0.0.1", "unix_socket_directories": str(self.data)}
        values = {**QUICK, **COPYING, **here, **self.settings, **settings}
        options = [part for name, value in values.items() for part in ("-c", f"{name}={value}")]
        self.process = self._popen("postgres", "-D", str(self.data), *options)
        eventually(self._answers)

    def stop(self) -> None:
        """End it at once; nothing happens when it does not run."""
        if self.process is not None and self.process.poll() is None:
            self.thaw()
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(30)

    def freeze(self) -> None:
        """Stop every process of it: its connections stay open, and nothing answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on as if nothing had happened."""
        self._signal(signal.SIGCONT)

    def promote(self) -> None:
        """Make it a primary."""
        self.sql("SELECT pg_promote(true, 30)")

    def sql(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a statement as the superuser, in the service's database once there is one."""
        with psycopg.connect(self.url("postgres"), autocommit=True, connect_timeout=5) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description is not None else []

    def set(self, name: str, value: str) -> None:
        """Change a setting of a running server."""
        self.sql(f"ALTER SYSTEM SET {name} = '{value}'")
        self.sql("SELECT pg_reload_conf()")

    def url(self, role: str) -> str:
        """A DSN of this server alone."""
        return f"postgresql://{role}@127.0.0.1:{self.port}/sceau"

    @property
    def owner_url(self) -> str:
        """As the schema's owner."""
        return self.url("sceau_owner")

    def run(self, program: str, *arguments: str) -> None:
        """Run a program of PostgreSQL to its end."""
        process = self._popen(program, *arguments)
        assert process.wait(HANGS) == 0, (self.place / f"{self.name}.log").read_text()

    def _popen(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        # Only postgres and initdb are copied for an account that cannot reach the wheel; what else runs, runs as we do.
        path = self.binaries / program
        lent: Mapping[str, Any] = {} if self.account.is_ours else {"user": self.account.uid, "group": self.account.gid}
        with (self.place / f"{self.name}.log").open("ab") as log:
            return subprocess.Popen(
                [str(path), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=clean_environment(),
                start_new_session=True,
                cwd=self.place,
                **lent,
            )

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.place / f"{self.name}.log").read_text()
        try:
            psycopg.connect(f"postgresql://postgres@127.0.0.1:{self.port}/postgres", connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _signal(self, wanted: signal.Signals) -> None:
        assert self.process is not None
        for pid in [self.process.pid, *children(self.process.pid)]:
            with suppress(ProcessLookupError):  # it ended since it was listed
                os.kill(pid, wanted)


def dsn(role: str, nodes: Sequence[Node]) -> str:
    """A DSN of several servers, in that order."""
    hosts = ",".join(f"127.0.0.1:{node.port}" for node in nodes)
    return f"postgresql://{role}@{hosts}/sceau"


def give_away(place: Path) -> None:
    """Let the account that servers run as write below a directory, where that is not ours."""
    account = choose_account(place / "none")
    if not account.is_ours:
        shutil.chown(place, account.uid, account.gid)
    place.chmod(0o755)
