"""The reference deployment as a whole: three nodes, who is the primary, and when all is well again."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx2
import psycopg

from app.db.embedded.binaries import choose_account
from app.db.migrate import migrate
from tests.e2e.failover import network
from tests.e2e.failover.inside import ROOT
from tests.e2e.failover.node import DEPLOY, PASSWORD, Node, as_account

_NAMES: Final = {"one": 11, "two": 12, "three": 13}
_FOLLOWERS: Final = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = ANY(%s)"
_IN_STEP: Final = {True: ["quorum", "sync"], False: ["async"]}
_PATIENCE: Final = 150.0
"""Seconds after which something is held never to come: a promotion took up to forty, an election of etcd's in it."""
_BETWEEN_LOOKS: Final = 0.1
_Found = TypeVar("_Found")


def until(condition: Callable[[], _Found | None]) -> _Found:
    """What a condition gives once it gives something; it is not asked so often that the servers would notice."""
    deadline = time.monotonic() + _PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(_BETWEEN_LOOKS)
    return value


class Cluster:
    """Three nodes under Patroni, with the roles and the database that Sceau expects."""

    def __init__(self, place: Path) -> None:
        """Lay the networks and prepare the nodes; nothing runs yet."""
        network.lay()
        self.place = place
        self.synchronous = True
        self._proxy: subprocess.Popen[bytes] | None = None
        self.account = choose_account(place / "none")
        self.nodes = [Node(place, name, number, self.account) for name, number in _NAMES.items()]

    def start(self) -> None:
        """Start all nodes, and make the database on whichever became the primary."""
        for node in self.nodes:
            node.start()
        primary = self.wait_until_whole()
        passwords = {"POSTGRES_OWNER_PASSWORD": PASSWORD, "POSTGRES_APP_PASSWORD": PASSWORD, "PGPASSWORD": PASSWORD}
        named = {"POSTGRES_USER": "postgres", "PGHOST": primary.host}
        made = {"PATH": os.environ["PATH"], **named, **passwords}
        subprocess.run([str(ROOT / "deploy" / "postgres-roles.sh")], env=made, check=True)
        migrate(primary.url("sceau_owner"), primary.url("sceau_app"))

    def primary(self, among: Sequence[Node] | None = None) -> Node | None:
        """The node that says it is the primary, if one does."""
        return next((node for node in among or self.nodes if node.is_primary()), None)

    def wait_until_whole(self) -> Node:
        """The primary, once both others follow it and its commits wait for them (or for nobody, if that is wanted)."""
        return until(lambda: self._whole(self.primary()))

    def set_synchronous(self, *, wanted: bool) -> None:
        """Have commits wait for a standby, as deploy/patroni has it, or for none."""
        self.synchronous = wanted
        self.configure(synchronous_mode="quorum" if wanted else False)
        self.wait_until_whole()

    def configure(self, **settings: Any) -> None:
        """Change Patroni's settings for all nodes."""
        node = until(self.primary)
        answer = httpx2.patch(f"http://{node.host}:8008/config", json=settings, auth=("patroni", PASSWORD), timeout=5)
        answer.raise_for_status()

    def url(self, role: str) -> str:
        """A DSN of all nodes, as a service is told."""
        hosts = ",".join(f"{node.host}:5432" for node in self.nodes)
        return f"postgresql://{role}:{PASSWORD}@{hosts}/sceau"

    def start_proxy(self) -> str:
        """Start HAProxy as deploy/patroni has it, beside the services; a DSN of the application by way of it."""
        deployed = (DEPLOY / "haproxy.cfg").read_text()
        configuration = self.place / "haproxy.cfg"
        configuration.write_text(deployed.replace(network.NETWORKS[network.PEERS], network.NETWORKS[network.CLIENTS]))
        with (self.place / "haproxy.log").open("wb") as log:
            command = [*as_account(self.account), "haproxy", "-db", "-f", str(configuration)]
            self._proxy = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return f"postgresql://sceau_app:{PASSWORD}@127.0.0.1:5432/sceau"

    def end(self) -> None:
        """End everything."""
        for node in self.nodes:
            node.kill()
        if self._proxy is not None:
            self._proxy.kill()
            self._proxy.wait()

    def _whole(self, primary: Node | None) -> Node | None:
        if primary is None or not all(node is primary or node.is_replica() for node in self.nodes):
            return None
        try:
            with psycopg.connect(primary.url("postgres", "postgres"), connect_timeout=2) as connection:
                row = connection.execute(_FOLLOWERS, [_IN_STEP[self.synchronous]]).fetchone()
        except psycopg.OperationalError:
            return None
        return primary if row is not None and row[0] == len(self.nodes) - 1 else None


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A cluster that runs; it is ended, and its data are deleted, with the block."""
    place = Path(tempfile.mkdtemp(prefix="sceau-failover-"))
    place.chmod(0o755)
    made = Cluster(place)
    try:
        made.start()
        yield made
    except BaseException:
        for node in made.nodes:
            print(f"{node.name}: {node.log()}", flush=True)
        raise
    finally:
        made.end()
        shutil.rmtree(place, ignore_errors=True)
