"""One machine of the reference deployment (deploy/patroni): etcd, Patroni and the PostgreSQL that Patroni runs."""

import http.client
import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import psycopg

from app.db.embedded.binaries import Account
from app.db.embedded.process import clean_environment
from tests.e2e.failover.inside import ROOT
from tests.e2e.failover.network import CLIENTS, NETWORKS, PEERS, Machine

DEPLOY: Final = ROOT / "deploy" / "patroni"
PASSWORD: Final = "of-a-test"
"""No secret: nothing reaches these servers but this test."""
_FIRST: Final = ("one", f"{NETWORKS[PEERS]}.11")
_OF_TESTS: Final = "postgresql: {parameters: {fsync: 'off', unix_socket_directories: '%s'}}\n"
"""What is unlike a deployment: processes are killed here, not machines, and all nodes share one file system."""


def environment_of(name: str, address: str) -> dict[str, str]:
    """The variables of deploy/patroni/node.env for a node of that name and address."""
    settings = {}
    for line in (DEPLOY / "node.env").read_text().splitlines():
        if line and not line.startswith("#"):
            variable, _, value = line.partition("=")
            settings[variable] = value.replace("change-me", PASSWORD)
    for variable in ("PATRONI_NAME", "ETCD_NAME"):
        settings[variable] = name
    for variable, value in settings.items():
        if variable.endswith(("_ADDRESS", "_URLS")):
            settings[variable] = value.replace(_FIRST[1], address)
    return settings


class Node:
    """A machine whose servers are started, killed, frozen and cut off as a test likes."""

    def __init__(self, place: Path, name: str, number: int, account: Account) -> None:
        """Make the machine; nothing runs on it yet."""
        self.machine, self.name, self.account = Machine(name, number), name, account
        self.place = place / name
        self.host = self.machine.address(CLIENTS)
        configuration = self.place / "patroni"
        configuration.mkdir(parents=True)
        shutil.copy(DEPLOY / "patroni.yml", configuration / "1-deploy.yml")
        (configuration / "2-test.yml").write_text(_OF_TESTS % self.place)
        shutil.chown(self.place, account.uid, account.gid)
        self._environment = {
            **clean_environment(),
            **environment_of(name, self.machine.address(PEERS)),
            "PATRONI_POSTGRESQL_DATA_DIR": str(self.place / "data"),
            "ETCD_DATA_DIR": str(self.place / "etcd"),
            "ETCD_UNSAFE_NO_FSYNC": "true",
            "ETCD_LOG_LEVEL": "error",
            "PYTHONUNBUFFERED": "1",
        }
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start etcd and Patroni, as a machine does that comes up."""
        self._started = [self._run("etcd"), self._run("patroni", str(self.place / "patroni"))]

    def kill(self) -> None:
        """End every process on it at once."""
        while pids := self.machine.processes():
            _signal(pids, signal.SIGKILL)
        for process in self._started:
            process.wait(30)

    def freeze(self) -> None:
        """Stop every process on it: its connections stay open, and nothing answers."""
        seen: set[int] = set()
        while new := set(self.machine.processes()) - seen:  # one may have been forked meanwhile
            _signal(new, signal.SIGSTOP)
            seen |= new

    def thaw(self) -> None:
        """Let every process go on as if nothing had happened."""
        _signal(self.machine.processes(), signal.SIGCONT)

    def partition(self) -> None:
        """Cut it off from the other machines and from the services."""
        self.machine.cut(PEERS, CLIENTS)

    def heal(self) -> None:
        """Put it back into both networks."""
        self.machine.join(PEERS, CLIENTS)

    def is_primary(self) -> bool:
        """Whether its Patroni says that it is the primary and holds the lock."""
        return self._says("primary")

    def is_replica(self) -> bool:
        """Whether its Patroni says that it is a running standby."""
        return self._says("replica")

    def sql(self, statement: str, database: str = "sceau") -> list[tuple[Any, ...]]:
        """Run a statement as the superuser."""
        with psycopg.connect(self.url("postgres", database), autocommit=True, connect_timeout=3) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description is not None else []

    def url(self, role: str, database: str = "sceau") -> str:
        """A DSN of this server alone."""
        return f"postgresql://{role}:{PASSWORD}@{self.host}:5432/{database}"

    def processes_named(self, part: str) -> list[int]:
        """Those of its processes whose command line has a part."""
        return [pid for pid in self.machine.processes() if part in _command_line(pid)]

    def log(self) -> str:
        """The end of what its servers printed."""
        return (self.place / "log").read_text()[-4000:]

    def _says(self, role: str) -> bool:
        connection = http.client.HTTPConnection(self.host, 8008, timeout=1)
        try:
            connection.request("GET", f"/{role}")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _run(self, *command: str) -> subprocess.Popen[bytes]:
        with (self.place / "log").open("ab") as log:
            return subprocess.Popen(
                self.machine.command(*as_account(self.account), *command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                cwd=self.place,
            )


def as_account(account: Account) -> tuple[str, ...]:
    """What a command line begins with that runs as an account."""
    return ("setpriv", f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups", "--")


def _signal(pids: set[int] | list[int], wanted: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # it ended since it was listed
            os.kill(pid, wanted)


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:  # it ended since it was listed
        return ""
