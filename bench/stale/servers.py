"""A primary and its synchronous standby, which takes its place now and then, and a new standby after that."""

import shutil
import time
from pathlib import Path
from typing import Final, Self

from app.db.embedded.cluster import APP_ROLE, DATABASE
from tests.e2e.replication.nodes import Node, give_away
from tests.faults.service import eventually

_SETTINGS: Final = {"track_commit_timestamp": "on", "max_connections": "200", "shared_buffers": "64MB"}
_ANY_STANDBY: Final = "*"
_IN_STEP: Final = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"


class Servers:
    """Three places for servers on ports of their own: a primary, a standby that each commit waits for, and a spare."""

    def __init__(self, place: Path) -> None:
        """Prepare; nothing runs yet."""
        place.mkdir()
        give_away(place)
        self._nodes = [Node(place, name, **_SETTINGS) for name in ("one", "two", "three")]

    @property
    def primary(self) -> Node:
        """The server that takes writes."""
        return self._nodes[0]

    @property
    def standby(self) -> Node:
        """The server that the primary's commits wait for."""
        return self._nodes[1]

    @property
    def socket(self) -> Path:
        """The primary's socket."""
        return self.primary.data / f".s.PGSQL.{self.primary.port}"

    def __enter__(self) -> Self:
        """Make the primary, and a standby that copies it."""
        try:
            self.primary.make()
            self.primary.set("synchronous_standby_names", _ANY_STANDBY)
            self._copy()
        except BaseException:
            self.__exit__()
            raise
        self.ports = sorted(node.port for node in self._nodes)
        return self

    def __exit__(self, *_: object) -> None:
        """End them all."""
        for node in self._nodes:
            node.stop()

    def url(self, *, role: str = APP_ROLE) -> str:
        """A DSN of all places, as a service is told."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        return f"postgresql://{role}@{hosts}/{DATABASE}"

    def restart(self) -> None:
        """Kill the primary as a machine's crash does, and start it again."""
        self.primary.stop()
        self.primary.start()

    def fail_over(self, thawed_seconds: float) -> None:
        """Freeze the primary, promote its standby, copy a new one, and let the old primary go on for some seconds."""
        old, new, spare = self._nodes
        old.freeze()
        new.promote()
        self._nodes = [new, spare, old]
        self._copy()
        old.thaw()
        time.sleep(thawed_seconds)
        old.stop()
        shutil.rmtree(old.data)

    def _copy(self) -> None:
        self.standby.copy(self.primary)
        eventually(lambda: self.primary.sql(_IN_STEP))
